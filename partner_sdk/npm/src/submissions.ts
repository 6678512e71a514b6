/** Reports on their way: sealed and saved before the network is asked, sent until there is a receipt. */
import { type Json, makeUuid7, parseJson } from "./canonical.js";
import { LocalStateError, ProblemError, ReportAbuseError, StatementError, TransportError } from "./errors.js";
import type { Report } from "./report.types.js";
import {
  type EvidenceReference,
  type Priority,
  type Receipt,
  type ReportKind,
  checkReport,
  postShape,
  sealReport,
  submissionShape,
  verifyReceipt,
} from "./reports.js";
import type { Session } from "./session.js";
import { type Of, answer, nullable, text, uuid7 } from "./shapes.js";
import { parseStatement, readClaimed } from "./statements.js";

const UNKNOWN_AGENCY_KEY = "unknown-agency-key";
const progressShape = answer({ outcome: nullable(text()), set_aside_reason: nullable(text()), stage: text() });

/** How far a report is: `stage` is `received`, `collected`, `set_aside` (with its reason) or `opened`. */
export type Progress = Of<typeof progressShape>;

/** A report that is delivered. `receipt` are the bytes of its receipt as they came: keep them. */
export interface Delivery extends Receipt {
  readonly reportId: string;
  readonly receipt: Buffer;
}

/** One report that waited: its delivery, or the error that stopped it. */
export interface Attempt {
  readonly reportId: string;
  readonly delivery?: Delivery;
  readonly error?: ReportAbuseError;
}

export interface ReportSettings {
  readonly priority: Priority;
  readonly kind?: ReportKind;
  /** The reference of the report that this one adds to, corrects, takes back, or answers for. */
  readonly earlierReference?: string | null;
}

/** Records the id of a report before it is sealed. */
export type Note = (reportId: string) => void;

const bodyOf = (reportId: string): string => `reports/${reportId}.body.json`;
const receiptOf = (reportId: string): string => `reports/${reportId}.receipt.json`;

export class Submissions {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  makeId(): string {
    return makeUuid7(this.#session.now);
  }

  /** Check, seal, sign and save a report; nothing is sent. An id that is given must not have been sent before. */
  async seal(
    report: Report,
    settings: ReportSettings & { evidence?: readonly EvidenceReference[]; reportId?: string },
  ): Promise<string> {
    checkReport(report, settings);
    const { environment, partner, keys, now } = this.#session;
    const { reportId = this.makeId() } = settings;
    const { body } = await sealReport(report, {
      ...settings,
      environment,
      partner,
      reportId,
      signer: keys.submission,
      key: this.#session.getSealingKey(),
      now,
    });
    this.#session.folder.put(bodyOf(reportId), body);
    return reportId;
  }

  /** Seal, save and send a report, and return its verified receipt. */
  async submit(
    report: Report,
    settings: ReportSettings & { evidence?: readonly EvidenceReference[] },
    note: Note = () => {},
  ): Promise<Delivery> {
    const session = this.#session;
    const reportId = this.makeId();
    note(reportId);
    await this.seal(report, { ...settings, reportId });
    const keyId = session.getSealingKey().key_id;
    await session.refreshIfOld();
    if (session.getSealingKey().key_id !== keyId) await this.seal(report, { ...settings, reportId });
    try {
      return await this.deliver(reportId);
    } catch (error) {
      if (!(error instanceof ProblemError) || error.reason !== UNKNOWN_AGENCY_KEY) throw error;
      await session.refreshKeySet();
      const again = this.makeId();
      note(again);
      await this.seal(report, { ...settings, reportId: again });
      session.folder.remove(bodyOf(reportId));
      return this.deliver(again);
    }
  }

