/** Digests (WIRE.md §9.5) as flat rows, as tables and charts read them. */
import type { Digest, DigestCell } from "./mailbox.types.js";

/** One number of a digest. `value` is null where chance could have made it; each row carries its caveat in `note`. */
export interface DigestRow {
  readonly period: string;
  readonly table: string;
  readonly label: string;
  readonly title: string;
  readonly value: number | null;
  readonly low: number;
  readonly high: number;
  readonly shown: string;
  readonly exact: boolean;
  readonly own: number | null;
  readonly evidence: string | null;
  readonly note: string;
}

/** Return one row for each number of a digest, its total first. */
export function toRows(digest: Digest): readonly DigestRow[] {
  const { period, total, tables } = digest;
  const toRow = (
    table: string,
    exact: boolean,
    note: string,
    { label, title, value, low, high, shown, own, evidence }: DigestCell,
  ): DigestRow => {
    return {
      period,
      table,
      label,
      title,
      value,
      low,
      high,
      shown,
      exact,
      own: own ?? null,
      evidence: evidence ?? null,
      note,
    };
  };
  const first = total ? [toRow("total", false, "", total)] : [];
  return [
    ...first,
    ...tables.flatMap(({ name, exact, note, cells }) => cells.map((cell) => toRow(name, exact, note, cell))),
  ];
}
