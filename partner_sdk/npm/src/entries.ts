/** Entries of a thread (WIRE.md §9.6): a partner's words to the agency about a message, signed and sealed once. */
import { type SealingKey, seal } from "./boxes.js";
import { canonical, toBase64url } from "./canonical.js";
import { FormatError } from "./errors.js";
import { type Of, type Shape, environment, object, oneOf, parseExact, partnerId, text, time, uuid7 } from "./shapes.js";
import { KINDS, type Signer, makeStatement } from "./statements.js";

const MOST_TEXT = 20_000;
const MOST_NAME = 200;
export const OUTCOME_CODE = text({ pattern: /^[a-z_]{1,32}$/ });

export const entryKind = oneOf("acknowledge", "question", "answer", "outcome", "note", "decline");
export type EntryKind = Of<typeof entryKind>;

/** The outcomes of a package that are known now. A reader takes others. */
export type PackageOutcome =
  | "safeguarded"
  | "located"
  | "identified"
  | "suspect_identified"
  | "arrested"
  | "charged"
  | "passed_overseas"
  | "no_crime"
  | "not_traceable";

const fields = object(
  {
    about: uuid7,
    by: text({ least: 1, most: MOST_NAME, pattern: /\S/ }),
    created_at: time,
    entry_id: uuid7,
    environment,
    kind: entryKind,
    partner: partnerId,
    text: text({ most: MOST_TEXT }),
  },
  { outcome: OUTCOME_CODE, report_id: uuid7 },
);
export type Entry = Of<typeof fields>;

/** An entry with the fields that its kind needs. */
export const entryShape: Shape<Entry> = (value, place) => {
  const entry = fields(value, place);
  const { kind, outcome } = entry;
  const isSaid =
    entry.text.trim() !== "" ||
    kind === "acknowledge" ||
    kind === "outcome" ||
    (kind === "answer" && entry.report_id !== undefined);
  if (!isSaid) throw new FormatError("malformed", `An entry of kind ${kind} needs a text.`);
  if ((kind === "outcome") !== (outcome !== undefined))
    throw new FormatError("malformed", "An outcome, and no other kind, has a code of an outcome.");
  return entry;
};

/** Seal an entry: the body of `POST /v1/mailbox/{about}/entries`, the same at every try. */
export async function sealEntry(entry: Entry, { key, signer }: { key: SealingKey; signer: Signer }): Promise<string> {
  const payload = canonical(entry);
  parseExact(payload, entryShape);
  const statement = canonical(makeStatement(payload, { kind: KINDS.threadEntry, signers: [signer] }));
  const { environment: where, partner, entry_id: id } = entry;
  const context = {
    environment: where,
    purpose: "thread",
    sender: partner,
    recipient: "agency",
    id,
    kind: "entry",
    priority: "none",
  } as const;
  const envelope = await seal(statement, { key, context });
  return canonical({ entry_id: id, envelope: toBase64url(envelope) });
}
