// Files, messages, threads and contexts of a partner against a small agency.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, test } from "node:test";

import { toRows } from "report-abuse-partner";

import { readContext } from "./receiver.mjs";
import { FILE, P2, REPORT, WITH_FILE, makeParties, refuses, root } from "./setting.mjs";

let agency, partner, folder, reopen;

beforeEach(async () => {
  ({ agency, partner, folder, reopen } = await makeParties());
});

const ALERT = {
  pattern: "A pattern.",
  advice: "Look out.",
  audience: "chat",
  expires_at: "2027-01-01T00:00:00Z",
};
const paths = () => agency.calls.map(({ method, path }) => `${method} ${path.replace(/[0-9a-f-]{36}/, "ID")}`);

test("files go before a P3, which carries their digests; no part is sent twice", async () => {
  const path = join(root, "two-parts.bin");
  const plain = Buffer.alloc(8_400_000, "synthetic");
  writeFileSync(path, plain);
  agency.faults = [undefined, undefined, ...Array(5).fill("unreachable")];
  const first = await partner.submitWithFiles(WITH_FILE, { priority: "P3" }, { "file-1": path });
  assert.deepEqual([first.isComplete, first.waiting, first.error.reason], [false, ["file-1"], "no-answer"]);
  const sent = (text) => paths().filter((one) => one.startsWith(text)).length;
  assert.deepEqual([agency.parts.size, sent("PUT")], [1, 6]);
  const { evidence } = await (await reopen()).resume();
  assert.deepEqual(evidence, [{ reportId: first.reportId, waiting: [] }]);
  assert.deepEqual([agency.parts.size, sent("PUT")], [2, 7]);
  const [supplement] = [...agency.reports.values()].filter(({ clear }) => clear.kind === "supplement");
  const { evidence: named, clear } = await agency.openReport(supplement.clear.report_id);
  assert.deepEqual([clear.earlier_reference, clear.priority], [first.reference, "P3"]);
  assert.deepEqual(agency.openEvidence(named[0]), plain);
  assert.deepEqual(readdirSync(join(folder, "evidence")), []);

  const whole = await partner.submitWithFiles(WITH_FILE, { priority: "P3" }, { "file-1": path });
  const report = await agency.openReport(whole.reportId);
  assert.deepEqual(
    [whole.isComplete, report.evidence[0].digest],
    [true, agency.complete.get(report.evidence[0].evidence_id).digest],
  );
});

test("a report that carries its digests and was not delivered is sent later, without a supplement", async () => {
  const path = join(root, "small.bin");
  writeFileSync(path, "small");
  let failures = 0;
  agency.onCall = (method, called) => {
    if (called === "/v1/reports" && failures++ < 5) agency.faults.push("unreachable");
  };
  await refuses(
    "TransportError",
    "no-answer",
    partner.submitWithFiles(WITH_FILE, { priority: "P3" }, { "file-1": path }),
  );
  const { reports } = await partner.resume();
  const { evidence } = await agency.openReport(reports[0].reportId);
  assert.equal(String(agency.openEvidence(evidence[0])), "small");
  assert.deepEqual([agency.reports.size, readdirSync(join(folder, "evidence"))], [1, []]);
});

