/** The mailbox (WIRE.md §9): messages are opened, checked against the chain of their numbers, saved, and only then acknowledged. */
import { open } from "./boxes.js";
import { type Json, parseBase64url, parseCanonical, parseJson, sha256Hex } from "./canonical.js";
import { FormatError, MailboxError, OpeningError, ReportAbuseError, StatementError } from "./errors.js";
import type { Folder } from "./folder.js";
import { type VerifyKey, findVerifyKey } from "./keys.js";
import type { Digest, MailboxBodies } from "./mailbox.types.js";
import { MAILBOX_SCHEMA, listFaults } from "./schema.js";
import type { Session } from "./session.js";
import {
  type Environment,
  type Of,
  answer,
  base64url,
  digest,
  environment,
  integer,
  list,
  object,
  parseExact,
  partnerId,
  text,
  time,
  uuid7,
} from "./shapes.js";
import { KINDS, parseStatement, readClaimed, verifyStatement } from "./statements.js";

const FOLDER = "mailbox";
const NO_MESSAGE = "0".repeat(64);
const NUMBER_DIGITS = 10;
const MAX_WAIT_SECONDS = 25;
const MAX_SIGNED_BYTES = 2 * 1024 * 1024;
const MAX_LIST_BYTES = 320 * 1024 * 1024; // 50 messages of 4 MiB in base64url
const MAX_BODY_BYTES = 256 * 1024;
const MAX_PACKAGE_BYTES = 960 * 1024;

const messageShape = object({
  body: base64url(),
  environment,
  issued_at: time,
  kind: text({ most: 64 }),
  message_id: uuid7,
  number: integer({ least: Number.MIN_SAFE_INTEGER }),
  previous: digest,
  recipient: partnerId,
});
const listShape = answer({ messages: list(answer({ envelope: text(), message_id: uuid7 })) });

export type MessageKind = keyof MailboxBodies;
export type BodyOf<K extends MessageKind> = Required<MailboxBodies>[K];

/** One message of the agency, with the body of its kind. */
export type Message = {
  readonly [K in MessageKind]: {
    readonly kind: K;
    readonly messageId: string;
    readonly number: number;
    readonly issuedAt: string;
    readonly body: BodyOf<K>;
  };
}[MessageKind];

/** Something that the partner must report to the agency, by phone. */
export interface Alarm {
  readonly reason: string;
  readonly text: string;
  readonly messageId?: string;
}

export interface Collected {
  readonly messages: readonly Message[];
  readonly alarms: readonly Alarm[];
}

/** A message whose box and signature are right; its body is still to be read. */
export interface OpenedMessage extends Of<typeof messageShape> {
  /** The signed bytes, which the next message names by their SHA-256. */
  readonly signed: Buffer;
}

interface Reader {
  readonly environment: Environment;
  readonly partner: string;
  readonly seed: Uint8Array;
  readonly keys: readonly VerifyKey[];
  readonly now: Date;
}

/** Open a message and check that it is the agency's and for this partner. */
export async function openMessage(
  item: { envelope: string; message_id: string },
  reader: Reader,
): Promise<OpenedMessage> {
  try {
    const context = {
      environment: reader.environment,
      purpose: "mailbox",
      sender: "agency",
      recipient: reader.partner,
      id: item.message_id,
      kind: "message",
      priority: "none",
    } as const;
    const signed = await open(parseBase64url(item.envelope), { seed: reader.seed, context });
    if (signed.length > MAX_SIGNED_BYTES) throw new FormatError("too-large", "This message is too large.");
    const statement = parseStatement(signed);
    const claimed = messageShape(readClaimed(statement) as Json);
    const findKey = findVerifyKey(reader.keys, { signedAt: claimed.issued_at, now: reader.now });
    const message = parseExact(
      verifyStatement(statement, { kind: KINDS.mailboxMessage, keys: [findKey] }),
      messageShape,
    );
    if (message.recipient !== reader.partner)
      throw new MailboxError("wrong-recipient", "This message is for another partner.");
    if (message.environment !== reader.environment)
      throw new MailboxError("wrong-environment", "This message is for the other environment.");
    if (message.message_id !== item.message_id)
      throw new MailboxError("wrong-id", "This message has another id than its box.");
    if (message.number < 1) throw new MailboxError("bad-number", "Numbers of messages count from 1.");
    if (!isKnown(message.kind))
      throw new MailboxError(
        "malformed",
        "This message is of a kind that this client does not know. It waits at the gateway: upgrade.",
      );
    return { ...message, signed };
  } catch (error) {
    if (error instanceof OpeningError)
      throw new MailboxError(error.reason === "unknown-key" ? "wrong-key" : error.reason, error.message);
    if (error instanceof FormatError || error instanceof StatementError)
      throw new MailboxError(error.reason, error.message);
    throw error;
  }
}

