// A partner against a small agency: lost calls are made again, wrong answers are refused, and nothing sealed is forgotten.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, test } from "node:test";

import * as client from "report-abuse-partner";

import { canonical, parseBase64url, sha256Hex } from "../dist/canonical.js";
import { makeSigner } from "../dist/statements.js";
import { json, problem } from "./agency.mjs";
import { FILE, P2, REPORT, makeParties, refuses, root } from "./setting.mjs";

const { Partner } = client;
let agency, partner, folder, invitation, reopen;

beforeEach(async () => {
  ({ agency, partner, folder, invitation, reopen } = await makeParties());
});

test("an enrolment that is interrupted goes on with the same keys and the same box", async () => {
  const { keyIds } = partner;
  const again = await Partner.enrol(folder, invitation, agency.runtime());
  assert.deepEqual(again.keyIds, keyIds);
  await Partner.enrol(folder, invitation, agency.runtime());
  const boxes = agency.calls.filter(({ path }) => path === "/v1/enrol").map(({ body }) => String(body));
  assert.deepEqual([boxes.length, new Set(boxes).size], [2, 1]);
  await refuses("EnrolmentError", "another-invitation", Partner.enrol(folder, agency.invitation(), agency.runtime()));
});

test("an invitation is refused if it is none, or for a root that is not the agency's", async () => {
  await refuses("EnrolmentError", "malformed", Partner.enrol(join(root, "x"), "{}"));
  const stranger = agency.invitation({ root_fingerprint: "0".repeat(64) });
  await refuses("KeySetError", "wrong-root", Partner.enrol(join(root, "y"), stranger, agency.runtime()));
  await refuses(
    "FormatError",
    "not-https",
    Partner.enrol(join(root, "z"), agency.invitation({ origin: "http://report.example" })),
  );
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

test("a P1 goes before the reports that waited longer, and one that is damaged holds none up", async () => {
  for (const priority of ["P3", "P2", "P1", "P1"]) {
    agency.now = new Date(agency.now.getTime() + 1000);
    agency.faults = Array(5).fill("unreachable");
    await refuses("TransportError", "no-answer", partner.submit(REPORT, { priority }));
  }
  const [third, second, first, damaged] = partner.listWaiting();
  writeFileSync(join(folder, "reports", `${damaged}.body.json`), "{");
  agency.faults = [];
  const { reports } = await partner.resume();
  assert.deepEqual(
    reports.map(({ reportId }) => reportId),
    [first, second, third, damaged],
  );
  assert.deepEqual(partner.listWaiting(), [damaged]);
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

test("a key set with a misnamed key, times out of order, one key in two roles or an older delegation is refused", async () => {
  const {
    receipt_keys: [key],
  } = await partner.refreshKeySet();
  const wrong = [
    { ...key, key_id: "AAAAAAAAAAA" },
    { ...key, use_until: key.not_before },
    { ...key, verify_until: key.not_before },
  ];
  for (const one of wrong) {
    agency.keySetChanges = { receipt_keys: [one], serial: 9 };
    await refuses("KeySetError", "bad-key", partner.refreshKeySet());
  }
  agency.keySetChanges = { register_keys: [key], serial: 9 };
  await refuses("KeySetError", "bad-key", partner.refreshKeySet());
  agency.keySetChanges = { serial: 9 };
  agency.delegatedFrom = "2026-10-01T00:00:00Z";
  await refuses("KeySetError", "stale-delegation", (await reopen()).refreshKeySet());
  agency.delegatedFrom = "2026-11-02T00:00:00Z";
  agency.keySetChanges = { serial: 1 };
  assert.equal((await partner.refreshKeySet()).serial, 1, "a new delegation may begin again");
});

test("the next root is followed once the one before has signed it, and is pinned from then on", async () => {
  const [second, third, stranger] = [1, 2, 3].map(() => makeSigner(randomBytes(32)));
  agency.faults = [];
  const home = join(root, "roots");
  const next_root_fingerprint = sha256Hex(parseBase64url(second.publicKey));
  const other = await Partner.enrol(home, agency.invitation({ next_root_fingerprint }), agency.runtime());
  const first = agency.root;
  agency.changeRoot(second, third);
  await other.refreshKeySet();
  const again = await Partner.open(home, agency.runtime());
  agency.rootChange = null;
  agency.serial += 1;
  await again.refreshKeySet();
  agency.root = first;
  await refuses("KeySetError", "wrong-root", again.refreshKeySet());
  agency.root = second;
  agency.changeRoot(stranger, null);
  await refuses("KeySetError", "wrong-root", again.refreshKeySet());
  agency.root = second;
  agency.changeRoot(third, null);
  await again.refreshKeySet();
});

test("a receipt for another report, or signed by a stranger, is no receipt", async () => {
  agency.receiptChanges = { submission_sha256: "0".repeat(64) };
  await refuses("ReceiptError", "other-submission", partner.submit(REPORT, P2));
  assert.equal(partner.listWaiting().length, 1);
  agency.reports.clear();
  agency.receiptChanges = {};
  agency.receiptSigner = agency.mailboxKey;
  await refuses(
    "StatementError",
    "unknown-key",
    partner.resume().then(({ reports }) => Promise.reject(reports[0].error)),
  );
});

test("a receipt from after the use of its key is none", async () => {
  const {
    receipt_keys: [key],
  } = await partner.refreshKeySet();
  agency.keySetChanges = { receipt_keys: [{ ...key, use_until: "2026-11-25T08:30:00Z" }], serial: 9 };
  await refuses(
    "StatementError",
    "unknown-key",
    partner.refreshKeySet().then(() => partner.submit(REPORT, P2)),
  );
});

test("a receipt proves itself without network, and an altered one does not", async () => {
  const { receipt, reference } = await partner.submit(REPORT, P2);
  agency.now = new Date("2032-11-25T08:30:00Z");
  const later = await reopen();
  assert.equal(later.checkReceipt(receipt).reference, reference);
  const altered = String(receipt).replace(/"sig":"./, '"sig":"_');
  assert.throws(() => later.checkReceipt(altered), client.StatementError);
  const path = join(
    folder,
    "reports",
    readdirSync(join(folder, "reports")).find((name) => name.endsWith(".body.json")),
  );
  const body = JSON.parse(readFileSync(path));
  writeFileSync(path, canonical({ ...body, envelope: body.envelope.replace(/^../, "AA") }));
  assert.throws(() => later.checkReceipt(receipt), client.ReceiptError);
  writeFileSync(path, canonical(body));
  agency.now = new Date("2033-11-25T08:30:00Z");
  assert.throws(() => later.checkReceipt(receipt), client.StatementError);
  await refuses("KeySetError", "expired", later.submit(REPORT, P2));
});

test("every answer that is a problem has its error", async () => {
  const expected = {
    401: "NotAuthorisedError",
    403: "RefusedError",
    404: "RefusedError",
    409: "ConflictError",
    422: "RefusedError",
  };
  for (const [status, name] of Object.entries(expected)) {
    agency.faults = [problem(Number(status), "some-slug")];
    const error = await partner.status().catch((caught) => caught);
    assert.equal(error.name, name);
    assert.deepEqual(
      [error.reason, error.status, error.requestId, error.detail],
      ["some-slug", Number(status), "7d5f1d0e-0000-4000-8000-000000000001", "Because."],
    );
    assert.deepEqual(error.faults, [{ pointer: "#/a", detail: "Mend it." }]);
  }
  agency.faults = Array.from({ length: 5 }, () => new Response("<h1>Bad gateway</h1>", { status: 502 }));
  await refuses("UnavailableError", "about:blank", partner.status());
  agency.faults = [problem(503, "busy", { "Retry-After": "121" })];
  const patient = await partner.status().catch((caught) => caught);
  assert.deepEqual([patient.name, patient.retryAfterSeconds], ["UnavailableError", 121]);
  agency.faults = [new Response(Buffer.alloc(1024 * 1024 + 1, " "))];
  await refuses("FormatError", "too-large", partner.status());
  agency.faults = [json(200, '{"a":1,"a":2}')];
  await refuses("FormatError", "malformed", partner.status());
});

test("a report that does not fit is refused with every fault, and nothing is saved", async () => {
  const wrong = {
    ...REPORT,
    countries: ["gb"],
    shoe_size: "secret words",
    suspects: [{ username: 5 }],
    conversations: [{ thread_id: "t", messages: [] }],
  };
  delete wrong.priority_reason;
  const error = await partner.submit(wrong, { priority: "P1", kind: "correction" }).catch((caught) => caught);
  assert.equal(error.name, "ReportError");
  const found = error.faults.map(({ pointer }) => pointer);
  for (const pointer of [
    "#",
    "#/countries/0",
    "#/suspects/0/service_user_id",
    "#/suspects/0/username",
    "#/priority_reason",
    "#/change_reason",
  ]) {
    assert.ok(found.includes(pointer), `${pointer} is not in ${found}`);
  }
  assert.ok(!error.message.includes("secret words") && !error.message.includes("shoe_size"));
  const messages = ["2026-11-24T18:31:00Z", "2026-11-24T18:30:00Z"].map((sent_at) => ({
    sender: "a",
    sent_at,
    type: "text",
    file_id: "file-9",
  }));
  const contradicting = {
    ...REPORT,
    answers_request: "x",
    discovery: { ...REPORT.discovery, detected_at: "2026-02-31T00:00:00Z" },
    conversations: [{ thread_id: "t", messages }],
    files: [FILE, FILE],
  };
  const second = await partner.submit(contradicting, P2).catch((caught) => caught);
  assert.deepEqual(second.faults.map(({ pointer }) => pointer).sort(), [
    "#/answers_request",
    "#/conversations/0/messages/0/file_id",
    "#/conversations/0/messages/1/file_id",
    "#/conversations/0/messages/1/sent_at",
    "#/discovery/detected_at",
    "#/files/1/file_id",
  ]);
  await refuses(
    "FormatError",
    "bad-reference",
    partner.submit(
      { ...REPORT, change_reason: "It was wrong." },
      { ...P2, kind: "correction", earlierReference: "TEST-K7QF-2M9TX-E" },
    ),
  );
  assert.deepEqual([agency.calls, partner.listWaiting()], [[], []]);
});
