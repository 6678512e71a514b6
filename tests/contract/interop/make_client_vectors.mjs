// Prints what the TypeScript client makes as vectors: an enrolment, a sealed report with its statement, signed requests,
// and altered ones. Seeds, times, ids and nonces are fixed, and X-Wing takes its 64 bytes from here, so the file comes out
// byte for byte the same. Every secret in it is a test secret. `http-message-signatures`, which shares no code with the
// client, has to make the same signatures.
//
// `make vectors NAMES=other-client` runs it, when partner_sdk/npm is built. tests/contract/test_other_client_vectors.py
// reads the file.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import signatures from "http-message-signatures";

import { makePublicKey, seal, sealingKeyIdOf } from "../../../partner_sdk/npm/dist/boxes.js";
import { canonical, formatTime, makeUuid7, parseBase64url, sha256, toBase64url } from "../../../partner_sdk/npm/dist/canonical.js";
import { sealEnrolment } from "../../../partner_sdk/npm/dist/enrolment.js";
import { sealReport } from "../../../partner_sdk/npm/dist/reports.js";
import { contentDigestOf, signRequest } from "../../../partner_sdk/npm/dist/requests.js";
import { KINDS, makeSigner, makeStatement } from "../../../partner_sdk/npm/dist/statements.js";

const NPM = new URL("../../../partner_sdk/npm/", import.meta.url);
const PACKAGES = [
  ["report-abuse-partner", new URL("package.json", NPM)],
  ["@hpke/core", new URL("node_modules/@hpke/core/package.json", NPM)],
  ["@hpke/hybridkem-x-wing", new URL("node_modules/@hpke/hybridkem-x-wing/package.json", NPM)],
  ["http-message-signatures", new URL("node_modules/http-message-signatures/package.json", import.meta.url)],
];
const NOW = new Date("2026-11-25T08:30:00Z");
const TOO_OLD = new Date(NOW.getTime() - 301_000);
const ORIGIN = "https://report.example";
const URL_OF_REPORTS = `${ORIGIN}/v1/reports`;
const URL_OF_STATUS = `${ORIGIN}/v1/status`;
const WHO = { environment: "live", partner: "node-chat" };

const seedFor = (label) => createHash("sha256").update(`report-abuse test vector: ${label}`).digest();
const ekmFor = (label) => createHash("sha512").update(`report-abuse test vector: ${label}`).digest();
const nonceFor = (label) => toBase64url(seedFor(label).subarray(0, 24));
const signingKey = (label) => makeSigner(seedFor(label));

async function sealingKey(label) {
  const publicKey = await makePublicKey(seedFor(label));
  return { key_id: sealingKeyIdOf(publicKey), public_key: toBase64url(publicKey) };
}

const REPORT = {
  category: "grooming",
  children: [{ age_band: "13_15", age_basis: "stated", at_risk_now: "unknown", service_user_id: "u-2002" }],
  conversations: [
    {
      messages: [
        { sender: "u-1001", sent_at: "2026-11-24T17:38:00Z", text: 'Let\u2019s go on in "another" app \u{1F600}\nok?', type: "text" },
        { sender: "u-2002", sent_at: "2026-11-24T17:40:00Z", text: "Pam? \u2028 Dwi ddim yn si\u0175r \\ \u007f", type: "text" },
      ],
      thread_id: "t-1",
    },
  ],
  countries: ["GB"],
  discovery: { detected_at: "2026-11-24T18:05:00Z", discovered_by: "user_complaint", human_reviewed: "yes" },
  files: { not_held: "not_applicable" },
  incident: {
    happened_at: "2026-11-24T17:40:00Z",
    medium: "chat",
    narrative: "An adult asked a younger user to go on in another app and to keep it a secret.",
    time_meaning: "The last message of the conversation",
  },
  priority_reason: "They wrote of a secret an hour before this was found.",
  reporter: {
    declaration: true,
    organisation: "Node Chat Ltd",
    sector: "online",
    service: "Node Chat",
    submitter_email: "safety@node-chat.example",
    submitter_name: "Robin Example",
    submitter_telephone: "+44 1632 960001",
  },
  schema_version: "1",
  sub_label: "off_platform_move",
  suspects: [{ service_user_id: "u-1001", username: { not_held: "not_collected" } }],
  uk_link: "yes",
};