const isKnown = (kind: string): kind is MessageKind => Object.hasOwn(MAILBOX_SCHEMA.properties ?? {}, kind);

/** Read the body of a message by the schema of its kind. */
export function parseBody(message: Of<typeof messageShape>): Message {
  const { kind, message_id: messageId, number, issued_at: issuedAt } = message;
  const bytes = parseBase64url(message.body);
  if (bytes.length > (kind === "package" ? MAX_PACKAGE_BYTES : MAX_BODY_BYTES))
    throw new MailboxError("bad-body", "The body of this message is too large.");
  const body = parseCanonical(bytes);
  const schema = MAILBOX_SCHEMA.properties?.[kind];
  const [fault] = schema ? listFaults(body, MAILBOX_SCHEMA, schema) : [{ pointer: "#", detail: "Unknown kind." }];
  if (fault)
    throw new MailboxError("bad-body", `The body of message ${number} is not one of kind ${kind}: ${fault.pointer}.`);
  return { kind, messageId, number, issuedAt, body } as unknown as Message;
}

const fileOf = (number: number): string => `${FOLDER}/${String(number).padStart(NUMBER_DIGITS, "0")}.json`;

/** Save a message in its place of the chain; raises `MailboxError` where it does not fit there. True if it is new. */
export function saveMessage(folder: Folder, { number, previous, signed }: OpenedMessage): boolean {
  const held = folder.find(fileOf(number));
  // The same signed bytes in a new envelope: the partner enrolled again, and keeps one.
  if (held?.equals(signed)) return false;
  if (held) throw new MailboxError("number-reused", `Another message has number ${number}.`);
  const before = number === 1 ? NO_MESSAGE : digestOf(folder.find(fileOf(number - 1)));
  const after = folder.find(fileOf(number + 1));
  const isNext = before === undefined || before === previous;
  if (!isNext || (after && previousOf(after) !== sha256Hex(signed)))
    throw new MailboxError("broken-chain", `Message ${number} does not follow the one before it.`);
  folder.put(fileOf(number), signed);
  return true;
}

const digestOf = (signed: Buffer | undefined): string | undefined => signed && sha256Hex(signed);
const readSaved = (signed: Buffer): Of<typeof messageShape> =>
  messageShape(readClaimed(parseStatement(signed)) as Json);
const previousOf = (signed: Buffer): string => readSaved(signed).previous;