  /** Send a report that is saved, and verify and save its receipt. */
  async deliver(reportId: string): Promise<Delivery> {
    const { folder } = this.#session;
    const body = folder.get(bodyOf(uuid7(reportId)));
    const { bytes } = await this.#session.call({ method: "POST", path: "/v1/reports", body });
    const facts = await this.#verify(bytes, body);
    folder.put(receiptOf(reportId), bytes);
    return { ...facts, reportId, receipt: bytes };
  }

  /** Send every report that has no receipt yet, P1 first, then the oldest; without a connection it stops at the first. */
  async resume(): Promise<readonly Attempt[]> {
    const attempts: Attempt[] = [];
    for (const reportId of this.#listByUrgency()) {
      try {
        attempts.push({ reportId, delivery: await this.deliver(reportId) });
      } catch (error) {
        if (!(error instanceof ReportAbuseError)) throw error;
        attempts.push({ reportId, error });
        if (error instanceof TransportError) break;
      }
    }
    return attempts;
  }

  listDelivered(): string[] {
    return this.#session.folder.list("reports", ".receipt.json");
  }

  listWaiting(): string[] {
    const delivered = new Set(this.listDelivered());
    return this.#session.folder.list("reports", ".body.json").filter((reportId) => !delivered.has(reportId));
  }

  /** A child at risk does not wait behind a night's queue; a file that cannot be read comes last. */
  #listByUrgency(): string[] {
    const rank = (reportId: string): string => {
      try {
        return this.find(reportId)?.priority ?? "";
      } catch (error) {
        if (!(error instanceof ReportAbuseError)) throw error;
        return "unreadable";
      }
    };
    return this.listWaiting()
      .map((reportId) => `${rank(reportId)} ${reportId}`)
      .sort()
      .map((line) => line.slice(line.indexOf(" ") + 1));
  }

  /** Forget a report that the gateway refuses for good; never one that has a receipt. */
  discard(reportId: string): void {
    if (this.#session.folder.find(receiptOf(uuid7(reportId))))
      throw new LocalStateError("delivered", "This report has a receipt: it is kept.");
    this.#session.folder.remove(bodyOf(reportId));
  }

  /** Read and check every receipt that is kept here; needs no network. */
  list(): readonly Delivery[] {
    return this.listDelivered().map((reportId) => this.read(reportId));
  }

  /** Read and check one receipt that is kept here. */
  read(reportId: string): Delivery {
    const { folder, keySet, now } = this.#session;
    const receipt = folder.get(receiptOf(uuid7(reportId)));
    return { ...verifyReceipt(receipt, { body: folder.get(bodyOf(reportId)), keySet, now }), reportId, receipt };
  }

  /** Check a receipt from anywhere against the report that was sent from this folder. */
  check(receipt: Uint8Array | string): Receipt {
    const { folder, keySet, now } = this.#session;
    const claimed = answer({ clear: answer({ report_id: uuid7 }) })(readClaimed(parseStatement(receipt)) as Json);
    return verifyReceipt(receipt, { body: folder.get(bodyOf(claimed.clear.report_id)), keySet, now });
  }

  /** Return the clear fields of a report that was sealed here. */
  find(reportId: string): Of<typeof submissionShape> | undefined {
    const body = this.#session.folder.find(bodyOf(uuid7(reportId)));
    return body && submissionShape(readClaimed(postShape(parseJson(body)).statement) as Json);
  }

  async progress(reportId: string): Promise<Progress> {
    return progressShape(await this.#session.callJson({ method: "GET", path: `/v1/reports/${uuid7(reportId)}` }));
  }

  /** A receipt under a key that is newer than the saved key set: fetch it, and look again. */
  async #verify(receipt: Buffer, body: Buffer): Promise<Receipt> {
    const verify = (): Receipt =>
      verifyReceipt(receipt, { body, keySet: this.#session.keySet, now: this.#session.now });
    try {
      return verify();
    } catch (error) {
      if (!(error instanceof StatementError) || error.reason !== "unknown-key") throw error;
      await this.#session.refreshKeySet();
      return verify();
    }
  }
}