const keys = {
  context: signingKey("other client's context key"),
  mailboxPublicKey: await makePublicKey(seedFor("other client's mailbox key")),
  mailboxSeed: seedFor("other client's mailbox key"),
  submission: signingKey("other client's submission key"),
};
const stranger = signingKey("a stranger's key");
const agency = await sealingKey("agency sealing key of the other client");
// Another agency's public key under the key id of ours.
const otherAgency = { ...(await sealingKey("a stranger's sealing key")), key_id: agency.key_id };
const secret = toBase64url(seedFor("secret of the invitation"));
const reportId = makeUuid7(NOW, seedFor("report id").subarray(0, 10));

async function makeEnrolments() {
  const invitation = { ...WHO, secret };
  const ekm = ekmFor("enrolment");
  const good = await sealEnrolment({ invitation, keys, key: agency, ekm });
  const { secret_sha256: hashed } = JSON.parse(good.body);
  const box = JSON.parse(good.text);
  const context = { environment: WHO.environment, purpose: "enrol", sender: WHO.partner, recipient: "agency", id: hashed, kind: "enrol", priority: "none" };
  const payload = parseBase64url(box.keys.payload).toString();

  async function sealed(keysStatement, label) {
    const text = canonical({ ...box, keys: keysStatement });
    const envelope = await seal(text, { key: agency, context, ekm: ekmFor(label) });
    return canonical({ envelope: toBase64url(envelope), secret_sha256: hashed });
  }

  const otherHash = toBase64url(sha256("another secret"));
  const signedByStranger = makeStatement(payload, { kind: KINDS.enrolment, signers: [keys.submission, stranger] });
  const otherDigest = makeStatement(payload.replace(hashed, otherHash), { kind: KINDS.enrolment, signers: [keys.submission,
    keys.context] });
  const elsewhere = await sealEnrolment({ invitation, keys, key: otherAgency, ekm: ekmFor("elsewhere") });
  return [
    { name: "an enrolment", expect: "success", enrolment: good.body },
    { name: "an enrolment that names another digest of the secret", expect: "unknown-invitation", enrolment: await sealed(otherDigest, "other digest") },
    { name: "an enrolment with a stranger's signature", expect: "bad-signature", enrolment: await sealed(signedByStranger, "stranger") },
    { name: "an enrolment sealed to another key", expect: "wrong-key", enrolment: elsewhere.body },
  ];
}

async function makeSubmissions() {
  const settings = { ...WHO, reportId, priority: "P2", now: NOW, signer: keys.submission, key: agency };
  const make = async (label, changes) => (await sealReport(REPORT, { ...settings, ekm: ekmFor(label), ...changes })).body;
  const good = await make("report", {});
  const { envelope, statement } = JSON.parse(good);
  const payload = parseBase64url(statement.payload).toString();
  const digest = sha256(parseBase64url(envelope)).toString("hex");

  const signed = (text) => canonical({ envelope, statement: makeStatement(text, { kind: KINDS.submission, signers: [keys.submission] }) });
  const unsigned = canonical({ envelope, statement: { ...statement, payload: toBase64url(Buffer.from(payload.replace('"P2"', '"P1"'))) } });
  return [
    { name: "a report", expect: "success", submission: good },
    { name: "a report under a statement of another digest", expect: "envelope-mismatch", submission: signed(payload.replace(digest, sha256("another").toString("hex"))) },
    { name: "a report signed by another key", expect: "unknown-key", submission: await make("report", { signer: stranger }) },
    { name: "a report whose priority was raised after signing", expect: "bad-signature", submission: unsigned },
    { name: "a report whose priority was raised after sealing", expect: "wrong-key", submission: signed(payload.replace('"P2"', '"P1"')) },
    { name: "a report sealed to another key", expect: "wrong-key", submission: await make("elsewhere", { key: otherAgency }) },
  ];
}

