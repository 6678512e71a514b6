// A partner's client in Node, written from docs/guides/any-language.md alone: its commands, its folder and its requests.
// What is signed and sealed is in wire.mjs beside it; neither shares code with ours.
//
//   npm install
//   node client.mjs enrol invitation.json --state DIR
//   node client.mjs status --state DIR
//   node client.mjs submit report.json --priority P3 --state DIR      (again, with the saved body: --report-id ID)
//   node client.mjs verify receipt.json --state DIR
//   node client.mjs progress REPORT-ID --state DIR
//   node client.mjs mailbox --state DIR                               (opens, checks, saves and acknowledges what waits)
//
// tests/whole/test_sandbox_over_http.py runs it against `report-abuse-gateway sandbox`; make_client_vectors.mjs keeps what
// wire.mjs makes as partner_sdk/vectors/other-client.json.
import { createPrivateKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import {
  canonical,
  checkKeys,
  checkReceipt,
  checkReport,
  fromB64url,
  getSealingKey,
  hashedSecret,
  keyIdOf,
  mailboxPublic,
  makeEnrolment,
  makeSubmission,
  makeUuid7,
  openMessage,
  rawPublic,
  sealingKeyIdOf,
  signedHeaders,
} from "./wire.mjs";

const PRIORITIES = ["P1", "P2", "P3"];
const MAX_TRIES = 5;

async function call({ method, url, body, key }) {
  const headers = await signedHeaders({ method, url, body, key });
  return fetch(url, { method, headers, body, redirect: "error" });
}

/** The answer to a body that may be sent again: 429, 5xx and no answer are tried again, signed anew. */
async function callUntilAnswered(request) {
  for (let tries = 1; ; tries += 1) {
    const answer = await call(request).catch((error) => {
      if (tries === MAX_TRIES) throw error;
    });
    if (answer && answer.status !== 429 && answer.status < 500) return answer;
    if (tries === MAX_TRIES) return answer;
    const seconds = Number(answer?.headers.get("Retry-After")) || 2 ** (tries - 1) * (1 + Math.random());
    await sleep(seconds * 1000);
  }
}

// The commands, and what they keep in the state folder.

const paths = (state) => ({
  context: join(state, "context.pem"),
  enrolment: join(state, "enrolment.json"),
  keys: join(state, "keys.json"),
  mailbox: join(state, "mailbox.seed"),
  messages: join(state, "messages.json"),
  partner: join(state, "partner.json"),
  report: (id, name) => join(state, "reports", id, name),
  submission: join(state, "submission.pem"),
});
const readJson = (path) => JSON.parse(readFileSync(path));
const save = (path, content) => writeFileSync(path, content, { mode: 0o600 });

function getKey(path) {
  if (!existsSync(path)) save(path, generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }));
  return createPrivateKey(readFileSync(path));
}

async function fetchKeys(at, trusted) {
  const lowestSerial = existsSync(at.keys) ? readJson(at.keys).serial : 0;
  const answer = await fetch(`${trusted.origin}/v1/keys`, { redirect: "error" });
  if (!answer.ok) throw new Error(`the keys of the agency: HTTP ${answer.status}`);
  const checked = checkKeys(await answer.json(), { trusted, lowestSerial, now: new Date() });
  save(at.keys, canonical(checked.keys));
  save(at.partner, canonical(checked.trusted));
  return checked.keys;
}

