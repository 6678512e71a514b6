/** A partner of the agency: an online service, or a body that receives packages. The one class that most programs need. */
import { type Environment, answer, nullable, oneOf, text } from "./shapes.js";
import { formatTime } from "./canonical.js";
import { type PageFacts, sealContext } from "./contexts.js";
import { type KeyIds, getKeyIds, parseInvitation } from "./enrolment.js";
import { LogError } from "./errors.js";
import type { Runtime } from "./gateway.js";
import { type EvidenceAttempt, type Files, type HandedOver, Handover } from "./handover.js";
import type { KeySet } from "./keys.js";
import { Mailbox, type Message } from "./mailbox.js";
import { type OpenedPackage, openPackage } from "./packages.js";
import { type Checkpoint, type LogPlace, LogTree, parseCheckpoint } from "./public_log.js";
import type { Report } from "./report.types.js";
import type { Receipt } from "./reports.js";
import { Session } from "./session.js";
import { type Attempt, type Delivery, type Progress, type ReportSettings, Submissions } from "./submissions.js";
import { type EntryAttempt, Threads } from "./threads.js";

const LOG = "log/checkpoint";
const CONTRADICTION = "log/contradiction";
const callerShape = answer({ environment: oneOf("live", "sandbox"), key_id: text(), partner: text() });
const statusShape = answer({
  caller: nullable(callerShape),
  environment: oneOf("live", "sandbox"),
  ready: (value) => value === true,
});

export type Status = ReturnType<typeof statusShape>;

/** The outcome of everything that waited. */
export interface Resumed {
  readonly reports: readonly Attempt[];
  readonly evidence: readonly EvidenceAttempt[];
  readonly entries: readonly EntryAttempt[];
}

export class Partner {
  readonly #session: Session;
  readonly #submissions: Submissions;
  readonly #handover: Handover;
  /** The agency's messages: `collect()`, `list(kind)`, `digests()`. */
  readonly mailbox: Mailbox;
  /** Packages, requests and alerts, with the entries about them: `list(kind)`, `questions()`, `answer()`, `write()`. */
  readonly threads: Threads;

  private constructor(session: Session) {
    this.#session = session;
    this.#submissions = new Submissions(session);
    this.#handover = new Handover(session, this.#submissions);
    this.mailbox = new Mailbox(session);
    this.threads = new Threads(session, this.mailbox, this.#submissions);
  }

  /**
   * Answer an invitation in a new folder. Read `keyIds` to the agency by phone; `status()` names the partner from its
   * approval on. If this is interrupted, call it again.
   */
  static async enrol(
    folder: string,
    invitation: Uint8Array | string,
    runtime: Partial<Runtime> = {},
  ): Promise<Partner> {
    return new Partner(await Session.enrol(folder, parseInvitation(invitation), runtime));
  }

  /** Open the folder of a partner that enrolled. */
  static async open(folder: string, runtime: Partial<Runtime> = {}): Promise<Partner> {
    return new Partner(await Session.open(folder, runtime));
  }

  get id(): string {
    return this.#session.partner;
  }

  get environment(): Environment {
    return this.#session.environment;
  }

  get keyIds(): KeyIds {
    return getKeyIds(this.#session.keys);
  }

  /** Ask the gateway under which name it knows these keys. Raises `NotAuthorisedError` until the agency has approved the keys. */
  async status(): Promise<Status> {
    return statusShape(await this.#session.callJson({ method: "GET", path: "/v1/status" }));
  }

  /** Fetch and check the agency's key set; `submit` and `write` do so by themselves. */
  refreshKeySet(): Promise<KeySet> {
    return this.#session.refreshKeySet();
  }

  /** Check, seal, save and send a report; return its verified receipt. */
  submit(report: Report, settings: ReportSettings): Promise<Delivery> {
    return this.#submissions.submit(report, settings);
  }

  /**
   * Submit a report with files, each under its `file_id`; look at `isComplete`. Before a P2 or a P3 the files go first; a P1
   * goes before them.
   */
  submitWithFiles(report: Report, settings: ReportSettings, files: Files): Promise<HandedOver> {
    return this.#handover.submit(report, settings, files);
  }

  /** Send everything that waits in the folder: reports without a receipt, then files, then words about messages. */
  async resume(): Promise<Resumed> {
    const reports = await this.#submissions.resume();
    const evidence = await this.#handover.resume();
    return { reports, evidence, entries: await this.threads.resume() };
  }

  /**
   * Seal the facts of one page for the agency alone; the token goes behind `#context=` in the link of its button, e.g. by a
   * server that renders the page. New for each rendering; asks no network.
   */
  sealContext(facts: PageFacts): Promise<string> {
    const { environment, partner, keys, now } = this.#session;
    return sealContext(facts, { environment, partner, key: this.#session.getSealingKey(), signer: keys.context, now });
  }

  /** Open the package of a message; raises `MailboxError` unless every byte of it is proven. */
  openPackage(message: Extract<Message, { kind: "package" }>): OpenedPackage {
    const { keySet, now, partner, environment } = this.#session;
    return openPackage(message.body, { keys: keySet.mailbox_keys, now, recipient: partner, environment });
  }

  /** The ids of reports that have no receipt yet. */
  listWaiting(): readonly string[] {
    return this.#submissions.listWaiting();
  }

  /** Forget a report that the gateway refuses for good. */
  discard(reportId: string): void {
    this.#submissions.discard(reportId);
  }

  /** Every receipt that is kept here, checked again, without network. */
  receipts(): readonly Delivery[] {
    return this.#submissions.list();
  }

  /** Check a receipt from anywhere against the report that this folder sent. */
  checkReceipt(receipt: Uint8Array | string): Receipt {
    return this.#submissions.check(receipt);
  }

  /**
   * Look for every receipt in the gateway's public log, and remember how far the log was. Raises `LogError` for a receipt that
   * does not stand there, and for a log that went back or shows another history. Null where the agency has no log.
   */
  async checkLog(): Promise<ReadonlyMap<string, LogPlace> | null> {
    const session = this.#session;
    const at = formatTime(session.now);
    const { log_keys: logKeys = [] } = await session.refreshKeySet();
    const keys = logKeys.filter((key) => key.not_before <= at && at < key.use_until).map((key) => key.public_key);
    if (!keys.length) return null;
    const { host } = new URL(session.gateway.origin);
    const read = async (path: string): Promise<Buffer> =>
      (await session.gateway.call({ method: "GET", path: `/log/${path}` })).bytes;
    const parse = (note: Buffer, trusted: readonly string[]): Checkpoint =>
      parseCheckpoint(note.toString(), { origin: `${host}/log`, keys: trusted });
    const saved = session.folder.find(LOG);
    const before =
      saved &&
      parse(
        saved,
        logKeys.map((key) => key.public_key),
      );
    const newest = parse(await read("checkpoint"), keys);
    const tree = new LogTree(newest, read);
    try {
      if (before) await tree.checkFollows(before);
    } catch (error) {
      // Both are signed: together they prove it, and the first that contradicted is never written again.
      if (error instanceof LogError && !session.folder.find(CONTRADICTION))
        session.folder.put(CONTRADICTION, newest.note);
      throw error;
    }
    const places = new Map<string, LogPlace>();
    for (const { reportId, receipt, received_at: receivedAt } of this.receipts()) {
      places.set(reportId, await tree.find(receipt, { receivedAt, now: session.now, before }));
    }
    session.folder.put(LOG, newest.note);
    return places;
  }

  /** Ask how far a report is. */
  progress(reportId: string): Promise<Progress> {
    return this.#submissions.progress(reportId);
  }
}
