// A partner against a small agency: lost calls are made again, wrong answers are refused, and nothing sealed is forgotten.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";

import * as client from "report-abuse-partner";

import { readKeys } from "../dist/enrolment.js";
import { Folder } from "../dist/folder.js";
import { Agency, json, problem } from "./agency.mjs";
import { readContext } from "./receiver.mjs";

const { Partner } = client;
const REPORT = JSON.parse(readFileSync(new URL("../../examples/report.json", import.meta.url)));
const FILE = { copy_kept_until: null, exif_viewed_by_staff: false, file_id: "file-1", relevance: "reported", viewed_by_staff: true };
const WITH_FILE = { ...REPORT, files: [FILE] };
const P2 = { priority: "P2" };
const root = mkdtempSync(join(tmpdir(), "report-abuse-npm-"));
after(() => rmSync(root, { recursive: true }));

let agency, partner, folder, invitation;
let count = 0;

beforeEach(async () => {
  agency = await Agency.make();
  folder = join(root, String((count += 1)));
  invitation = agency.invitation();
  partner = await Partner.enrol(folder, invitation, agency.surroundings());
  const keys = await readKeys(Folder.at(folder));
  agency.submissionKey = keys.submission.publicKey;
  agency.partnerMailbox = { key_id: partner.keyIds.mailbox, public_key: keys.mailboxPublicKey.toString("base64url") };
  agency.calls = [];
});

const reopen = () => Partner.open(folder, agency.surroundings());
const refuses = (name, reason, work) => assert.rejects(work, (error) => error instanceof client[name] && error.reason === reason);
const paths = () => agency.calls.map(({ method, path }) => `${method} ${path.replace(/[0-9a-f-]{36}/, "ID")}`);

test("an enrolment that is interrupted goes on with the same keys and the same box", async () => {
  const { keyIds } = partner;
  const again = await Partner.enrol(folder, invitation, agency.surroundings());
  assert.deepEqual(again.keyIds, keyIds);
  await Partner.enrol(folder, invitation, agency.surroundings());
  const boxes = agency.calls.filter(({ path }) => path === "/v1/enrol").map(({ body }) => String(body));
  assert.deepEqual([boxes.length, new Set(boxes).size], [2, 1]);
  await refuses("EnrolmentError", "another-invitation", Partner.enrol(folder, agency.invitation(), agency.surroundings()));
});

test("an invitation is refused if it is none, or for a root that is not the agency's", async () => {
  await refuses("EnrolmentError", "malformed", Partner.enrol(join(root, "x"), "{}"));
  const stranger = agency.invitation({ root_fingerprint: "0".repeat(64) });
  await refuses("KeySetError", "wrong-root", Partner.enrol(join(root, "y"), stranger, agency.surroundings()));
  await refuses("FormatError", "not-https", Partner.enrol(join(root, "z"), agency.invitation({ origin: "http://report.example" })));
});

test("a folder that others can read is refused, and so is a damaged key", async () => {
  chmodSync(folder, 0o755);
  await refuses("LocalStateError", "readable-by-others", reopen());
  chmodSync(folder, 0o700);
  writeFileSync(join(folder, "keys/context.key"), "{}");
  await refuses("LocalStateError", "damaged", reopen());
  await refuses("LocalStateError", "missing", Partner.open(join(root, "nowhere")));
});

test("a report is sealed once, and each try is signed afresh, until there is an answer", async () => {
  agency.faults = ["lost", problem(503, "busy", { "Retry-After": "7" }), problem(429, "rate-limited")];
  const delivery = await partner.submit(REPORT, P2);
  const tries = agency.calls.filter(({ path }) => path === "/v1/reports");
  assert.deepEqual([tries.length, new Set(tries.map(({ body }) => String(body))).size], [4, 1]);
  assert.equal(new Set(tries.map(({ headers }) => headers.Signature)).size, 4);
  assert.equal(agency.slept[1], 7);
  const { clear, report } = await agency.openReport(delivery.reportId);
  assert.deepEqual([clear, report], [JSON.parse(JSON.stringify(delivery.clear)), REPORT]);
});