async function enrol(invitationPath, state) {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const at = paths(state);
  const invitation = readJson(invitationPath);
  const { secret: _, ...partner } = invitation;
  if (existsSync(at.enrolment) && readJson(at.enrolment).secret_sha256 !== hashedSecret(invitation.secret)) {
    throw new Error("this folder answered another invitation: a new one asks for new keys, so for a new folder");
  }
  const agency = await fetchKeys(at, partner);
  if (!existsSync(at.mailbox)) save(at.mailbox, randomBytes(32));
  const keys = {
    context: getKey(at.context),
    mailboxPublic: await mailboxPublic(readFileSync(at.mailbox)),
    submission: getKey(at.submission),
  };
  if (!existsSync(at.enrolment)) {
    save(at.enrolment, (await makeEnrolment({ invitation, keys, sealingKey: getSealingKey(agency, new Date()) })).body);
  }
  const body = readFileSync(at.enrolment, "utf8");
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${invitation.origin}/v1/enrol`, { method: "POST", headers, body, redirect: "error" });
  if (answer.status !== 202) throw new Error(`the enrolment: HTTP ${answer.status} ${await answer.text()}`);
  console.log("Sent. Read these key ids to the agency by phone:");
  console.log(`submission ${keyIdOf(rawPublic(keys.submission))}`);
  console.log(`context    ${keyIdOf(rawPublic(keys.context))}`);
  console.log(`mailbox    ${sealingKeyIdOf(keys.mailboxPublic)}`);
}

async function submit(reportPath, { state, priority, reportId }) {
  const at = paths(state);
  const partner = readJson(at.partner);
  const key = getKey(at.submission);
  const agency = await fetchKeys(at, partner);
  const id = reportId ?? makeUuid7(new Date());
  const bodyPath = at.report(id, "body.json");
  if (!reportId) {
    if (!PRIORITIES.includes(priority)) throw new Error(`--priority is one of ${PRIORITIES.join(", ")}`);
    const report = readJson(reportPath);
    checkReport(report, await (await fetch(`${partner.origin}/v1/schema/report.json`, { redirect: "error" })).json());
    const { body } = await makeSubmission({
      ...{ environment: partner.environment, partner: partner.partner, report, reportId: id, priority, key },
      ...{ sealingKey: getSealingKey(agency, new Date()), now: new Date() },
    });
    mkdirSync(join(bodyPath, ".."), { recursive: true, mode: 0o700 });
    save(bodyPath, body);
    console.log(`Report ${id}. If this stops before a reference, run it again with --report-id ${id}`);
  }
  const body = readFileSync(bodyPath, "utf8");
  const answer = await callUntilAnswered({ method: "POST", url: `${partner.origin}/v1/reports`, body, key });
  const text = await answer?.text();
  if (answer?.status !== 201 && answer?.status !== 200) throw new Error(`the report: HTTP ${answer?.status} ${text}`);
  save(at.report(id, "receipt.json"), text);
  const payload = checkReceipt(JSON.parse(text), body, { keys: agency, now: new Date() });
  console.log(`HTTP ${answer.status}: delivered, the receipt holds, and is ${at.report(id, "receipt.json")}`);
  console.log(payload.reference);
}

function verifyOffline(receiptPath, state) {
  const at = paths(state);
  const receipt = readJson(receiptPath);
  const { clear } = JSON.parse(fromB64url(receipt.payload));
  const submitted = readFileSync(at.report(clear.report_id, "body.json"), "utf8");
  const payload = checkReceipt(receipt, submitted, { keys: readJson(at.keys), now: new Date() });
  console.log(`The receipt holds: ${payload.reference}, received at ${payload.received_at}.`);
}

async function status(state) {
  const at = paths(state);
  const answer = await call({ method: "GET", url: `${readJson(at.partner).origin}/v1/status`, key: getKey(at.submission) });
  console.log(`HTTP ${answer.status} ${await answer.text()}`);
  if (!answer.ok) process.exitCode = 1;
}

async function progress(reportId, state) {
  const at = paths(state);
  const url = `${readJson(at.partner).origin}/v1/reports/${reportId}`;
  const answer = await call({ method: "GET", url, key: getKey(at.submission) });
  const { outcome, stage } = await answer.json();
  console.log(canonical({ outcome: outcome ?? null, stage: stage ?? null }));
}

/** Each message is opened, checked, saved, and only then acknowledged; one out of order stops it. */
async function mailbox(state) {
  const at = paths(state);
  const partner = readJson(at.partner);
  const key = getKey(at.submission);
  const seed = readFileSync(at.mailbox);
  const kept = existsSync(at.messages) ? readJson(at.messages) : [];
  const url = `${partner.origin}/v1/mailbox`;
  const { messages } = await (await call({ method: "GET", url, key })).json();
  const keys = await fetchKeys(at, partner);
  for (const item of messages) {
    const message = await openMessage(item, { seed, keys, environment: partner.environment, partner: partner.partner });
    const previous = kept.at(-1)?.sha256 ?? "0".repeat(64);
    if (message.number !== kept.length + 1 || message.previous !== previous) throw new Error("a message is missing");
    kept.push(message);
    save(at.messages, canonical(kept));
    const acknowledged = await call({ method: "POST", url: `${url}/${item.message_id}/ack`, body: "{}", key });
    if (!acknowledged.ok) throw new Error(`the acknowledgement: HTTP ${acknowledged.status}`);
    console.log(canonical({ body: message.body, kind: message.kind }));
  }
}

async function main() {
  const options = { state: { type: "string" }, priority: { type: "string" }, "report-id": { type: "string" } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [command, file] = positionals;
  const { state, priority } = values;
  if (!state) throw new Error("say --state DIR");
  if (command === "enrol") return enrol(file, state);
  if (command === "submit") return submit(file, { state, priority, reportId: values["report-id"] });
  if (command === "verify") return verifyOffline(file, state);
  if (command === "status") return status(state);
  if (command === "progress") return progress(file, state);
  if (command === "mailbox") return mailbox(state);
  throw new Error("the commands are enrol, status, submit, verify, progress and mailbox");
}

await main().catch((error) => {
  console.error(`${error.message}${error.cause ? `: ${error.cause}` : ""}`);
  process.exitCode = 1;
});
