/**
 * Hands files over with a report (WIRE.md §6.6). Before a P2 or a P3 the files go first, and the report carries their digests;
 * a P1 goes before its files, and a supplement brings the digests. A report never waits for a file that does not get through.
 * Waiting files are noted in `evidence/` of the folder, with the secret of their report, until the gateway has them whole.
 */
import { randomBytes } from "node:crypto";

import { type Json, canonical, makeUuid7, parseBase64url, sha256, toBase64url } from "./canonical.js";
import { ConflictError, EvidenceError, type FieldFault, ReportAbuseError, ReportError } from "./errors.js";
import {
  type FileFacts,
  countSealedBytes,
  digestEvidence,
  makeEvidenceKey,
  measureFile,
  placeOfPart,
  readPart,
  sealPart,
  withFile,
} from "./evidence.js";
import type { Report, ReportedFile } from "./report.types.js";
import { type EvidenceReference, checkReport, listGiven } from "./reports.js";
import type { Session } from "./session.js";
import { type Of, answer, base64url, boolean, digest, integer, list, nullable, object, text, uuid7 } from "./shapes.js";
import type { Delivery, ReportSettings, Submissions } from "./submissions.js";

const FOLDER = "evidence";
const SECRET_BYTES = 32;
const PARTS_IN_FLIGHT = 4;
const ANY_TEXT = text();
const fileShape = object({
  digest: nullable(digest),
  evidence_id: uuid7,
  file_id: text(),
  path: text(),
  sha256: digest,
  size_bytes: integer(),
});
const journalShape = object({
  carries_digests: boolean,
  cover: (value) => value as Json,
  files: list(fileShape),
  reference: nullable(ANY_TEXT),
  report_id: uuid7,
  secret: base64url(SECRET_BYTES),
  supplement_id: uuid7,
});
type Journal = Of<typeof journalShape>;
type JournalFile = Of<typeof fileShape>;
const partsShape = answer({ digest: nullable(digest), parts: list(answer({ part: integer(), sha256: digest })) });
const completeShape = answer({ digest });

// By these words the desk knows a supplement without news (§6.6), and does not show it as any.
const COVER_NARRATIVE =
  "The evidence that the earlier report names has been handed over whole. " +
  "This supplement brings the fingerprints of the sealed files and says nothing else.";
const COVER_NEW_IDS = " Changed since that report, and handed over under a new evidence id: ";
const COVER_TIME = "As in the earlier report.";

/** A report that is delivered, and how far its files are. Nothing has to be submitted again: `resumeEvidence` continues. */
export interface HandedOver extends Delivery {
  readonly isComplete: boolean;
  /** The ids of files that the gateway does not hold whole. */
  readonly waiting: readonly string[];
  readonly error?: ReportAbuseError;
}

/** The waiting files of one report: all are there now, or the error that stopped them. */
export interface EvidenceAttempt {
  readonly reportId: string;
  readonly waiting: readonly string[];
  readonly error?: ReportAbuseError;
}

/** The paths of files, by the `file_id` that the report gives each. */
export type Files = Readonly<Record<string, string>>;

export class Handover {
  readonly #session: Session;
  readonly #submissions: Submissions;

  constructor(session: Session, submissions: Submissions) {
    this.#session = session;
    this.#submissions = submissions;
  }

  /** Submit a report with files; it is sealed and saved before the first part is sent. */
  async submit(report: Report, settings: ReportSettings, files: Files): Promise<HandedOver> {
    checkReport(report, settings);
    const facts = new Map<string, FileFacts>();
    for (const [fileId, path] of Object.entries(files)) facts.set(fileId, await measureFile(path));
    checkFiles(report, facts);
    let journal = this.#begin(report, facts);
    const reportId = journal.report_id;
    await this.#submissions.seal(report, { ...settings, evidence: referTo(journal), reportId });
    let error: ReportAbuseError | undefined;
    if (settings.priority !== "P1") {
      [journal, error] = await this.#upload(journal, facts);
      if (isWhole(journal)) {
        // It was never sent: the same id holds the digests now, and no supplement has to bring them.
        await this.#submissions.seal(report, { ...settings, evidence: referTo(journal), reportId });
        this.#save({ ...journal, carries_digests: true });
        const delivery = await this.#submissions.deliver(reportId);
        this.#session.folder.remove(fileOf(reportId));
        return { ...delivery, isComplete: true, waiting: [] };
      }
    }
    const delivery = await this.#submissions.deliver(reportId);
    journal = this.#save({ ...journal, reference: delivery.reference });
    const rest = error ? { waiting: listWaiting(journal), error } : await this.#finish(journal, facts);
    return {
      ...delivery,
      isComplete: !rest.error && !rest.waiting.length,
      waiting: rest.waiting,
      ...(rest.error && { error: rest.error }),
    };
  }