export class Mailbox {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Fetch, check, save and acknowledge everything that waits. With `waitSeconds` (at most 25) an empty mailbox answers as soon
   * as a message comes: a loop of such calls is as quick as a push, and needs no address of your own.
   */
  async collect({ waitSeconds = 0 }: { readonly waitSeconds?: number } = {}): Promise<Collected> {
    const messages: Message[] = [];
    const alarms: Alarm[] = [];
    const seen = new Set<string>();
    const wait = integer({ most: MAX_WAIT_SECONDS })(waitSeconds, "waitSeconds");
    await this.#session.refreshIfOld();
    for (;;) {
      const path = wait && !seen.size ? `/v1/mailbox?wait=${wait}` : "/v1/mailbox";
      const { bytes, retryAfterSeconds } = await this.#session.call({ method: "GET", path, mostBytes: MAX_LIST_BYTES });
      const fresh = listShape(parseJson(bytes)).messages.filter((item) => !seen.has(item.message_id));
      // No place for one more wait: the next call must not come sooner (§9).
      if (!fresh.length && wait && retryAfterSeconds) await this.#session.runtime.sleep(retryAfterSeconds);
      if (!fresh.length) break;
      for (const item of fresh) {
        seen.add(item.message_id);
        try {
          messages.push(...(await this.#take(item, alarms)));
        } catch (error) {
          // Not acknowledged: it waits for a person, or for an upgraded client.
          if (!(error instanceof MailboxError)) throw error;
          alarms.push({ reason: error.reason, text: error.message, messageId: item.message_id });
        }
      }
    }
    return { messages, alarms: [...alarms, ...this.#listGaps()] };
  }

  async #take(item: { envelope: string; message_id: string }, alarms: Alarm[]): Promise<Message[]> {
    const message = await this.#open(item);
    const isNew = saveMessage(this.#session.folder, message);
    const found: Message[] = [];
    try {
      const read = parseBody(message);
      if (isNew) found.push(read);
      if (isNew && read.kind === "digest") alarms.push(...this.#compareDigests(read.number, read.body));
    } catch (error) {
      // A bad body of a known kind is saved and acknowledged (§9); the agency must hear of it.
      if (!(error instanceof ReportAbuseError)) throw error;
      alarms.push({ reason: "bad-body", text: error.message, messageId: item.message_id });
    }
    await this.#session.call({ method: "POST", path: `/v1/mailbox/${item.message_id}/ack`, body: "{}" });
    return found;
  }

  async #open(item: { envelope: string; message_id: string }): Promise<OpenedMessage> {
    const session = this.#session;
    const reader = (): Reader => ({
      environment: session.environment,
      partner: session.partner,
      seed: session.keys.mailboxSeed,
      keys: session.keySet.mailbox_keys,
      now: session.now,
    });
    try {
      return await openMessage(item, reader());
    } catch (error) {
      if (!(error instanceof MailboxError) || error.reason !== "unknown-key") throw error;
      await session.refreshKeySet();
      return openMessage(item, reader());
    }
  }

  #compareDigests(number: number, body: Digest): Alarm[] {
    const first = this.list("digest").find((one) => one.body.period === body.period);
    if (!first || first.number === number || JSON.stringify(first.body) === JSON.stringify(body)) return [];
    return [
      {
        reason: "second-digest",
        text: `Message ${number} is a second digest of ${body.period}, with other figures. The first counts.`,
      },
    ];
  }

  #listGaps(): Alarm[] {
    const numbers = this.#numbers();
    const missing = (numbers.at(-1) ?? 0) - numbers.length;
    if (!missing) return [];
    const first = numbers.findIndex((number, place) => number !== place + 1) + 1;
    return [{ reason: "gap", text: `${missing} of the agency's messages are missing, the first is number ${first}.` }];
  }

  #numbers(): number[] {
    return this.#session.folder.list(FOLDER, ".json").map(Number);
  }

  /** The saved messages, all or of one kind, the oldest first. One with a bad body is left out. */
  list(): readonly Message[];
  list<K extends MessageKind>(kind: K): readonly Extract<Message, { kind: K }>[];
  list(kind?: MessageKind): readonly Message[] {
    const messages: Message[] = [];
    for (const number of this.#numbers()) {
      const saved = readSaved(this.#session.folder.get(fileOf(number)));
      if (kind !== undefined && saved.kind !== kind) continue;
      try {
        messages.push(parseBody(saved));
      } catch (error) {
        if (!(error instanceof ReportAbuseError)) throw error;
      }
    }
    return messages;
  }

  /** The digests, one for each period: the first that came. */
  digests(): readonly Digest[] {
    const periods = new Map<string, Digest>();
    for (const { body } of this.list("digest")) if (!periods.has(body.period)) periods.set(body.period, body);
    return [...periods.values()];
  }
}
