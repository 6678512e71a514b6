// @ts-check
/**
 * What a page needs to seal a report on the child's own phone, and to believe the answers (WIRE.md §3 to §6, §9.2).
 *
 * Asks no network, keeps nothing, and touches no page; every refusal is a `WireError`. Signatures are WebCrypto's
 * Ed25519: without it (before Safari 17, Firefox 129, Chromium 137) the reason is `no-ed25519`, for the plain way.
 */
import { SUITE_NAME, sealingKeyId } from "./boxes.js";
import {
  WireError,
  check,
  join,
  parseBase64url,
  parseCanonical,
  sha256,
  spell,
  spellTime,
  takeFields,
  takeTime,
  toBase64url,
  toHex,
} from "./spelling.js";

export { open, seal } from "./boxes.js";
export { WireError };

/** @typedef {import("./spelling.js").Bytes} Bytes */
/** @typedef {import("./spelling.js").Fields} Fields */
/** @typedef {(claimed: Fields) => string | undefined} FindKey finds the key that must have signed, in base64url */

const KEY_BYTES = 32;
const SEALING_KEY_BYTES = 1216;
const MAX_SIGNED_REPLY_BYTES = 16_380;
const MAX_BODY_CHARACTERS = 4000;
const STATEMENT = "payload payloadType signatures";
const DELEGATION = "environment key_set_key not_after not_before root_key";
const KEY_SET = "environment expires_at issued_at mailbox_keys receipt_keys register_keys sealing_keys serial";
const SEALING_KEY = "key_id not_before open_until public_key seal_until state suite";
const VERIFY_KEY = "key_id not_before public_key use_until verify_until";
const INTAKE =
  "clear door envelope_sha256 environment epoch instance key_set_serial placement previous received_at reference " +
  "sequence submission_sha256";

/** @param {Bytes} publicKey */
const verifyKeyId = async (publicKey) => (await sha256(publicKey)).slice(0, 8);

/** Look at a payload before its signature is checked, e.g. for the key that it claims. @param {any} statement */
const readClaimed = (statement) => parseCanonical(parseBase64url(takeFields(statement, STATEMENT).payload));

/** @param {Bytes} publicKey @param {Bytes} signature @param {Bytes} signed */
async function isSigned(publicKey, signature, signed) {
  const key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]).catch(() => null);
  check(key, "no-ed25519");
  return crypto.subtle.verify("Ed25519", key, signature, signed);
}

/**
 * Check the kind, the number of signatures and the signature of a statement (§4), and only then return its payload.
 * @param {any} statement @param {string} name @param {FindKey} findKey
 */
async function openStatement(statement, name, findKey) {
  const { payload, payloadType: kind, signatures } = takeFields(statement, STATEMENT);
  check(kind === `application/vnd.report-abuse.${name}.v1+json`, "wrong-kind");
  check(Array.isArray(signatures) && signatures.length === 1, "wrong-signature-count");
  const { keyid, sig } = takeFields(signatures[0], "keyid sig");
  const claimed = readClaimed(statement);
  const found = findKey({ ...claimed, keyid });
  check(found !== undefined, "unknown-key");
  const publicKey = parseBase64url(found, KEY_BYTES);
  check(keyid === toBase64url(await verifyKeyId(publicKey)), "unknown-key");
  const bytes = parseBase64url(payload);
  const signed = join(`DSSEv1 ${kind.length} ${kind} ${bytes.length} `, bytes);
  check(await isSigned(publicKey, parseBase64url(sig), signed), "bad-signature");
  return claimed;
}

/**
 * Find the key that was in use when something was signed, and is still believed now (§5.4).
 * @param {readonly Fields[]} keys @param {string} dated @param {Date} now @returns {FindKey}
 */
const keyInUse = (keys, dated, now) => (claimed) => {
  const signedAt = takeTime(claimed[dated]);
  const isInUse = (/** @type {Fields} */ key) => key.not_before <= signedAt && signedAt < key.use_until;
  const isBelieved = (/** @type {Fields} */ key) => isInUse(key) && spellTime(now) < key.verify_until;
  return keys.find((key) => key.key_id === claimed.keyid && isBelieved(key))?.public_key;
};

/**
 * Check that each id is that of its key, that times are in order, and that a key has one role.
 * @param {Fields} keySet @param {string[]} others
 */
