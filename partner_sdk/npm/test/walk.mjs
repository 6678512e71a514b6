// A partner's whole way through a gateway that runs, with a desk behind it: node walk.mjs INVITATION FOLDER REPORT
// Prints one JSON object of its findings. tests/whole/test_sandbox_over_http.py runs it.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { NotAuthorisedError, Partner, toRows } from "report-abuse-partner";

const PATIENCE_MILLISECONDS = 60_000;
const PAUSE_MILLISECONDS = 50;
const KINDS = ["alert", "digest", "information-request", "outcome", "package", "preservation-request"];
const [invitation, folder, reportFile] = process.argv.slice(2);
const report = JSON.parse(readFileSync(reportFile, "utf8"));

/** Look until something is there: the desk works once a second. */
async function until(look) {
  const end = Date.now() + PATIENCE_MILLISECONDS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`This never came: ${look}`);
    await sleep(PAUSE_MILLISECONDS);
  }
}

const signatures = new Set();
let lost = 0;

/** Loses the first answer to a report: the client has to send the same body again, signed afresh. */
async function losesAnAnswer(url, request) {
  const answer = await fetch(url, request);
  if (!url.endsWith("/v1/reports")) return answer;
  signatures.add(request.headers.Signature);
  if (lost++) return answer;
  await answer.arrayBuffer();
  throw new TypeError("fetch failed");
}

const enrolled = await Partner.enrol(folder, readFileSync(invitation));
const status = await until(() =>
  enrolled.status().catch((error) => {
    if (!(error instanceof NotAuthorisedError)) throw error;
  }),
);
const partner = await Partner.open(folder, { fetch: losesAnAnswer, sleep: () => sleep(1) });
const delivery = await partner.submit(report, { priority: "P2" });
const tries = { sent: lost, signatures: signatures.size };

const clip = join(folder, "..", "clip.bin");
writeFileSync(clip, Buffer.alloc(70_000, "synthetic"));
const file = {
  copy_kept_until: null,
  exif_viewed_by_staff: false,
  file_id: "file-1",
  relevance: "reported",
  viewed_by_staff: true,
};
const withFile = { ...report, files: [file] };
const first = await partner.submitWithFiles(withFile, { priority: "P3" }, { "file-1": clip });
const urgent = await partner.submitWithFiles(withFile, { priority: "P1" }, { "file-1": clip });

const messages = [];
await until(async () => {
  const { messages: more, alarms } = await partner.mailbox.collect({ waitSeconds: 1 });
  if (alarms.length) throw new Error(JSON.stringify(alarms));
  messages.push(...more);
  return KINDS.every((kind) => messages.some((message) => message.kind === kind));
});
const [question] = partner.threads.questions();
const answer = await partner.threads.answer(question.message.messageId, report, { priority: "P3" });
const [alert] = partner.threads.list("alert");
await partner.threads.write(alert.message.messageId, { kind: "acknowledge", by: "Sam Example" });
const [pack] = partner.mailbox.list("package");
const opened = partner.openPackage(pack);
const stateOf = (thread) =>
  partner.threads.list().find(({ message }) => message.messageId === thread.message.messageId).state;
const [digest] = partner.mailbox.digests();
await until(async () => (await partner.progress(answer.reportId)).stage === "opened");

console.log(
  JSON.stringify({
    alert: stateOf(alert),
    checked: partner.checkReceipt(delivery.receipt).reference,
    digest: { partner: digest.partner, synthetic: digest.synthetic, rows: toRows(digest).length },
    evidence: [first, urgent].map(({ isComplete, waiting }) => ({ isComplete, waiting })),
    files: [...opened.files.keys()],
    key: status.caller.key_id,
    keys: partner.keyIds,
    log: [...((await partner.checkLog()) ?? new Map())].map(([, { state }]) => state),
    numbers: partner.mailbox.list().map(({ number }) => number),
    outcome: messages.find(({ kind }) => kind === "outcome").body,
    partner: status.caller.partner,
    question: { report_id: question.message.body.report_id, state: stateOf(question) },
    receipts: partner.receipts().map(({ clear }) => clear.kind),
    recipient: opened.manifest.recipient,
    references: Object.fromEntries(partner.receipts().map(({ reportId, reference }) => [reportId, reference])),
    stages: [await partner.progress(delivery.reportId), await partner.progress(answer.reportId)].map(
      ({ stage }) => stage,
    ),
    tries,
    waiting: partner.listWaiting(),
  }),
);