test("a damaged file of the folder stops neither the files nor the words that wait behind it", async () => {
  const path = join(root, "behind.bin");
  writeFileSync(path, "behind");
  const id = await agency.write("alert", ALERT);
  await partner.mailbox.collect();
  agency.faults = [undefined, ...Array(5).fill("unreachable")];
  const { reportId } = await partner.submitWithFiles(WITH_FILE, { priority: "P1" }, { "file-1": path });
  agency.faults = Array(5).fill("unreachable");
  await refuses("TransportError", "no-answer", partner.threads.write(id, { kind: "acknowledge", by: "Sam Example" }));
  const first = "00000000-0000-7000-8000-000000000000";
  for (const place of ["evidence", "entries"]) writeFileSync(join(folder, place, `${first}.json`), "{");
  const { evidence, entries } = await partner.resume();
  const reasons = (attempts) => attempts.map(({ error }) => [error?.name, error?.reason]);
  assert.deepEqual([evidence[0].reportId, evidence[1].reportId, entries[0].entryId], [first, reportId, first]);
  for (const attempts of [evidence, entries])
    assert.deepEqual(reasons(attempts), [
      ["LocalStateError", "damaged"],
      [undefined, undefined],
    ]);
  assert.deepEqual([agency.complete.size, agency.entries.length], [1, 1]);
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

test("a file that changes while it is sent is not sealed under the key of the other bytes", async () => {
  const path = join(root, "changing.bin");
  writeFileSync(path, "first");
  agency.onCall = (method, called) => {
    if (method === "GET" && called.startsWith("/v1/evidence")) writeFileSync(path, "other");
  };
  const first = await partner.submitWithFiles(WITH_FILE, { priority: "P3" }, { "file-1": path });
  assert.deepEqual([first.isComplete, first.error.reason, agency.parts.size], [false, "file-changed", 0]);
  const { evidence } = await partner.resume();
  assert.deepEqual(evidence, [{ reportId: first.reportId, waiting: [] }]);
  const [supplement] = [...agency.reports.values()].filter(({ clear }) => clear.kind === "supplement");
  const { evidence: named } = await agency.openReport(supplement.clear.report_id);
  assert.equal(String(agency.openEvidence(named[0])), "other");
});

test("a file that is not the one of the report, or is not there, is refused before anything is sealed", async () => {
  const path = join(root, "other.bin");
  writeFileSync(path, "abc");
  const described = {
    ...REPORT,
    files: [{ ...FILE, size_bytes: 4, hashes: [{ type: "sha256", value: "0".repeat(64) }] }],
  };
  const error = await partner
    .submitWithFiles(described, P2, { "file-1": path, "file-2": path })
    .catch((caught) => caught);
  assert.deepEqual(
    error.faults.map(({ pointer }) => pointer),
    ["#/files/0/size_bytes", "#/files/0/hashes", "#/files"],
  );
  await refuses("EvidenceError", "missing", partner.submitWithFiles(WITH_FILE, P2, { "file-1": join(root, "gone") }));
  assert.deepEqual([agency.calls, partner.listWaiting()], [[], []]);
});

test("messages are saved before they are acknowledged, and what is wrong is an alarm", async () => {
  const welcome = await agency.write("welcome", { text: "hello" });
  const badBody = await agency.write("welcome", { words: "hello" });
  const unknown = await agency.write("advert", { text: "new" });
  const misled = await agency.write("welcome", { text: "x" }, { recipient: "another" });
  const renamed = await agency.write("welcome", { text: "x" }, { message_id: welcome });
  const last = await agency.write("welcome", { text: "bye" });
  const { messages, alarms } = await partner.mailbox.collect();
  assert.deepEqual(
    messages.map(({ body }) => body.text),
    ["hello", "bye"],
  );
  assert.deepEqual(
    alarms.map(({ reason }) => reason),
    ["bad-body", "malformed", "wrong-recipient", "wrong-id", "gap"],
  );
  assert.deepEqual(agency.acknowledged, [welcome, badBody, last]);
  assert.deepEqual(
    agency.messages.map(({ message_id }) => message_id),
    [unknown, misled, renamed],
  );
  assert.deepEqual(
    partner.mailbox.list("welcome").map(({ number }) => number),
    [1, 6],
  );
  agency.calls = [];
  const again = await partner.mailbox.collect({ waitSeconds: 25 });
  assert.deepEqual([again.messages, again.alarms.length], [[], 4]);
  assert.deepEqual(
    agency.calls.map(({ path }) => path),
    ["/v1/mailbox?wait=25", "/v1/mailbox"],
  );
  await refuses("FormatError", "malformed", partner.mailbox.collect({ waitSeconds: 26 }));
  agency.faults = [new Response('{"messages":[]}', { headers: { "Retry-After": "9" } })];
  await partner.mailbox.collect({ waitSeconds: 25 });
  assert.deepEqual(agency.slept, [9]);
});

test("a second digest of one period is an alarm, and the first counts", async () => {
  const cell = { label: "a", title: "A", value: 7, low: 5, high: 9, shown: "7" };
  const table = {
    name: "kind",
    title: "Kinds",
    exact: false,
    epsilon_micro: 1,
    sensitivity: 1,
    cells: [{ ...cell, own: 3 }],
    note: "With noise.",
  };
  const digest = {
    digest_version: "2",
    partner: "example-chat",
    environment: "sandbox",
    span: "quarter",
    period: "2026-Q3",
    first_day: "2026-07-01",
    last_day: "2026-09-30",
    made_at: "2026-10-20T00:00:00Z",
    synthetic: true,
    status: "published",
    epsilon_micro: 1,
    interval_permille: 950,
    total: cell,
    tables: [table],
    missing_tables: [],
    recommendations: [],
  };
  await agency.write("digest", digest);
  await agency.write("digest", { ...digest, total: { ...cell, value: 8 } });
  const { alarms } = await partner.mailbox.collect();
  assert.deepEqual(
    alarms.map(({ reason }) => reason),
    ["second-digest"],
  );
  const [kept, ...others] = partner.mailbox.digests();
  assert.deepEqual([kept.total.value, others], [7, []]);
  assert.deepEqual(
    toRows(kept).map(({ table: name, value, own, note }) => [name, value, own, note]),
    [
      ["total", 7, null, ""],
      ["kind", 7, 3, "With noise."],
    ],
  );
});

const question = (id) => ({
  request_id: id,
  question: "Which account?",
  purpose: "To find it.",
  legal_basis: "A law.",
  due_at: "2026-12-02T08:30:00Z",
  reference: "TEST-K7QF-2M9TX-D",
  report_id: id,
});

test("a question is answered once, by a report that names it", async () => {
  const id = await agency.write("information-request", question);
  await partner.mailbox.collect();
  const [asked] = partner.threads.questions();
  assert.equal(asked.dueAt.toISOString(), "2026-12-02T08:30:00.000Z");
  const { reportId } = await partner.threads.answer(id, REPORT, { priority: "P3" });
  const { clear, report } = await agency.openReport(reportId);
  assert.deepEqual(
    [clear.kind, clear.earlier_reference, report.answers_request],
    ["response", "TEST-K7QF-2M9TX-D", id],
  );
  assert.deepEqual(
    partner.threads.list().map(({ state, answers }) => [state, answers]),
    [["answered", [reportId]]],
  );
  await refuses("MailboxError", "no-open-request", partner.threads.answer(id, REPORT, { priority: "P3" }));
});

test("words about a message are kept sealed until the gateway has them, and never in clear", async () => {
  const id = await agency.write("alert", ALERT);
  await partner.mailbox.collect();
  agency.faults = Array(10).fill("unreachable");
  await refuses(
    "TransportError",
    "no-answer",
    partner.threads.write(id, { kind: "question", by: "Sam Example", text: "secret words" }),
  );
  await refuses("TransportError", "no-answer", partner.threads.write(id, { kind: "acknowledge", by: "Sam Example" }));
  const [name] = readdirSync(join(folder, "entries"));
  assert.ok(!readFileSync(join(folder, "entries", name), "utf8").includes("secret words"));
  assert.deepEqual(
    partner.threads.list("alert").map(({ state }) => state),
    ["waiting"],
  );
  const { entries } = await partner.resume();
  assert.equal(agency.entries.length, entries.length);
  assert.deepEqual(
    partner.threads.list("alert").map(({ state, lines }) => [state, lines.length]),
    [["acknowledged", 2]],
  );
  await refuses(
    "MailboxError",
    "unknown-message",
    partner.threads.write(name.slice(0, 36), { kind: "note", by: "Sam", text: "x" }),
  );
  await refuses("FormatError", "malformed", partner.threads.write(id, { kind: "decline", by: "Sam" }));
});

test("the agency's words make the state of a thread", async () => {
  const about = await agency.write("preservation-request", {
    accounts: [{ kind: "username", value: "a" }],
    purpose: "p",
    legal_basis: "l",
    due_at: "2026-12-02T08:30:00Z",
    preserve_until: "2027-02-01T00:00:00Z",
  });
  await partner.mailbox.collect();
  await partner.threads.write(about, { kind: "answer", by: "Sam Example", text: "They are kept." });
  const state = () => partner.threads.list().map((thread) => thread.state);
  assert.deepEqual(state(), ["answered"]);
  for (const [kind, expected] of [
    ["question", "answered"],
    ["close", "closed"],
    ["recall", "recalled"],
  ]) {
    await agency.write("thread-message", (id) => ({
      about,
      entry_id: id,
      kind,
      text: kind === "question" ? "Until when?" : "",
      by: "The desk",
    }));
    await partner.mailbox.collect();
    assert.deepEqual(state(), [expected]);
  }
  assert.equal(partner.threads.list()[0].lines.length, 4);
  await agency.write("information-request", (id) => ({ ...question(id), due_at: "soon" }));
  await partner.mailbox.collect();
  assert.deepEqual(
    partner.threads.questions().map(({ dueAt }) => dueAt),
    [null],
  );
});

test("the facts of a page are sealed for the agency, signed by the context key, and never too many", async () => {
  const facts = {
    placement: "example-chat",
    surface: "chat",
    viewer: { account_id: "acc-1" },
    messages: [{ message_id: "m-1", sent_at: "2026-11-25T08:29:00Z" }],
  };
  const token = await partner.sealContext({ ...facts, lifetimeSeconds: 3600 });
  const id = token.split(".")[2];
  const read = await readContext(
    { token },
    { environment: "sandbox", partner: "example-chat", id, seed: agency.seed, publicKeys: [agency.contextKey] },
  );
  const times = { issued_at: "2026-11-25T08:30:00Z", expires_at: "2026-11-25T09:30:00Z" };
  assert.deepEqual(JSON.parse(JSON.stringify(read)), {
    ...facts,
    ...times,
    context_id: id,
    environment: "sandbox",
    partner: "example-chat",
  });
  const long = { account_id: "a".repeat(120), display_name: "\u{1f600}".repeat(80) };
  await refuses(
    "FormatError",
    "too-large",
    partner.sealContext({
      ...facts,
      about: Array(5).fill(long),
      messages: Array(20).fill({ message_id: "m".repeat(120) }),
    }),
  );
  await refuses("FormatError", "malformed", partner.sealContext({ ...facts, lifetimeSeconds: 86_401 }));
  assert.deepEqual(agency.calls, []);
});