test("a report that was not delivered waits in the folder and is sent later, once", async () => {
  agency.faults = Array(5).fill("unreachable");
  await refuses("TransportError", "no-answer", partner.submit(REPORT, P2));
  const later = await reopen();
  const [waiting] = later.listWaiting();
  agency.faults = ["lost", ...Array(4).fill("unreachable")];
  const { reports } = await later.resume();
  assert.equal(reports[0].error.reason, "no-answer");
  const again = await later.resume();
  assert.deepEqual([again.reports[0].reportId, again.reports[0].delivery.reference], [waiting, "TEST-K7QF-2M9TX-D"]);
  assert.deepEqual([later.listWaiting(), agency.reports.size], [[], 1]);
});

test("a report that is refused for good can be discarded, and a delivered one cannot", async () => {
  agency.faults = [problem(422, "statement-refused")];
  await refuses("RefusedError", "statement-refused", partner.submit(REPORT, P2));
  partner.discard(partner.listWaiting()[0]);
  assert.deepEqual(partner.listWaiting(), []);
  const { reportId } = await partner.submit(REPORT, P2);
  assert.throws(() => partner.discard(reportId), client.LocalStateError);
});

test("a report for a key that the agency no longer takes is sealed again under a new id", async () => {
  await agency.renewSealingKey();
  agency.faults = [problem(422, "unknown-agency-key")];
  const delivery = await partner.submit(REPORT, P2);
  const { report } = await agency.openReport(delivery.reportId);
  assert.deepEqual(report, REPORT);
  assert.deepEqual(partner.listWaiting(), []);
});

test("a key set that is old is fetched again before a report is sent, and a changed key is used", async () => {
  await agency.renewSealingKey();
  agency.now = new Date(agency.now.getTime() + 11 * 60 * 1000);
  const { reportId } = await partner.submit(REPORT, P2);
  assert.deepEqual((await agency.openReport(reportId)).report, REPORT);
});

test("an older key set and a forked one are refused, also after a restart", async () => {
  agency.serial += 1;
  await partner.refreshKeySet();
  agency.serial -= 1;
  await refuses("KeySetError", "stale-serial", (await reopen()).refreshKeySet());
  agency.serial += 1;
  await agency.renewSealingKey();
  agency.serial -= 1;
  await refuses("KeySetError", "forked-serial", (await reopen()).refreshKeySet());
});

test("a receipt for another report, or signed by a stranger, is no receipt", async () => {
  agency.receiptChanges = { submission_sha256: "0".repeat(64) };
  await refuses("ReceiptError", "other-submission", partner.submit(REPORT, P2));
  assert.equal(partner.listWaiting().length, 1);
  agency.reports.clear();
  agency.receiptChanges = {};
  agency.receiptSigner = agency.mailboxKey;
  await refuses("StatementError", "unknown-key", partner.resume().then(({ reports }) => Promise.reject(reports[0].error)));
});

