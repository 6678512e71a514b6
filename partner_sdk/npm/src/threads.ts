/** Threads (WIRE.md §9.6): the agency's messages about cases, and the entries of both sides about them. */
import { canonical, formatTime, makeUuid7, parseTime } from "./canonical.js";
import { type Entry, type EntryKind, OUTCOME_CODE, type PackageOutcome, entryKind, sealEntry } from "./entries.js";
import { MailboxError, ProblemError, ReportAbuseError, TransportError } from "./errors.js";
import type { Mailbox, Message } from "./mailbox.js";
import type { Report } from "./report.types.js";
import type { Session } from "./session.js";
import { type Of, nullable, object, text, time, uuid7 } from "./shapes.js";
import type { Delivery, ReportSettings, Submissions } from "./submissions.js";

const ENTRIES = "entries";
const ANSWERS = "answers";
/** The kinds of messages that begin a thread. */
const KINDS = ["package", "information-request", "preservation-request", "terms-referral", "alert"] as const;
export type ThreadKind = (typeof KINDS)[number];

/** The furthest own word gives a thread its state; `waiting`: it is sealed here, and the gateway does not have it yet. */
export type ThreadState =
  "open" | "waiting" | "acknowledged" | "answered" | "declined" | "outcome" | "recalled" | "closed";
const STATES = { acknowledge: "acknowledged", answer: "answered", decline: "declined", outcome: "outcome" } as const;

const keptShape = object({
  about: uuid7,
  by: text(),
  entry_id: uuid7,
  kind: entryKind,
  outcome: nullable(OUTCOME_CODE),
  post: nullable(text()),
  report_id: nullable(uuid7),
  sent_at: nullable(time),
  written_at: time,
});
type Kept = Of<typeof keptShape>;
const answerShape = object({ request_id: uuid7 });

/** One entry of a thread. Of an own one `text` is null: its words are kept sealed alone, and only until they are sent. */
export interface Line {
  readonly at: string;
  readonly isOwn: boolean;
  readonly kind: string;
  readonly by: string;
  readonly entryId: string;
  readonly text: string | null;
}

export type ThreadStart = Extract<Message, { kind: ThreadKind }>;

export interface Thread {
  readonly message: ThreadStart;
  readonly state: ThreadState;
  readonly lines: readonly Line[];
  /** The ids of reports that answer it. */
  readonly answers: readonly string[];
  /** By when the agency wants an answer, if it does. */
  readonly dueAt: Date | null;
}

/** An entry to write; `by` is the name of its writer. */
export interface Writing {
  readonly kind: EntryKind;
  readonly by: string;
  readonly text?: string;
  readonly outcome?: PackageOutcome;
  readonly reportId?: string;
}

export interface EntryAttempt {
  readonly entryId: string;
  readonly error?: ReportAbuseError;
}

export class Threads {
  readonly #session: Session;
  readonly #mailbox: Mailbox;
  readonly #submissions: Submissions;

  constructor(session: Session, mailbox: Mailbox, submissions: Submissions) {
    this.#session = session;
    this.#mailbox = mailbox;
    this.#submissions = submissions;
  }