  /** Continue with every file that waits; no part is sent twice, and a file that changed starts again. */
  async resume(): Promise<readonly EvidenceAttempt[]> {
    const attempts: EvidenceAttempt[] = [];
    for (const name of this.#session.folder.list(FOLDER, ".json")) {
      let journal: Journal | undefined;
      try {
        journal = this.#session.folder.read(fileOf(name), journalShape);
        if (!this.#submissions.find(name))
          this.#session.folder.remove(fileOf(name)); // its report was never sealed, or was discarded
        else {
          const sent = this.#submissions.listDelivered().includes(name);
          const reference =
            journal.reference ??
            (sent ? this.#submissions.read(name) : await this.#submissions.deliver(name)).reference;
          journal = this.#save({ ...journal, reference });
          attempts.push({ reportId: name, ...(await this.#finish(journal, new Map())) });
        }
      } catch (error) {
        if (!(error instanceof ReportAbuseError)) throw error;
        attempts.push({ reportId: name, waiting: journal ? listWaiting(journal) : [], error });
      }
    }
    return attempts;
  }

  #begin(report: Report, facts: ReadonlyMap<string, FileFacts>): Journal {
    const { now } = this.#session;
    const files = [...facts].map(([fileId, { path, sha256: hash, sizeBytes }]) => {
      return { digest: null, evidence_id: makeUuid7(now), file_id: fileId, path, sha256: hash, size_bytes: sizeBytes };
    });
    return this.#save({
      carries_digests: false,
      cover: makeCover(report, facts) as unknown as Json,
      files,
      reference: null,
      report_id: this.#submissions.makeId(),
      secret: toBase64url(randomBytes(SECRET_BYTES)),
      supplement_id: this.#submissions.makeId(),
    });
  }

  /** Send the waiting files, and then the supplement that brings their digests. */
  async #finish(
    before: Journal,
    facts: ReadonlyMap<string, FileFacts>,
  ): Promise<{ waiting: readonly string[]; error?: ReportAbuseError }> {
    if (before.carries_digests) {
      this.#session.folder.remove(fileOf(before.report_id));
      return { waiting: [] };
    }
    const [journal, error] = await this.#upload(before, facts);
    if (error) return { waiting: listWaiting(journal), error };
    try {
      const named = new Set(this.#submissions.find(journal.report_id)?.evidence_ids);
      const renewed = journal.files.filter((file) => !named.has(file.evidence_id)).map((file) => file.file_id);
      const cover = journal.cover as unknown as Report;
      const narrative = COVER_NARRATIVE + (renewed.length ? `${COVER_NEW_IDS}${renewed.sort().join(", ")}.` : "");
      const supplement: Report = { ...cover, incident: { ...cover.incident, narrative } };
      const { reference: earlierReference, supplement_id: reportId } = journal;
      if (!this.#submissions.find(reportId)) {
        await this.#submissions.seal(supplement, {
          priority: "P3",
          kind: "supplement",
          earlierReference,
          evidence: referTo(journal),
          reportId,
        });
      }
      await this.#submissions.deliver(reportId);
      this.#session.folder.remove(fileOf(journal.report_id));
      return { waiting: [] };
    } catch (failed) {
      if (!(failed instanceof ReportAbuseError)) throw failed;
      return { waiting: [], error: failed };
    }
  }