/** The headers as the client signs them, and as the package does when it is told the whole profile. */
async function sign({ method, url, body, signer, now = NOW, nonce }) {
  const headers = signRequest({ method, url, body }, { signer, now, nonce });
  const { Signature, "Signature-Input": _, ...unsigned } = headers;
  const fields = ["@method", "@target-uri", ...(body === undefined ? [] : ["content-type", "content-digest"])];
  const key = signatures.createSigner(signer.privateKey, "ed25519", signer.keyId);
  const told = { key, name: "sig1", fields, params: ["created", "keyid", "alg", "nonce", "tag"] };
  const paramValues = { created: now, nonce, tag: "report-abuse" };
  const signed = await signatures.httpbis.signMessage({ ...told, paramValues }, { method, url, headers: unsigned });
  assert.deepEqual(signed.headers, headers);
  return headers;
}

async function makeRequests(body) {
  const post = { method: "POST", url: URL_OF_REPORTS, body, signer: keys.submission };
  const get = { method: "GET", url: URL_OF_STATUS, signer: keys.submission };
  const made = [];

  async function add(name, expect, request, { headers = {}, sent = {} } = {}) {
    const signed = await sign({ ...request, nonce: nonceFor(name) });
    const { method, url: target_uri } = { ...request, ...sent };
    const of = request.body === undefined ? {} : { body_of: sent.body_of ?? "a report" };
    made.push({ name, expect, method, target_uri, ...of, headers: { ...signed, ...headers } });
  }

  await add("the report is sent", "success", post);
  await add("the report is sent again, signed anew", "success", post);
  await add("the status is asked for", "success", get);
  await add("another digest in the header", "bad-signature", post, { headers: { "Content-Digest": contentDigestOf("{}") } });
  await add("another body than was signed", "wrong-digest", post, { sent: { body_of: "a report signed by another key" } });
  await add("a signature by another key", "bad-signature", { ...post, signer: stranger });
  await add("a signature over another target", "bad-signature", { ...post, url: `${ORIGIN}/v1/account` }, { sent: { url: URL_OF_REPORTS } });
  await add("a signature over another method", "bad-signature", { ...post, method: "PUT" }, { sent: { method: "POST" } });
  await add("a signature of 301 seconds ago", "stale", { ...post, now: TOO_OLD });

  // What the package signs when it is told no more than the fields: label `sig`, an expiry, no nonce and no tag.
  const { headers } = await signatures.httpbis.signMessage(
    {
      key: signatures.createSigner(keys.submission.privateKey, "ed25519", keys.submission.keyId),
      fields: ["@method", "@target-uri"],
      paramValues: { created: NOW },
    },
    { method: "GET", url: URL_OF_STATUS, headers: {} },
  );
  made.push({ name: "the defaults of the package", expect: "bad-signature-headers", method: "GET", target_uri: URL_OF_STATUS, headers });
  return made;
}

const versionIn = (file) => JSON.parse(readFileSync(file)).version;
const submissions = await makeSubmissions();
const file = {
  about: "What the TypeScript client of partner_sdk/npm makes, which shares no code with the Python package.",
  made_by: Object.fromEntries(PACKAGES.map(([name, path]) => [name, versionIn(path)])),
  ...WHO,
  now: formatTime(NOW),
  agency: { ...agency, seed: toBase64url(seedFor("agency sealing key of the other client")) },
  keys: {
    context_key: keys.context.publicKey,
    mailbox_key: toBase64url(keys.mailboxPublicKey),
    submission_key: keys.submission.publicKey,
  },
  mailbox_seed: toBase64url(keys.mailboxSeed),
  secret,
  report: REPORT,
  cases: [...(await makeEnrolments()), ...submissions, ...(await makeRequests(submissions[0].submission))],
};
process.stdout.write(JSON.stringify(file));
