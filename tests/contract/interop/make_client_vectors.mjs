// Keeps what wire.mjs and its packages make as vectors: an enrolment, a sealed report with its statement, signed
// requests, and altered ones. Seeds, times, ids and nonces are fixed, and X-Wing takes its 64 bytes from here, so the
// file comes out byte for byte the same. Every secret in it is a test secret.
//
//   npm install
//   node make_client_vectors.mjs          writes ../../../partner_sdk/vectors/other-client.json
//   node make_client_vectors.mjs -        writes it on standard output (`make vectors NAMES=other-client` asks so)
//
// tests/contract/test_other_client_vectors.py reads the file; it needs no Node.
import { createHash, createPrivateKey } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

import signatures from "http-message-signatures";

import * as wire from "./wire.mjs";

const { b64url, canonical, fromB64url, sha256 } = wire;
const VECTORS = new URL("../../../partner_sdk/vectors/other-client.json", import.meta.url);
const PACKAGES = ["@hpke/core", "@hpke/hybridkem-x-wing", "http-message-signatures"];
const NOW = new Date("2026-11-25T08:30:00Z");
const TOO_OLD = new Date(NOW.getTime() - 301_000);
const ORIGIN = "https://report.example";
const URL_OF_REPORTS = `${ORIGIN}/v1/reports`;
const URL_OF_STATUS = `${ORIGIN}/v1/status`;
const WHO = { environment: "live", partner: "node-chat" };

const seedFor = (label) => createHash("sha256").update(`report-abuse test vector: ${label}`).digest();
const ekmFor = (label) => new Uint8Array(createHash("sha512").update(`report-abuse test vector: ${label}`).digest()).buffer;
const nonceFor = (label) => b64url(seedFor(label).subarray(0, 24));
// PKCS #8 of an Ed25519 seed (RFC 8410 §7).
const signingKey = (label) =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seedFor(label)]),
    format: "der",
    type: "pkcs8",
  });

async function sealingKey(label) {
  const publicKey = await wire.mailboxPublic(seedFor(label));
  return { key_id: wire.sealingKeyIdOf(publicKey), public_key: b64url(publicKey) };
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
  mailboxPublic: await wire.mailboxPublic(seedFor("other client's mailbox key")),
  submission: signingKey("other client's submission key"),
};
const stranger = signingKey("a stranger's key");
const agency = await sealingKey("agency sealing key of the other client");
// Another agency's public key under the key id of ours.
const otherAgency = { ...(await sealingKey("a stranger's sealing key")), key_id: agency.key_id };
const secret = b64url(seedFor("secret of the invitation"));
const reportId = wire.makeUuid7(NOW, seedFor("report id").subarray(0, 10));

async function makeEnrolments() {
  const invitation = { ...WHO, secret };
  const ekm = ekmFor("enrolment");
  const good = await wire.makeEnrolment({ invitation, keys, sealingKey: agency, ekm });
  const { secret_sha256: hashed } = JSON.parse(good.body);
  const box = JSON.parse(good.text);
  const names = { ...WHO, purpose: "enrol", id: hashed, kind: "enrol", priority: "none" };
  const payload = fromB64url(box.keys.payload).toString();

  async function sealed(keysStatement, label) {
    const text = canonical({ ...box, keys: keysStatement });
    const envelope = await wire.seal({ ...names, text, sealingKey: agency, ekm: ekmFor(label) });
    return canonical({ envelope: b64url(envelope), secret_sha256: hashed });
  }

  const otherHash = b64url(sha256("another secret"));
  const signedByStranger = wire.makeStatement(payload, wire.TYPES.enrolment, [keys.submission, stranger]);
  const otherDigest = wire.makeStatement(payload.replace(hashed, otherHash), wire.TYPES.enrolment, [
    keys.submission,
    keys.context,
  ]);
  const elsewhere = await wire.makeEnrolment({ invitation, keys, sealingKey: otherAgency, ekm: ekmFor("elsewhere") });
  return [
    { name: "an enrolment", expect: "success", enrolment: good.body },
    { name: "an enrolment that names another digest of the secret", expect: "unknown-invitation", enrolment: await sealed(otherDigest, "other digest") },
    { name: "an enrolment with a stranger's signature", expect: "bad-signature", enrolment: await sealed(signedByStranger, "stranger") },
    { name: "an enrolment sealed to another key", expect: "wrong-key", enrolment: elsewhere.body },
  ];
}