  /** The threads in the saved messages, all or of one kind, in the order of the mailbox. */
  list(kind?: ThreadKind): readonly Thread[] {
    const messages = this.#mailbox.list();
    const starts = messages.filter(
      (message): message is ThreadStart =>
        (KINDS as readonly string[]).includes(message.kind) && (kind ?? message.kind) === message.kind,
    );
    const said = messages.filter((message) => message.kind === "thread-message");
    const [kept, answers, delivered] = [
      this.#listKept(),
      this.#listAnswers(),
      new Set(this.#submissions.listDelivered()),
    ];
    return starts.map((message) => {
      const own = kept.filter((entry) => entry.about === message.messageId);
      const theirs = said.filter(({ body }) => body.about === message.messageId);
      const given = answers.filter(([, requestId]) => requestId === message.messageId).map(([reportId]) => reportId);
      const lines: Line[] = [
        ...theirs.map(({ issuedAt, body }) => ({
          at: issuedAt,
          isOwn: false,
          kind: body.kind,
          by: body.by,
          entryId: body.entry_id,
          text: body.text,
        })),
        ...own.map((entry) => ({
          at: entry.written_at,
          isOwn: true,
          kind: entry.kind,
          by: entry.by,
          entryId: entry.entry_id,
          text: null,
        })),
      ];
      lines.sort((one, other) => (one.at < other.at ? -1 : Number(one.at > other.at)));
      const kinds = new Set(theirs.map(({ body }) => body.kind as string));
      return {
        message,
        state: getState(message.kind, kinds, own, given, delivered),
        lines,
        answers: given,
        dueAt: findDueTime(message),
      };
    });
  }

  /** The agency's questions that are open: sent to this partner, and not yet answered. */
  questions(): readonly (Thread & { readonly message: Extract<ThreadStart, { kind: "information-request" }> })[] {
    const open = this.list("information-request").filter(({ state }) => state === "open" || state === "acknowledged");
    return open as ReturnType<Threads["questions"]>;
  }

  /** Answer a question with a report of kind `response`; raises `MailboxError` for one that is not open (§9.3). */
  async answer(
    requestId: string,
    report: Report,
    settings: Omit<ReportSettings, "kind" | "earlierReference">,
  ): Promise<Delivery> {
    const open = this.questions();
    const asked = open.find(({ message }) => message.messageId === requestId);
    if (!asked) {
      const ids = open.map(({ message }) => message.messageId).join(", ") || "none";
      throw new MailboxError(
        "no-open-request",
        `No open question has this id. Open are: ${ids}. Later findings are a supplement.`,
      );
    }
    const answering: Report = { ...report, answers_request: requestId };
    const earlierReference = asked.message.body.reference ?? null;
    const note = (reportId: string): void =>
      this.#session.folder.put(`${ANSWERS}/${reportId}.json`, canonical({ request_id: requestId }));
    return this.#submissions.submit(answering, { ...settings, kind: "response", earlierReference }, note);
  }

  /** Write to the agency about a message: signed, sealed and saved before it is sent. Returns the id of the entry. */
  async write(messageId: string, { kind, by, text: words = "", outcome, reportId }: Writing): Promise<string> {
    const session = this.#session;
    if (!this.list().some(({ message }) => message.messageId === messageId))
      throw new MailboxError("unknown-message", "No message with this id begins a thread here.");
    const entry: Entry = {
      about: messageId,
      by,
      created_at: formatTime(session.now),
      entry_id: makeUuid7(session.now),
      environment: session.environment,
      kind,
      partner: session.partner,
      text: words,
      ...(outcome && { outcome }),
      ...(reportId && { report_id: reportId }),
    };
    const kept = await this.#keep(entry);
    try {
      await this.#send(kept);
      return entry.entry_id;
    } catch (error) {
      if (!(error instanceof ProblemError) || error.reason !== "unknown-agency-key") throw error;
      // The agency uses another key now. The box was never taken, so its words go under an id of their own.
      await session.refreshKeySet();
      session.folder.remove(`${ENTRIES}/${entry.entry_id}.json`);
      const again = await this.#keep({ ...entry, entry_id: makeUuid7(session.now) });
      await this.#send(again);
      return again.entry_id;
    }
  }

  /** Send the entries that the gateway does not have yet; without a connection it stops at the first. */
  async resume(): Promise<readonly EntryAttempt[]> {
    const attempts: EntryAttempt[] = [];
    for (const entryId of this.#session.folder.list(ENTRIES, ".json")) {
      try {
        const kept = this.#readKept(entryId);
        if (kept.post === null) continue;
        await this.#send(kept);
        attempts.push({ entryId });
      } catch (error) {
        if (!(error instanceof ReportAbuseError)) throw error;
        attempts.push({ entryId, error });
        if (error instanceof TransportError) break;
      }
    }
    return attempts;
  }

  async #keep(entry: Entry): Promise<Kept> {
    const post = await sealEntry(entry, { key: this.#session.getSealingKey(), signer: this.#session.keys.submission });
    const { about, by, entry_id, kind, outcome = null, report_id = null, created_at: written_at } = entry;
    return this.#save({ about, by, entry_id, kind, outcome, post, report_id, sent_at: null, written_at });
  }

  async #send(kept: Kept): Promise<void> {
    if (kept.post === null) return;
    await this.#session.call({ method: "POST", path: `/v1/mailbox/${kept.about}/entries`, body: kept.post });
    this.#save({ ...kept, post: null, sent_at: formatTime(this.#session.now) });
  }

  #save(kept: Kept): Kept {
    this.#session.folder.put(`${ENTRIES}/${kept.entry_id}.json`, canonical(kept));
    return kept;
  }

  #listKept(): readonly Kept[] {
    return this.#session.folder.list(ENTRIES, ".json").map((entryId) => this.#readKept(entryId));
  }

  #readKept(entryId: string): Kept {
    return this.#session.folder.read(`${ENTRIES}/${entryId}.json`, keptShape);
  }

  #listAnswers(): readonly (readonly [string, string])[] {
    const { folder } = this.#session;
    return folder
      .list(ANSWERS, ".json")
      .map((name) => [name, folder.read(`${ANSWERS}/${name}.json`, answerShape).request_id]);
  }
}

/** A time that is misspelled is none: the words of the message stand all the same. */
function findDueTime({ body }: ThreadStart): Date | null {
  try {
    return "due_at" in body ? parseTime(body.due_at) : null;
  } catch {
    return null;
  }
}

function getState(
  kind: ThreadKind,
  theirs: ReadonlySet<string>,
  own: readonly Kept[],
  given: readonly string[],
  delivered: ReadonlySet<string>,
): ThreadState {
  if (theirs.has("recall")) return "recalled";
  if (theirs.has("close")) return "closed";
  if (given.some((reportId) => delivered.has(reportId))) return "answered";
  // An answer inside the thread of a package or an alert changes nothing: nothing was asked of them.
  const counting = own.filter(
    (entry) =>
      entry.kind in STATES && (entry.kind !== "answer" || kind.endsWith("request") || kind === "terms-referral"),
  );
  const order = Object.keys(STATES);
  const furthest = counting.sort((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind)).at(-1);
  if (!furthest) return given.length ? "waiting" : "open";
  return furthest.post === null ? STATES[furthest.kind as keyof typeof STATES] : "waiting";
}
