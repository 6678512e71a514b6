/** Reports and their receipts (WIRE.md §6): checked, sealed and signed once; a receipt proves itself offline. */
import { createRequire } from "node:module";

import { type SealingKey, seal } from "./boxes.js";
import {
  type Json,
  canonical,
  formatTime,
  parseBase64url,
  parseCanonical,
  sha256Hex,
  toBase64url,
} from "./canonical.js";
import { type FieldFault, FormatError, ReceiptError, ReportError } from "./errors.js";
import { type KeySet, findVerifyKey } from "./keys.js";
import type { Report } from "./report.types.js";
import { REPORT_SCHEMA, listFaults } from "./schema.js";
import {
  type Of,
  digest,
  environment,
  integer,
  list,
  nullable,
  object,
  oneOf,
  parseExact,
  partnerId,
  text,
  time,
  uuid,
  uuid7,
} from "./shapes.js";
import {
  KINDS,
  type Signer,
  makeStatement,
  parseStatement,
  readClaimed,
  statementShape,
  verifyStatement,
} from "./statements.js";

const MAX_EVIDENCE_IDS = 250;
const MAX_EXACT_SEQUENCE = Number.MAX_SAFE_INTEGER;
const clearFields = {
  earlier_reference: nullable(text({ pattern: /^(TEST-)?[0-9A-Z]{4}-[0-9A-Z]{5}-[0-9A-Z]$/ })),
  environment,
  evidence_ids: list(uuid7, MAX_EVIDENCE_IDS),
  kind: oneOf("initial", "supplement", "correction", "retraction", "response"),
  partner: partnerId,
  priority: oneOf("P1", "P2", "P3"),
  report_id: uuid7,
  schema_version: oneOf("1"),
};
export const submissionShape = object({ ...clearFields, created_at: time, envelope_sha256: digest });
export const postShape = object({ envelope: text(), statement: statementShape });
const intakeShape = object({
  clear: object(clearFields),
  door: oneOf("industry"),
  envelope_sha256: digest,
  environment,
  epoch: uuid,
  instance: text({ pattern: /^[a-z0-9-]{1,39}$/ }),
  key_set_serial: integer({ least: 1 }),
  placement: nullable(text({ pattern: /^[a-z0-9_-]{1,40}$/ })),
  previous: digest,
  received_at: time,
  reference: text({ pattern: /^(TEST-)?[0-9A-Z]{4}-[0-9A-Z]{5}-[0-9A-Z]$/ }),
  sequence: integer({ least: 1, most: MAX_EXACT_SEQUENCE }),
  submission_sha256: digest,
});
const clearShape = object(clearFields);

export type ClearFields = Of<typeof clearShape>;
export type Priority = ClearFields["priority"];
export type ReportKind = ClearFields["kind"];

/** The facts of a receipt: `reference` is for the phone. */
export type Receipt = Of<typeof intakeShape>;

/** The name of a file in a sealed report, and the key to it (§6.6). */
export interface EvidenceReference {
  readonly digest: string | null;
  readonly evidence_id: string;
  readonly file_id: string;
  readonly secret: string;
  readonly sha256: string;
  readonly size_bytes: number;
}

const EXAMPLE = canonical(createRequire(import.meta.url)("./schema/example.json") as Json);

interface ReportFacts {
  readonly priority: Priority;
  readonly kind?: ReportKind;
}

/** Raise `ReportError` with every fault of a report: the gateway cannot look inside, so here is the place to find them. */
export function checkReport(report: Report, { priority, kind = "initial" }: ReportFacts): void {
  const fits = listFaults(report as unknown as Json, REPORT_SCHEMA);
  const faults = fits.length ? fits : [...listContradictions(report)];
  const asked = [...listAsked(report, priority, kind)];
  if (faults.length + asked.length)
    throw new ReportError("bad-field", "The report is incomplete or contradicts itself; nothing was sent.", [
      ...faults,
      ...asked,
    ]);
}