  async #upload(
    before: Journal,
    facts: ReadonlyMap<string, FileFacts>,
  ): Promise<[Journal, ReportAbuseError | undefined]> {
    let journal = before;
    let error: ReportAbuseError | undefined;
    for (const waiting of before.files.filter((file) => file.digest === null)) {
      try {
        const measured = facts.get(waiting.file_id) ?? (await measureFile(waiting.path));
        const isChanged = measured.sha256 !== waiting.sha256;
        const file = isChanged ? this.#renew(waiting, measured) : waiting;
        if (isChanged) journal = this.#put(journal, file);
        journal = this.#put(journal, { ...file, digest: await this.#send(file, measured, journal.secret) });
      } catch (failed) {
        if (!(failed instanceof ReportAbuseError)) throw failed;
        error ??= failed;
        // Other bytes under this id, e.g. of a try that was cut off before its journal: it starts again under another.
        if (failed instanceof ConflictError)
          journal = this.#put(journal, { ...waiting, evidence_id: makeUuid7(this.#session.now) });
        if (!(failed instanceof EvidenceError)) break;
      }
    }
    return [journal, error];
  }

  #renew(file: JournalFile, { sha256: hash, sizeBytes }: FileFacts): JournalFile {
    return { ...file, evidence_id: makeUuid7(this.#session.now), sha256: hash, size_bytes: sizeBytes };
  }

  /** Send the parts that the gateway lacks, a few at a time, and return the digest of the whole. */
  async #send(file: JournalFile, { path, partSha256 }: FileFacts, secret: string): Promise<string> {
    const { evidence_id: id, size_bytes: sizeBytes } = file;
    const held = new Map((await this.#listParts(id)).map(({ part, sha256: hash }) => [part, hash]));
    const key = makeEvidenceKey(parseBase64url(secret), Buffer.from(file.sha256, "hex"));
    const sealedSha256: Buffer[] = [];
    await withFile(path, async (handle) => {
      let next = 0;
      const work = async (): Promise<void> => {
        while (next < partSha256.length) {
          const part = next++;
          const plain = await readPart(handle, placeOfPart(part, sizeBytes));
          // One key encrypts one byte string: nothing is sealed that is not the part which was hashed (§6.6).
          if (!sha256(plain).equals(partSha256[part] as Buffer))
            throw new EvidenceError("file-changed", `${path} was changed while it was sent.`);
          const sealed = sealPart(plain, { key, part, sizeBytes });
          const hash = sha256(sealed);
          sealedSha256[part] = hash;
          if (held.get(part) === hash.toString("hex")) continue;
          await this.#session.call({
            method: "PUT",
            path: `/v1/evidence/${id}/${part}`,
            body: sealed,
            contentType: "application/octet-stream",
          });
        }
      };
      // Those in flight end before the file is closed; after the first failure none begins.
      const workers = Array.from({ length: PARTS_IN_FLIGHT }, () => work().finally(() => (next = Infinity)));
      for (const ended of await Promise.allSettled(workers)) if (ended.status === "rejected") throw ended.reason;
    });
    const sealedBytes = countSealedBytes(sizeBytes);
    const whole = digestEvidence(sealedSha256, sealedBytes).toString("hex");
    const body = canonical({ digest: whole, parts: sealedSha256.length, size_bytes: sealedBytes });
    const completed = completeShape(
      await this.#session.callJson({ method: "POST", path: `/v1/evidence/${id}/complete`, body }),
    );
    if (completed.digest !== whole)
      throw new EvidenceError("other-digest", `The gateway holds other bytes of ${path}.`);
    return whole;
  }

  async #listParts(id: string): Promise<Of<typeof partsShape>["parts"]> {
    try {
      return partsShape(await this.#session.callJson({ method: "GET", path: `/v1/evidence/${id}` })).parts;
    } catch (error) {
      if ((error as { status?: number }).status === 404) return []; // nothing of it is there yet
      throw error;
    }
  }

  #put(journal: Journal, file: JournalFile): Journal {
    return this.#save({ ...journal, files: journal.files.map((one) => (one.file_id === file.file_id ? file : one)) });
  }

  #save(journal: Journal): Journal {
    this.#session.folder.put(fileOf(journal.report_id), canonical(journal));
    return journal;
  }
}

const fileOf = (reportId: string): string => `${FOLDER}/${reportId}.json`;
const isWhole = (journal: Journal): boolean => journal.files.every((file) => file.digest !== null);
const listWaiting = (journal: Journal): string[] =>
  journal.files.filter((file) => file.digest === null).map((file) => file.file_id);

function referTo({ files, secret }: Journal): readonly EvidenceReference[] {
  return files.map(({ path: _, ...file }) => ({ ...file, secret }));
}

/** Each file is one of the report's, and the one that the report describes. */
function checkFiles(report: Report, facts: ReadonlyMap<string, FileFacts>): void {
  const listed = listGiven(report.files);
  const faults: FieldFault[] = [];
  for (const [fileId, { sizeBytes, sha256: hash }] of facts) {
    const place = listed.findIndex((file) => file.file_id === fileId);
    const file = listed[place];
    const named = listGiven(file?.hashes).find(({ type }) => type === "sha256")?.value;
    if (!file) faults.push({ pointer: "#/files", detail: "List each file that is handed over, under its file_id." });
    if (typeof file?.size_bytes === "number" && file.size_bytes !== sizeBytes)
      faults.push({ pointer: `#/files/${place}/size_bytes`, detail: "The file has another size." });
    if (named !== undefined && named.toLowerCase() !== hash)
      faults.push({ pointer: `#/files/${place}/hashes`, detail: "The file has another SHA-256." });
  }
  if (faults.length)
    throw new ReportError("other-file", "A file is not the one that the report describes; nothing was sent.", faults);
}

/** The required fields and no word more: so that none about a person has to be kept until the files have got through. */
function makeCover(report: Report, facts: ReadonlyMap<string, FileFacts>): Report {
  const { reporter, discovery, incident } = report;
  const { declaration, organisation, sector, service, submitter_name, submitter_email, submitter_telephone } = reporter;
  const strip = ({
    file_id,
    relevance,
    viewed_by_staff,
    exif_viewed_by_staff,
    copy_kept_until,
  }: ReportedFile): ReportedFile => {
    return { file_id, relevance, viewed_by_staff, exif_viewed_by_staff, copy_kept_until };
  };
  return {
    schema_version: report.schema_version,
    category: report.category,
    sub_label: report.sub_label,
    reporter: { declaration, organisation, sector, service, submitter_name, submitter_email, submitter_telephone },
    discovery: { discovered_by: discovery.discovered_by, detected_at: discovery.detected_at },
    incident: {
      happened_at: incident.happened_at,
      time_meaning: COVER_TIME,
      medium: incident.medium,
      narrative: COVER_NARRATIVE,
    },
    files: listGiven(report.files)
      .filter((file) => facts.has(file.file_id))
      .map(strip),
  };
}