test("a receipt proves itself without network, and an altered one does not", async () => {
  const { receipt, reference } = await partner.submit(REPORT, P2);
  agency.now = new Date("2032-11-25T08:30:00Z");
  const later = await reopen();
  assert.equal(later.checkReceipt(receipt).reference, reference);
  const altered = String(receipt).replace(/"sig":"./, '"sig":"_');
  assert.throws(() => later.checkReceipt(altered), client.StatementError);
  agency.now = new Date("2033-11-25T08:30:00Z");
  assert.throws(() => later.checkReceipt(receipt), client.StatementError);
  await refuses("KeySetError", "expired", later.submit(REPORT, P2));
});

test("every answer that is a problem has its error", async () => {
  const expected = { 401: "NotAuthorisedError", 403: "RefusedError", 404: "RefusedError", 409: "ConflictError", 422: "RefusedError" };
  for (const [status, name] of Object.entries(expected)) {
    agency.faults = [problem(Number(status), "some-slug")];
    const error = await partner.status().catch((caught) => caught);
    assert.equal(error.name, name);
    assert.deepEqual([error.reason, error.status, error.requestId, error.detail], ["some-slug", Number(status), "7d5f1d0e-0000-4000-8000-000000000001", "Because."]);
    assert.deepEqual(error.faults, [{ pointer: "#/a", detail: "Mend it." }]);
  }
  agency.faults = Array.from({ length: 5 }, () => new Response("<h1>Bad gateway</h1>", { status: 502 }));
  await refuses("UnavailableError", "about:blank", partner.status());
  agency.faults = [problem(503, "busy", { "Retry-After": "121" })];
  const patient = await partner.status().catch((caught) => caught);
  assert.deepEqual([patient.name, patient.retryAfterSeconds], ["UnavailableError", 121]);
  agency.faults = [json(200, '{"a":1,"a":2}')];
  await refuses("FormatError", "malformed", partner.status());
});

test("a report that does not fit is refused with every fault, and nothing is saved", async () => {
  const wrong = { ...REPORT, countries: ["gb"], shoe_size: "secret words", suspects: [{ username: 5 }], conversations: [{ thread_id: "t", messages: [] }] };
  delete wrong.priority_reason;
  const error = await partner.submit(wrong, { priority: "P1", kind: "correction" }).catch((caught) => caught);
  assert.equal(error.name, "ReportError");
  const found = error.faults.map(({ pointer }) => pointer);
  for (const pointer of ["#", "#/countries/0", "#/suspects/0/service_user_id", "#/suspects/0/username", "#/priority_reason", "#/change_reason"]) {
    assert.ok(found.includes(pointer), `${pointer} is not in ${found}`);
  }
  assert.ok(!error.message.includes("secret words") && !error.message.includes("shoe_size"));
  const messages = ["2026-11-24T18:31:00Z", "2026-11-24T18:30:00Z"].map((sent_at) => ({ sender: "a", sent_at, type: "text", file_id: "file-9" }));
  const contradicting = { ...REPORT, answers_request: "x", discovery: { ...REPORT.discovery, detected_at: "2026-02-31T00:00:00Z" }, conversations: [{ thread_id: "t", messages }], files: [FILE, FILE] };
  const second = await partner.submit(contradicting, P2).catch((caught) => caught);
  assert.deepEqual(second.faults.map(({ pointer }) => pointer).sort(), [
    "#/answers_request",
    "#/conversations/0/messages/0/file_id",
    "#/conversations/0/messages/1/file_id",
    "#/conversations/0/messages/1/sent_at",
    "#/discovery/detected_at",
    "#/files/1/file_id",
  ]);
  await refuses("FormatError", "bad-reference", partner.submit({ ...REPORT, change_reason: "It was wrong." }, { ...P2, kind: "correction", earlierReference: "TEST-K7QF-2M9TX-E" }));
  assert.deepEqual([agency.calls, partner.listWaiting()], [[], []]);
});

test("files go before a P3, which carries their digests; no part is sent twice", async () => {
  const path = join(root, "two-parts.bin");
  const plain = Buffer.alloc(8_400_000, "synthetic");
  writeFileSync(path, plain);
  agency.faults = [undefined, undefined, ...Array(5).fill("unreachable")];
  const first = await partner.submitWithFiles(WITH_FILE, { priority: "P3" }, { "file-1": path });
  assert.deepEqual([first.isComplete, first.waiting, first.error.reason], [false, ["file-1"], "no-answer"]);
  const sent = (text) => paths().filter((one) => one.startsWith(text)).length;
  const before = sent("PUT");
  const { evidence } = await (await reopen()).resume();
  assert.deepEqual(evidence, [{ reportId: first.reportId, waiting: [] }]);
  assert.ok(sent("PUT") - before <= 2 && agency.parts.size === 2);
  const [supplement] = [...agency.reports.values()].filter(({ clear }) => clear.kind === "supplement");
  const { evidence: named, clear } = await agency.openReport(supplement.clear.report_id);
  assert.deepEqual([clear.earlier_reference, clear.priority], [first.reference, "P3"]);
  assert.deepEqual(agency.openEvidence(named[0]), plain);
  assert.deepEqual(readdirSync(join(folder, "evidence")), []);

  const whole = await partner.submitWithFiles(WITH_FILE, { priority: "P3" }, { "file-1": path });
  const report = await agency.openReport(whole.reportId);
  assert.deepEqual([whole.isComplete, report.evidence[0].digest], [true, agency.complete.get(report.evidence[0].evidence_id).digest]);
});

test("a P1 goes before its files, and a file that changed starts again under a new id", async () => {
  const path = join(root, "clip.bin");
  writeFileSync(path, "first");
  agency.faults = [undefined, ...Array(5).fill("unreachable")];
  const first = await partner.submitWithFiles(WITH_FILE, { priority: "P1" }, { "file-1": path });
  assert.equal(paths()[0], "POST /v1/reports");
  assert.deepEqual([first.isComplete, first.waiting], [false, ["file-1"]]);
  writeFileSync(path, "second");
  await partner.resume();
  const [supplement] = [...agency.reports.values()].filter(({ clear }) => clear.kind === "supplement");
  const { evidence, report } = await agency.openReport(supplement.clear.report_id);
  assert.notEqual(evidence[0].evidence_id, first.clear.evidence_ids[0]);
  assert.equal(String(agency.openEvidence(evidence[0])), "second");
  assert.ok(report.incident.narrative.endsWith("under a new evidence id: file-1."));
});

test("a file that is not the one of the report, or is not there, is refused before anything is sealed", async () => {
  const path = join(root, "other.bin");
  writeFileSync(path, "abc");
  const described = { ...REPORT, files: [{ ...FILE, size_bytes: 4, hashes: [{ type: "sha256", value: "0".repeat(64) }] }] };
  const error = await partner.submitWithFiles(described, P2, { "file-1": path, "file-2": path }).catch((caught) => caught);
  assert.deepEqual(error.faults.map(({ pointer }) => pointer), ["#/files/0/size_bytes", "#/files/0/hashes", "#/files"]);
  await refuses("EvidenceError", "missing", partner.submitWithFiles(WITH_FILE, P2, { "file-1": join(root, "gone") }));
  assert.deepEqual([agency.calls, partner.listWaiting()], [[], []]);
});

test("messages are saved before they are acknowledged, and what is wrong is an alarm", async () => {
  const welcome = await agency.write("welcome", { text: "hello" });
  const badBody = await agency.write("welcome", { words: "hello" });
  const unknown = await agency.write("advert", { text: "new" });
  const misled = await agency.write("welcome", { text: "x" }, { recipient: "another" });
  const last = await agency.write("welcome", { text: "bye" });
  const { messages, alarms } = await partner.mailbox.collect();
  assert.deepEqual(messages.map(({ body }) => body.text), ["hello", "bye"]);
  assert.deepEqual(alarms.map(({ reason }) => reason), ["bad-body", "malformed", "wrong-recipient", "gap"]);
  assert.deepEqual(agency.acknowledged, [welcome, badBody, last]);
  assert.deepEqual(agency.messages.map(({ message_id }) => message_id), [unknown, misled]);
  assert.deepEqual(partner.mailbox.list("welcome").map(({ number }) => number), [1, 5]);
  agency.calls = [];
  const again = await partner.mailbox.collect({ waitSeconds: 25 });
  assert.deepEqual([again.messages, again.alarms.length], [[], 3]);
  assert.deepEqual(agency.calls.map(({ path }) => path), ["/v1/mailbox?wait=25", "/v1/mailbox"]);
  await refuses("FormatError", "malformed", partner.mailbox.collect({ waitSeconds: 26 }));
  agency.faults = [new Response('{"messages":[]}', { headers: { "Retry-After": "9" } })];
  await partner.mailbox.collect({ waitSeconds: 25 });
  assert.deepEqual(agency.slept, [9]);
});

test("a second digest of one period is an alarm, and the first counts", async () => {
  const cell = { label: "a", title: "A", value: 7, low: 5, high: 9, shown: "7" };
  const table = { name: "kind", title: "Kinds", exact: false, epsilon_micro: 1, sensitivity: 1, cells: [{ ...cell, own: 3 }], note: "With noise." };
  const digest = { digest_version: "2", partner: "example-chat", environment: "sandbox", span: "quarter", period: "2026-Q3", first_day: "2026-07-01", last_day: "2026-09-30", made_at: "2026-10-20T00:00:00Z", synthetic: true, status: "published", next_period: "2026-H2", epsilon_micro: 1, interval_permille: 950, total: cell, tables: [table], missing_tables: [], trends: [], recommendations: [] };
  await agency.write("digest", digest);
  await agency.write("digest", { ...digest, total: { ...cell, value: 8 } });
  const { alarms } = await partner.mailbox.collect();
  assert.deepEqual(alarms.map(({ reason }) => reason), ["second-digest"]);
  const [kept, ...others] = partner.mailbox.digests();
  assert.deepEqual([kept.total.value, others], [7, []]);
  assert.deepEqual(client.toRows(kept).map(({ table: name, value, own, note }) => [name, value, own, note]), [["total", 7, null, ""], ["kind", 7, 3, "With noise."]]);
});

const question = (id) => ({ request_id: id, question: "Which account?", purpose: "To find it.", legal_basis: "A law.", due_at: "2026-12-02T08:30:00Z", reference: "TEST-K7QF-2M9TX-D", report_id: id });

test("a question is answered once, by a report that names it", async () => {
  const id = await agency.write("information-request", question);
  await partner.mailbox.collect();
  const [asked] = partner.threads.questions();
  assert.equal(asked.dueAt.toISOString(), "2026-12-02T08:30:00.000Z");
  const { reportId } = await partner.threads.answer(id, REPORT, { priority: "P3" });
  const { clear, report } = await agency.openReport(reportId);
  assert.deepEqual([clear.kind, clear.earlier_reference, report.answers_request], ["response", "TEST-K7QF-2M9TX-D", id]);
  assert.deepEqual(partner.threads.list().map(({ state, answers }) => [state, answers]), [["answered", [reportId]]]);
  await refuses("MailboxError", "no-open-request", partner.threads.answer(id, REPORT, { priority: "P3" }));
});

test("words about a message are kept sealed until the gateway has them, and never in clear", async () => {
  const id = await agency.write("alert", { pattern: "A pattern.", advice: "Look out.", audience: "chat", expires_at: "2027-01-01T00:00:00Z" });
  await partner.mailbox.collect();
  agency.faults = Array(10).fill("unreachable");
  await refuses("TransportError", "no-answer", partner.threads.write(id, { kind: "question", by: "Sam Example", text: "secret words" }));
  await refuses("TransportError", "no-answer", partner.threads.write(id, { kind: "acknowledge", by: "Sam Example" }));
  const [name] = readdirSync(join(folder, "entries"));
  assert.ok(!readFileSync(join(folder, "entries", name), "utf8").includes("secret words"));
  assert.deepEqual(partner.threads.list("alert").map(({ state }) => state), ["waiting"]);
  const { entries } = await partner.resume();
  assert.equal(agency.entries.length, entries.length);
  assert.deepEqual(partner.threads.list("alert").map(({ state, lines }) => [state, lines.length]), [["acknowledged", 2]]);
  await refuses("MailboxError", "unknown-message", partner.threads.write(name.slice(0, 36), { kind: "note", by: "Sam", text: "x" }));
  await refuses("FormatError", "malformed", partner.threads.write(id, { kind: "decline", by: "Sam" }));
});

test("the agency's words make the state of a thread", async () => {
  const about = await agency.write("preservation-request", { accounts: [{ kind: "username", value: "a" }], purpose: "p", legal_basis: "l", due_at: "2026-12-02T08:30:00Z", preserve_until: "2027-02-01T00:00:00Z" });
  await partner.mailbox.collect();
  await partner.threads.write(about, { kind: "answer", by: "Sam Example", text: "They are kept." });
  const state = () => partner.threads.list().map((thread) => thread.state);
  assert.deepEqual(state(), ["answered"]);
  for (const [kind, expected] of [["question", "answered"], ["close", "closed"], ["recall", "recalled"]]) {
    await agency.write("thread-message", (id) => ({ about, entry_id: id, kind, text: kind === "question" ? "Until when?" : "", by: "The desk" }));
    await partner.mailbox.collect();
    assert.deepEqual(state(), [expected]);
  }
  assert.equal(partner.threads.list()[0].lines.length, 4);
});

test("the facts of a page are sealed for the agency, signed by the context key, and never too many", async () => {
  const facts = { placement: "example-chat", surface: "chat", viewer: { account_id: "acc-1" }, messages: [{ message_id: "m-1", sent_at: "2026-11-25T08:29:00Z" }] };
  const token = await partner.sealContext({ ...facts, lifetimeSeconds: 3600 });
  const { context } = await readKeys(Folder.at(folder));
  const id = token.split(".")[2];
  const read = await readContext({ token }, { environment: "sandbox", partner: "example-chat", id, seed: agency.seed, publicKeys: [context.publicKey] });
  const times = { issued_at: "2026-11-25T08:30:00Z", expires_at: "2026-11-25T09:30:00Z" };
  assert.deepEqual(JSON.parse(JSON.stringify(read)), { ...facts, ...times, context_id: id, environment: "sandbox", partner: "example-chat" });
  const long = { account_id: "a".repeat(120), display_name: "\u{1f600}".repeat(80) };
  await refuses("FormatError", "too-large", partner.sealContext({ ...facts, about: Array(5).fill(long), messages: Array(20).fill({ message_id: "m".repeat(120) }) }));
  await refuses("FormatError", "malformed", partner.sealContext({ ...facts, lifetimeSeconds: 86_401 }));
  assert.deepEqual(agency.calls, []);
});
