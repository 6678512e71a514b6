// What a partner signs, seals and checks, by docs/guides/any-language.md alone: every part names the step of the guide.
// It shares no code with ours. HTTP signatures are made by `http-message-signatures`, HPKE by `@hpke/core` with X-Wing, the
// report is checked by `ajv`, Ed25519 and SHA-256 are Node's own. Knows no files and no network: client.mjs does.
import { createHash, createPublicKey, randomBytes, sign, verify } from "node:crypto";

import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";
import Ajv from "ajv/dist/2020.js";
import signatures from "http-message-signatures";

export const TYPES = {
  delegation: "application/vnd.report-abuse.delegation.v1+json",
  enrolment: "application/vnd.report-abuse.enrolment.v1+json",
  intake: "application/vnd.report-abuse.intake.v1+json",
  keySet: "application/vnd.report-abuse.key-set.v1+json",
  mailboxMessage: "application/vnd.report-abuse.mailbox-message.v1+json",
  rootChange: "application/vnd.report-abuse.root-change.v1+json",
  submission: "application/vnd.report-abuse.submission.v1+json",
};
const SUITE = Buffer.from("647a00010002", "hex");

// Step 1: three spellings.

export const b64url = (bytes) => Buffer.from(bytes).toString("base64url");
export const fromB64url = (text) => Buffer.from(text, "base64url");
export const sha256 = (bytes) => createHash("sha256").update(bytes).digest();
export const timeText = (date) => date.toISOString().replace(/\.\d{3}Z$/, "Z");

/** RFC 8785 for JSON of text, whole numbers, lists and objects: JavaScript sorts and spells as that RFC says. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

function u16(value) {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function field(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([u16(bytes.length), bytes]);
}

/** A UUIDv7 (RFC 9562) of a time and 10 random bytes. */
export function makeUuid7(date, random = randomBytes(10)) {
  const bytes = Buffer.concat([Buffer.alloc(6), random]);
  bytes.writeUIntBE(date.getTime(), 0, 6);
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// Step 2: keys.

export const rawPublic = (key) => fromB64url(createPublicKey(key).export({ format: "jwk" }).x);
export const keyIdOf = (publicKey) => b64url(sha256(publicKey).subarray(0, 8));
export const sealingKeyIdOf = (publicKey) => keyIdOf(Buffer.concat([SUITE, publicKey]));
export const suite = new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** The seed is the private key itself: this package's `deriveKeyPair` hashes it first, and that makes another pair. */
export async function mailboxPublic(seed) {
  const { publicKey } = await suite.kem.generateKeyPairDerand(new Uint8Array(seed));
  return Buffer.from(await suite.kem.serializePublicKey(publicKey));
}

// Step 3: statements and the agency's key.

const preAuth = (type, payload) =>
  Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);

export function makeStatement(payload, type, keys) {
  const bytes = Buffer.from(payload);
  const signed = keys.map((key) => ({ keyid: keyIdOf(rawPublic(key)), sig: b64url(sign(null, preAuth(type, bytes), key)) }));
  return { payload: b64url(bytes), payloadType: type, signatures: signed };
}

/** The payload of a statement whose signatures hold under `publicKeys` (32 bytes each), in this order and no other. */
export function openStatement(statement, type, publicKeys) {
  const payload = fromB64url(statement.payload);
  if (statement.payloadType !== type) throw new Error(`the statement is no ${type}`);
  if (statement.signatures.length !== publicKeys.length) throw new Error(`the ${type} has another number of signatures`);
  publicKeys.forEach((publicKey, place) => {
    const key = createPublicKey({ key: { crv: "Ed25519", kty: "OKP", x: b64url(publicKey) }, format: "jwk" });
    if (!verify(null, preAuth(type, payload), key, fromB64url(statement.signatures[place].sig))) {
      throw new Error(`the signature of the ${type} does not hold`);
    }
  });
  return JSON.parse(payload);
}

const fingerprintOf = (key) => sha256(key).toString("hex");

/** The root fingerprints to trust from now on: the same, or those behind a change from the one root to the next. */
function followRoot(rootKey, rootChange, trusted) {
  if (fingerprintOf(rootKey) === trusted.root_fingerprint) return trusted;
  if (!rootChange || fingerprintOf(rootKey) !== trusted.next_root_fingerprint) throw new Error("the root key is not trusted");
  const oldKey = fromB64url(JSON.parse(fromB64url(rootChange.payload)).old_root_key);
  const change = openStatement(rootChange, TYPES.rootChange, [oldKey, rootKey]);
  if (fingerprintOf(oldKey) !== trusted.root_fingerprint || change.new_root_key !== b64url(rootKey)) {
    throw new Error("the change of root does not lead from the trusted root to this one");
  }
  if (change.environment !== trusted.environment) throw new Error("another environment");
  return { ...trusted, root_fingerprint: fingerprintOf(rootKey), next_root_fingerprint: change.next_root_fingerprint };
}

