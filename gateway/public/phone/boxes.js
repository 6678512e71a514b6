// @ts-check
/** The sealed boxes of the form (WIRE.md §3): a public report, and a message or a place for the way back. */
import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";

import { WireError, check, join, parseBase64url, sha256, toBase64url, toHex } from "./spelling.js";

/** @typedef {import("./spelling.js").Bytes} Bytes */
/** @typedef {{ readonly key_id: string, readonly public_key: string }} SealingKey as a key set has it */
/**
 * The facts of a box that are not secret and must not be swapped (§3.2).
 * @typedef {{ environment: string, purpose: string, sender: string, recipient: string, id: string, kind: string,
 *   priority: string }} BoxContext
 */

export const SUITE_NAME = "MLKEM768-X25519-HKDF-SHA256-AES-256-GCM";
const SUITE = Uint8Array.of(0x64, 0x7a, 0x00, 0x01, 0x00, 0x02);
const XWING = new XWing();
const HPKE = new CipherSuite({ kem: XWING, kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const VERSION = 1;
const KEY_ID_BYTES = 8;
const HEADER_BYTES = 1 + KEY_ID_BYTES + SUITE.length;
const ENC_BYTES = 1120;
const TAG_BYTES = 16;
const LENGTH_BYTES = 4;
const PUBLIC_PADDED_BYTES = 65_536;
const STEP_BYTES = 4096;
const LARGEST_STEPPED_BYTES = 16_384;

/** @param {Bytes} publicKey */
export const sealingKeyId = async (publicKey) => (await sha256(SUITE, publicKey)).slice(0, KEY_ID_BYTES);

/** @param {number} value @param {number} bytes */
const bigEndian = (value, bytes) => Uint8Array.from({ length: bytes }, (_, at) => value >>> (8 * (bytes - 1 - at)));

/** @param {BoxContext} context @param {Bytes} keyId */
function makeInfo({ environment, purpose, sender, recipient, id, kind, priority }, keyId) {
  const fields = [environment, keyId, SUITE, purpose, sender, recipient, id, kind, priority, "1"].map((one) =>
    join(one),
  );
  return join("report-abuse envelope\x01", ...fields.flatMap((field) => [bigEndian(field.length, 2), field])).buffer;
}

/** @param {BoxContext} context */
const isPublicReport = ({ purpose, sender }) => purpose === "report" && sender === "public";

/** @param {BoxContext} context */
const mostPadded = (context) => (isPublicReport(context) ? PUBLIC_PADDED_BYTES : LARGEST_STEPPED_BYTES);

/** @param {number} needed @param {BoxContext} context */
function paddedSize(needed, context) {
  check(needed <= mostPadded(context), "too-large");
  return isPublicReport(context) ? PUBLIC_PADDED_BYTES : Math.ceil(needed / STEP_BYTES) * STEP_BYTES;
}

/**
 * Pad and seal a text, and return the bytes of its box.
 *
 * Refuses more than 65,532 bytes of a public report and 16,380 of all else (`too-large`), and a key that is not what it
 * claims (`bad-key`).
 * @param {Bytes} plain @param {SealingKey} key @param {BoxContext} context @returns {Promise<Bytes>}
 */
export async function seal(plain, key, context) {
  const padded = new Uint8Array(paddedSize(LENGTH_BYTES + plain.length, context));
  padded.set(bigEndian(plain.length, LENGTH_BYTES));
  padded.set(plain, LENGTH_BYTES);
  try {
    const publicKey = parseBase64url(key.public_key);
    const keyId = await sealingKeyId(publicKey);
    check(toBase64url(keyId) === key.key_id, "bad-key");
    const recipientPublicKey = await XWING.deserializePublicKey(publicKey.buffer);
    const { enc, ct } = await HPKE.seal({ recipientPublicKey, info: makeInfo(context, keyId) }, padded.buffer);
    return join(Uint8Array.of(VERSION), keyId, SUITE, new Uint8Array(enc), new Uint8Array(ct));
  } catch {
    throw new WireError("bad-key");
  }
}

/** Return the public key of a 32-byte seed. @param {Bytes} seed @returns {Promise<Bytes>} */
export async function makePublicKey(seed) {
  const { publicKey } = await XWING.generateKeyPairDerand(seed.slice());
  return new Uint8Array(await XWING.serializePublicKey(publicKey));
}

/**
 * Open a box with the 32-byte seed that it is sealed to, and return its text.
 *
 * A box that was altered, is sealed to another key or under other facts is a `wrong-key`.
 * @param {Bytes} envelope @param {Bytes} seed @param {BoxContext} context @returns {Promise<Bytes>}
 */
export async function open(envelope, seed, context) {
  check(envelope.length <= HEADER_BYTES + ENC_BYTES + mostPadded(context) + TAG_BYTES, "too-large");
  check(envelope.length >= HEADER_BYTES, "truncated");
  check(envelope[0] === VERSION, "unknown-version");
  const keyId = envelope.slice(1, 1 + KEY_ID_BYTES);
  check(toHex(envelope.slice(1 + KEY_ID_BYTES, HEADER_BYTES)) === toHex(SUITE), "unknown-suite");
  check(envelope.length >= HEADER_BYTES + ENC_BYTES + TAG_BYTES, "truncated");
  const enc = envelope.slice(HEADER_BYTES, HEADER_BYTES + ENC_BYTES).buffer;
  const sealed = envelope.slice(HEADER_BYTES + ENC_BYTES).buffer;
  let padded;
  try {
    // The seed is the private key itself: `deriveKeyPair` would hash it first.
    const recipientKey = await XWING.generateKeyPairDerand(seed.slice());
    const publicKey = new Uint8Array(await XWING.serializePublicKey(recipientKey.publicKey));
    check(toHex(await sealingKeyId(publicKey)) === toHex(keyId), "wrong-key");
    padded = new Uint8Array(await HPKE.open({ recipientKey, enc, info: makeInfo(context, keyId) }, sealed));
  } catch {
    throw new WireError("wrong-key");
  }
  check(padded.length >= LENGTH_BYTES, "bad-padding");
  const end = LENGTH_BYTES + new DataView(padded.buffer).getUint32(0);
  check(end <= padded.length && paddedSize(end, context) === padded.length, "bad-padding");
  check(
    padded.subarray(end).every((byte) => byte === 0),
    "bad-padding",
  );
  return padded.slice(LENGTH_BYTES, end);
}