function* listAsked(report: Report, priority: Priority, kind: ReportKind): Generator<FieldFault> {
  const changes = kind === "correction" || kind === "retraction";
  if (priority !== "P3" && !report.priority_reason)
    yield { pointer: "#/priority_reason", detail: `Explain in one sentence why this is ${priority}.` };
  if (changes && !report.change_reason)
    yield { pointer: "#/change_reason", detail: `Explain in one sentence why this is a ${kind}.` };
  if (!changes && report.change_reason)
    yield { pointer: "#/change_reason", detail: "This goes with a correction or a retraction." };
  if (kind === "response" && !report.answers_request)
    yield { pointer: "#/answers_request", detail: "Copy the id of the request that this answers." };
  if (kind !== "response" && report.answers_request)
    yield { pointer: "#/answers_request", detail: "This goes with a response." };
}

/** List faults beyond the schema: days that do not exist, files that are not listed, messages out of order. */
function* listContradictions(report: Report): Generator<FieldFault> {
  const files = listGiven(report.files).map((file) => file.file_id);
  for (const [place, name] of files.entries()) {
    if (files.indexOf(name) !== place)
      yield { pointer: `#/files/${place}/file_id`, detail: "Give each file its own id." };
  }
  const named: [string, unknown][] = listGiven(report.suspects).map((suspect, place) => [
    `#/suspects/${place}/avatar_file_id`,
    suspect.avatar_file_id,
  ]);
  for (const [thread, conversation] of listGiven(report.conversations).entries()) {
    let latest = "";
    for (const [place, message] of conversation.messages.entries()) {
      named.push([`#/conversations/${thread}/messages/${place}/file_id`, message.file_id]);
      if (typeof message.sent_at !== "string") continue;
      if (message.sent_at < latest)
        yield {
          pointer: `#/conversations/${thread}/messages/${place}/sent_at`,
          detail: "List the messages of a thread in the order in which they were sent.",
        };
      latest = message.sent_at;
    }
  }
  for (const [pointer, name] of named) {
    if (typeof name === "string" && !files.includes(name))
      yield { pointer, detail: "Name a file that is listed under #/files." };
  }
  yield* listFalseDays(report as unknown as Json, "#");
}

/** The patterns of the schema let 31 February through; every text that looks like a day is one, or words of a person. */
function* listFalseDays(value: Json, place: string): Generator<FieldFault> {
  if (typeof value === "string") {
    if (/^\d{4}-(0[1-9]|1[0-2])-\d\d(T[\d:]{8}Z)?$/.test(value) && !isDay(value.slice(0, 10)))
      yield { pointer: place, detail: "Give a date that exists." };
  } else if (value !== null && typeof value === "object") {
    for (const [name, part] of Object.entries(value)) yield* listFalseDays(part as Json, `${place}/${name}`);
  }
}

function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

/** The list that a report gives, or an empty one where it gives the reason for its absence. */
export const listGiven = <T>(given: readonly T[] | { not_held: string } | undefined): readonly T[] =>
  Array.isArray(given) ? (given as readonly T[]) : [];

export interface Submission {
  /** The body of `POST /v1/reports`: save it, and send these very bytes at every try. */
  readonly body: string;
  readonly text: string;
  readonly clear: ClearFields;
}

interface SealSettings extends ReportFacts {
  readonly environment: ClearFields["environment"];
  readonly partner: string;
  readonly reportId: string;
  readonly earlierReference?: string | null;
  readonly evidence?: readonly EvidenceReference[];
  readonly key: SealingKey;
  readonly signer: Signer;
  readonly now: Date;
  readonly ekm?: Uint8Array;
}