async function makeSubmissions() {
  const settings = { ...WHO, report: REPORT, reportId, priority: "P2", now: NOW, key: keys.submission, sealingKey: agency };
  const make = async (label, changes) => (await wire.makeSubmission({ ...settings, ekm: ekmFor(label), ...changes })).body;
  const good = await make("report", {});
  const { envelope, statement } = JSON.parse(good);
  const payload = fromB64url(statement.payload).toString();
  const digest = sha256(fromB64url(envelope)).toString("hex");

  const signed = (text) => canonical({ envelope, statement: wire.makeStatement(text, wire.TYPES.submission, [keys.submission]) });
  const unsigned = canonical({ envelope, statement: { ...statement, payload: b64url(payload.replace('"P2"', '"P1"')) } });
  return [
    { name: "a report", expect: "success", submission: good },
    { name: "a report under a statement of another digest", expect: "envelope-mismatch", submission: signed(payload.replace(digest, sha256("another").toString("hex"))) },
    { name: "a report signed by another key", expect: "unknown-key", submission: await make("report", { key: stranger }) },
    { name: "a report whose priority was raised after signing", expect: "bad-signature", submission: unsigned },
    { name: "a report whose priority was raised after sealing", expect: "wrong-key", submission: signed(payload.replace('"P2"', '"P1"')) },
    { name: "a report sealed to another key", expect: "wrong-key", submission: await make("elsewhere", { sealingKey: otherAgency }) },
  ];
}

async function makeRequests(body) {
  const post = { method: "POST", url: URL_OF_REPORTS, body, key: keys.submission, now: NOW };
  const get = { method: "GET", url: URL_OF_STATUS, key: keys.submission, now: NOW };
  const made = [];

  async function add(name, expect, request, { headers = {}, sent = {} } = {}) {
    const signed = await wire.signedHeaders({ ...request, nonce: nonceFor(name) });
    const { method, url: target_uri } = { ...request, ...sent };
    const of = request.body === undefined ? {} : { body_of: sent.body_of ?? "a report" };
    made.push({ name, expect, method, target_uri, ...of, headers: { ...signed, ...headers } });
  }

  await add("the report is sent", "success", post);
  await add("the report is sent again, signed anew", "success", post);
  await add("the status is asked for", "success", get);
  await add("another digest in the header", "bad-signature", post, { headers: { "Content-Digest": wire.contentDigest("{}") } });
  await add("another body than was signed", "wrong-digest", post, { sent: { body_of: "a report signed by another key" } });
  await add("a signature by another key", "bad-signature", { ...post, key: stranger });
  await add("a signature over another target", "bad-signature", { ...post, url: `${ORIGIN}/v1/account` }, { sent: { url: URL_OF_REPORTS } });
  await add("a signature over another method", "bad-signature", { ...post, method: "PUT" }, { sent: { method: "POST" } });
  await add("a signature of 301 seconds ago", "stale", { ...post, now: TOO_OLD });

  // What the package signs when it is told no more than the fields: label `sig`, an expiry, no nonce and no tag.
  const { headers } = await signatures.httpbis.signMessage(
    {
      key: signatures.createSigner(keys.submission, "ed25519", wire.keyIdOf(wire.rawPublic(keys.submission))),
      fields: ["@method", "@target-uri"],
      paramValues: { created: NOW },
    },
    { method: "GET", url: URL_OF_STATUS, headers: {} },
  );
  made.push({ name: "the defaults of the package", expect: "bad-signature-headers", method: "GET", target_uri: URL_OF_STATUS, headers });
  return made;
}

const versionOf = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
const submissions = await makeSubmissions();
const file = {
  about: "What a client in Node made by docs/guides/any-language.md, with packages that share no code with ours.",
  made_by: Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)])),
  ...WHO,
  now: wire.timeText(NOW),
  agency: { ...agency, seed: b64url(seedFor("agency sealing key of the other client")) },
  keys: {
    context_key: b64url(wire.rawPublic(keys.context)),
    mailbox_key: b64url(keys.mailboxPublic),
    submission_key: b64url(wire.rawPublic(keys.submission)),
  },
  mailbox_seed: b64url(seedFor("other client's mailbox key")),
  secret,
  report: REPORT,
  cases: [...(await makeEnrolments()), ...submissions, ...(await makeRequests(submissions[0].submission))],
};
// One space, as Python's json.dumps(indent=1) writes it.
const text = `${JSON.stringify(file, null, 1)}\n`;
if (process.argv[2] === "-") process.stdout.write(text);
else writeFileSync(VECTORS, text);