async function checkKeys({ sealing_keys, receipt_keys, mailbox_keys, register_keys, log_keys = [] }, others) {
  const seen = new Set(others);
  for (const key of [sealing_keys, receipt_keys, mailbox_keys, register_keys, log_keys].flat()) {
    const isSealing = "suite" in Object(key);
    takeFields(key, isSealing ? SEALING_KEY : VERIFY_KEY);
    check(!isSealing || key.suite === SUITE_NAME, "bad-key");
    const publicKey = parseBase64url(key.public_key, isSealing ? SEALING_KEY_BYTES : KEY_BYTES);
    const id = await (isSealing ? sealingKeyId : verifyKeyId)(publicKey);
    check(key.key_id === toBase64url(id) && !seen.has(key.public_key), "bad-key");
    seen.add(key.public_key);
    const [second, third] = isSealing ? [key.seal_until, key.open_until] : [key.use_until, key.verify_until];
    check(takeTime(key.not_before) <= takeTime(second) && second <= takeTime(third), "bad-key");
  }
}

/**
 * Find the newest key to seal to.
 * @param {Fields} keySet @param {string} at @returns {import("./boxes.js").SealingKey | null}
 */
function findSealingKey({ sealing_keys }, at) {
  const isUsable = (/** @type {Fields} */ key) => key.state === "active" && key.not_before <= at && at < key.seal_until;
  const byAge = (/** @type {Fields} */ one, /** @type {Fields} */ other) =>
    one.not_before < other.not_before ? 1 : -1;
  return sealing_keys.filter(isUsable).sort(byAge)[0] ?? null;
}

/**
 * Check a key-set bundle (§5.3) against the pinned root, and return its key set and the key to seal to now, or null: what
 * was sent before can be read without one.
 *
 * A phone keeps nothing, so it follows no change of root and knows no earlier serial: its page pins the root of today,
 * by its fingerprint in hexadecimal. `allowExpired` is for a child, who seals until `seal_until` (§5.4).
 * @param {Bytes} bytes
 * @param {{ rootFingerprint: string, environment: string, now: Date, allowExpired?: boolean }} pinned
 */
export async function verifyKeySet(bytes, { rootFingerprint, environment, now, allowExpired = false }) {
  const bundle = takeFields(parseCanonical(bytes), "delegation key_set root_change");
  const { root_key: rootKey } = takeFields(readClaimed(bundle.delegation), DELEGATION);
  check(toHex(await sha256(parseBase64url(rootKey, KEY_BYTES))) === rootFingerprint, "wrong-root");
  const delegation = await openStatement(bundle.delegation, "delegation", () => rootKey);
  const opened = await openStatement(bundle.key_set, "key-set", () => delegation.key_set_key);
  const keySet = takeFields(opened, KEY_SET, "log_keys");
  check(delegation.environment === environment && keySet.environment === environment, "wrong-environment");
  await checkKeys(keySet, [rootKey, delegation.key_set_key]);
  const at = spellTime(now);
  const isDelegated = takeTime(delegation.not_before) <= at && at < takeTime(delegation.not_after);
  check(allowExpired || (isDelegated && at < takeTime(keySet.expires_at)), "expired");
  return { keySet, sealingKey: findSealingKey(keySet, at) };
}

/**
 * Check the gateway's receipt (§6.2) for the box that was sent, and return its facts: without it nothing was sent.
 *
 * `clear` are the clear fields (§6.1) that the box is sealed under, `reference` is the one that the gateway proposed.
 * @param {Bytes} bytes
 * @param {{ keySet: Fields, clear: Fields, envelope: Bytes, reference: string, now: Date }} sent
 */
export async function verifyReceipt(bytes, { keySet, clear, envelope, reference, now }) {
  const findKey = keyInUse(keySet.receipt_keys, "received_at", now);
  const facts = takeFields(await openStatement(parseCanonical(bytes), "intake", findKey), INTAKE);
  check(facts.environment === keySet.environment && clear.environment === keySet.environment, "wrong-environment");
  const isOfThisBox = facts.envelope_sha256 === toHex(await sha256(envelope)) && spell(facts.clear) === spell(clear);
  const isOfThisDoor = facts.door === "public" && facts.submission_sha256 === null;
  check(isOfThisBox && isOfThisDoor && facts.reference === reference, "receipt-mismatch");
  return facts;
}

/**
 * Check a message out of a reply's box (§9.2), and return its facts: its `kind` is `reply`, or `read` without a body.
 * @param {Bytes} bytes @param {{ keySet: Fields, reference: string, messageId: string, now: Date }} asked
 */
export async function verifyReply(bytes, { keySet, reference, messageId, now }) {
  check(bytes.length <= MAX_SIGNED_REPLY_BYTES, "too-large");
  const findKey = keyInUse(keySet.mailbox_keys, "issued_at", now);
  const opened = await openStatement(parseCanonical(bytes), "reply", findKey);
  const message = takeFields(opened, "body environment issued_at kind message_id reference");
  check(typeof message.body === "string" && [...message.body].length <= MAX_BODY_CHARACTERS, "malformed");
  check(message.kind === (message.body ? "reply" : "read"), "malformed");
  const isAsked = message.reference === reference && message.message_id === messageId;
  check(isAsked && message.environment === keySet.environment, "wrong-reference");
  return message;
}