/** The checked key set of the agency and the root fingerprints to keep; `trusted` is the invitation, or what was kept. */
export function checkKeys({ delegation, key_set: keySet, root_change: rootChange }, { trusted, lowestSerial, now }) {
  const time = timeText(now);
  const rootKey = fromB64url(JSON.parse(fromB64url(delegation.payload)).root_key);
  const followed = followRoot(rootKey, rootChange, trusted);
  const delegated = openStatement(delegation, TYPES.delegation, [rootKey]);
  if (time < delegated.not_before || time >= delegated.not_after) throw new Error("the delegation is not of this time");
  const keys = openStatement(keySet, TYPES.keySet, [fromB64url(delegated.key_set_key)]);
  if (time >= keys.expires_at) throw new Error("the key set is past");
  if (keys.serial < lowestSerial) throw new Error("the key set is older than one that was seen");
  if (![delegated, keys].every(({ environment }) => environment === trusted.environment)) {
    throw new Error("another environment");
  }
  return { keys, trusted: followed };
}

export function getSealingKey(keys, now) {
  const time = timeText(now);
  const usable = keys.sealing_keys.filter((key) => key.state === "active" && key.not_before <= time && time < key.seal_until);
  usable.sort((one, other) => (one.not_before < other.not_before ? 1 : -1));
  if (!usable.length) throw new Error("the agency has no key to seal to now");
  return usable[0];
}

// Step 4: sealing.

function paddedSize(length) {
  const fourKiB = Math.ceil(length / 4096) * 4096;
  if (fourKiB <= 16384) return fourKiB;
  const exponent = Math.floor(Math.log2(length));
  const step = 2 ** (exponent - (Math.floor(Math.log2(exponent)) + 1));
  return Math.ceil(length / step) * step;
}

const makeInfo = (bound) => Buffer.concat([Buffer.from("report-abuse envelope"), Buffer.from([1]), ...bound.map(field)]);

/** An envelope for the agency. `ekm` (64 bytes) takes the chance out of it, for vectors only. */
export async function seal({ purpose, id, kind, priority, text, environment, partner, sealingKey, ekm }) {
  const plain = Buffer.from(text);
  const padded = Buffer.alloc(paddedSize(4 + plain.length));
  padded.writeUInt32BE(plain.length);
  plain.copy(padded, 4);
  const keyId = fromB64url(sealingKey.key_id);
  const info = makeInfo([environment, keyId, SUITE, purpose, partner, "agency", id, kind, priority, "1"]);
  const publicBytes = new Uint8Array(fromB64url(sealingKey.public_key)).buffer;
  const recipientPublicKey = await suite.kem.importKey("raw", publicBytes, true);
  const { enc, ct } = await suite.seal({ recipientPublicKey, info: new Uint8Array(info).buffer, ekm }, new Uint8Array(padded).buffer);
  return Buffer.concat([Buffer.from([1]), keyId, SUITE, Buffer.from(enc), Buffer.from(ct)]);
}

// Step 5: the enrolment.

export const hashedSecret = (secret) =>
  b64url(sha256(Buffer.concat([Buffer.from("report-abuse invitation v1\0"), fromB64url(secret)])));

export async function makeEnrolment({ invitation, keys, sealingKey, ekm }) {
  const { environment, partner, secret } = invitation;
  const hashed = hashedSecret(secret);
  const payload = canonical({
    context_key: b64url(rawPublic(keys.context)),
    environment,
    mailbox_key: b64url(keys.mailboxPublic),
    partner,
    secret_sha256: hashed,
    submission_key: b64url(rawPublic(keys.submission)),
  });
  const statement = makeStatement(payload, TYPES.enrolment, [keys.submission, keys.context]);
  const text = canonical({ keys: statement, secret });
  const names = { purpose: "enrol", id: hashed, kind: "enrol", priority: "none" };
  const envelope = await seal({ ...names, text, environment, partner, sealingKey, ekm });
  return { text, body: canonical({ envelope: b64url(envelope), secret_sha256: hashed }) };
}

// Step 6: the report.

/** The gateway cannot look into a sealed report: one that does not fit the schema must be found here. */
export function checkReport(report, schema) {
  const fits = new Ajv({ strict: false, allErrors: true }).compile(schema);
  if (fits(report)) return;
  const found = fits.errors.map((error) => `${error.instancePath || "/"} ${error.message} ${canonical(error.params)}`);
  throw new Error(`the report does not fit the schema, nothing was sent:\n${[...new Set(found)].join("\n")}`);
}