/** Seal a report that was checked, and sign the statement about it. */
export async function sealReport(report: Report, settings: SealSettings): Promise<Submission> {
  const {
    environment: where,
    partner,
    reportId,
    priority,
    kind = "initial",
    earlierReference = null,
    evidence = [],
    key,
    signer,
    now,
    ekm,
  } = settings;
  if (where === "live" && canonical(report as unknown as Json) === EXAMPLE)
    throw new ReportError("unchanged-example", "This is still the example: a live agency is never sent it.");
  if (earlierReference !== null) checkReference(earlierReference);
  const clear: ClearFields = {
    earlier_reference: earlierReference,
    environment: where,
    evidence_ids: evidence.map((one) => one.evidence_id),
    kind,
    partner,
    priority,
    report_id: reportId,
    schema_version: "1",
  };
  const sealed = canonical({
    clear,
    report: report as unknown as Json,
    ...(evidence.length && { evidence: evidence as unknown as Json }),
  });
  const context = {
    environment: where,
    purpose: "report",
    sender: partner,
    recipient: "agency",
    id: reportId,
    kind,
    priority,
  } as const;
  const envelope = await seal(sealed, { key, context, ...(ekm && { ekm }) });
  const payload = canonical({ ...clear, created_at: formatTime(now), envelope_sha256: sha256Hex(envelope) });
  const statement = makeStatement(payload, { kind: KINDS.submission, signers: [signer] });
  return { body: canonical({ envelope: toBase64url(envelope), statement }), text: sealed, clear };
}

/**
 * Check a receipt against the body that was sent, and return its facts (§6.2). Needs no network.
 *
 * `receipt` are its bytes as the gateway answered them: keep them as they are.
 */
export function verifyReceipt(
  receipt: Uint8Array | string,
  { body, keySet, now }: { body: Uint8Array | string; keySet: KeySet; now: Date },
): Receipt {
  const statement = parseStatement(receipt);
  const claimed = intakeShape(readClaimed(statement) as Json);
  const findKey = findVerifyKey(keySet.receipt_keys, { signedAt: claimed.received_at, now });
  const facts = parseExact(verifyStatement(statement, { kind: KINDS.intake, keys: [findKey] }), intakeShape);
  checkReference(facts.reference);
  const sent = postShape(parseCanonical(body));
  const { created_at: _, envelope_sha256: sealed, ...clear } = submissionShape(readClaimed(sent.statement) as Json);
  const isForThis =
    facts.submission_sha256 === sha256Hex(canonical(sent.statement)) &&
    canonical(facts.clear) === canonical(clear) &&
    facts.environment === clear.environment &&
    facts.envelope_sha256 === sealed &&
    sealed === sha256Hex(parseBase64url(sent.envelope));
  if (!isForThis) throw new ReceiptError("other-submission", "This receipt is for something else than what was sent.");
  return facts;
}

// References for reading aloud (WIRE.md §6.3), e.g. `K7QF-2M9TX-D`.
const SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; // Crockford's base 32
const REFERENCE = /^(?:TEST-)?([0-9A-HJKMNP-TV-Z]{4})-([0-9A-HJKMNP-TV-Z]{5})-([0-9A-HJKMNP-TV-Z])$/;

/** The check symbol of a reference: ISO 7064, hybrid system MOD 33,32. */
function getCheckSymbol(symbols: string): string | undefined {
  let carry: number = SYMBOLS.length;
  for (const symbol of symbols) {
    carry = (carry + SYMBOLS.indexOf(symbol)) % SYMBOLS.length || SYMBOLS.length;
    carry = (carry * 2) % (SYMBOLS.length + 1);
  }
  return SYMBOLS[(SYMBOLS.length + 1 - carry) % SYMBOLS.length];
}

/** Raise `FormatError` unless a reference is in its one spelling and its check symbol fits. */
export function checkReference(reference: string): void {
  const [, first = "", second = "", check] = REFERENCE.exec(reference) ?? [];
  if (check === undefined) throw new FormatError("bad-reference", "A reference is spelled like K7QF-2M9TX-D.");
  if (getCheckSymbol(first + second) !== check)
    throw new FormatError("bad-reference", "This reference has a typing error: check it again.");
}