export async function makeSubmission({ report, reportId, priority, environment, partner, key, sealingKey, now, ekm }) {
  const clear = {
    earlier_reference: null,
    environment,
    evidence_ids: [],
    kind: "initial",
    partner,
    priority,
    report_id: reportId,
    schema_version: "1",
  };
  const text = canonical({ clear, report });
  const names = { purpose: "report", id: reportId, kind: clear.kind, priority };
  const envelope = await seal({ ...names, text, environment, partner, sealingKey, ekm });
  const payload = canonical({ ...clear, created_at: timeText(now), envelope_sha256: sha256(envelope).toString("hex") });
  const statement = makeStatement(payload, TYPES.submission, [key]);
  return { text, body: canonical({ envelope: b64url(envelope), statement }) };
}

// Step 7: the request.

export const contentDigest = (body) => `sha-256=:${sha256(body).toString("base64")}:`;

/** The headers of a request in the one spelling that the gateway takes. The defaults of the package are all another. */
export async function signedHeaders({ method, url, body, key, now = new Date(), nonce = b64url(randomBytes(24)) }) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json", "Content-Digest": contentDigest(body) };
  const signed = await signatures.httpbis.signMessage(
    {
      key: signatures.createSigner(key, "ed25519", keyIdOf(rawPublic(key))),
      name: "sig1",
      fields: ["@method", "@target-uri", ...(body === undefined ? [] : ["content-type", "content-digest"])],
      params: ["created", "keyid", "alg", "nonce", "tag"],
      paramValues: { created: now, nonce, tag: "report-abuse" },
    },
    { method, url, headers },
  );
  return signed.headers;
}

// Step 8: the receipt.

/** The payload of a receipt for `submitted` (the bytes of a body that was sent). */
export function checkReceipt(receipt, submitted, { keys, now }) {
  const claimed = JSON.parse(fromB64url(receipt.payload));
  const [{ keyid }] = receipt.signatures;
  const key = keys.receipt_keys.find(
    (one) => one.key_id === keyid && one.not_before <= claimed.received_at && claimed.received_at < one.use_until,
  );
  if (!key || timeText(now) >= key.verify_until) throw new Error("no key of the agency signed this receipt");
  const payload = openStatement(receipt, TYPES.intake, [fromB64url(key.public_key)]);
  const { envelope, statement } = JSON.parse(submitted);
  if (payload.submission_sha256 !== sha256(canonical(statement)).toString("hex")) throw new Error("for another submission");
  const { created_at: _, envelope_sha256: digest, ...clear } = JSON.parse(fromB64url(statement.payload));
  if (canonical(payload.clear) !== canonical(clear)) throw new Error("the receipt says something else than was sent");
  if (payload.envelope_sha256 !== digest || digest !== sha256(fromB64url(envelope)).toString("hex")) {
    throw new Error("for another envelope");
  }
  return payload;
}

// Step 9: the mailbox.

const exact = (bytes) => new Uint8Array(bytes).buffer;

/** The payload of a message in the mailbox, with its `body` parsed, and the digest that the next message names. */
export async function openMessage({ envelope, message_id: id }, { seed, keys, environment, partner }) {
  const box = fromB64url(envelope);
  const [keyId, suiteBytes, enc, ct] = [box.subarray(1, 9), box.subarray(9, 15), box.subarray(15, 1135), box.subarray(1135)];
  const own = sealingKeyIdOf(await mailboxPublic(seed));
  if (box[0] !== 1 || !suiteBytes.equals(SUITE) || b64url(keyId) !== own) throw new Error("sealed to another key");
  const info = makeInfo([environment, keyId, SUITE, "mailbox", "agency", partner, id, "message", "none", "1"]);
  const recipientKey = await suite.kem.importKey("raw", exact(seed), false);
  const padded = Buffer.from(await suite.open({ recipientKey, enc: exact(enc), info: exact(info) }, exact(ct)));
  const signed = padded.subarray(4, 4 + padded.readUInt32BE());
  const statement = JSON.parse(signed);
  const claimed = JSON.parse(fromB64url(statement.payload));
  const key = keys.mailbox_keys.find(
    (one) =>
      one.key_id === statement.signatures[0].keyid &&
      one.not_before <= claimed.issued_at && claimed.issued_at < one.use_until,
  );
  if (!key) throw new Error("no key of the agency signed this message");
  const message = openStatement(statement, TYPES.mailboxMessage, [fromB64url(key.public_key)]);
  if (message.recipient !== partner || message.environment !== environment || message.message_id !== id) {
    throw new Error("a message for another mailbox");
  }
  return { ...message, body: JSON.parse(fromB64url(message.body)), sha256: sha256(signed).toString("hex") };
}
