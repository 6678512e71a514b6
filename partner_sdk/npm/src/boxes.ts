/** Sealed boxes (WIRE.md §3): HPKE with X-Wing, the facts that bind a box to its place, and padding. */
import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";

import { parseBase64url, sha256, toBase64url } from "./canonical.js";
import { EnvelopeError, OpeningError, SealingError } from "./errors.js";
import type { Environment } from "./shapes.js";

/** X-Wing, HKDF-SHA256 and AES-256-GCM, two bytes each (§3.1). */
const SUITE = Buffer.from("647a00010002", "hex");
const HPKE = new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const VERSION = 1;
const KEY_ID_BYTES = 8;
const ENC_BYTES = 1120;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES + SUITE.length;
const LENGTH_BYTES = 4;
const SMALL_STEP_BYTES = 1024;
const STEP_BYTES = 4096;
const LARGEST_STEPPED_BYTES = 16_384;
const MAX_PADDED_BYTES = 4 * 1024 * 1024;
export const MAX_ENVELOPE_BYTES = HEADER_BYTES + ENC_BYTES + MAX_PADDED_BYTES + TAG_BYTES;
export const PUBLIC_KEY_BYTES = 1216;

/** The facts of a box that are not secret and must not be swapped (§3.2). */
export interface BoxContext {
  readonly environment: Environment;
  readonly purpose: "report" | "mailbox" | "enrol" | "context" | "thread";
  readonly sender: string;
  readonly recipient: string;
  readonly id: string;
  readonly kind: string;
  readonly priority: string;
}

/** A public key to seal to, with its id, both in base64url. */
export interface SealingKey {
  readonly key_id: string;
  readonly public_key: string;
}

const exact = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

/** Return the public key of a seed, which is the X-Wing private key itself: HPKE's `deriveKeyPair` would hash it first. */
export async function makePublicKey(seed: Uint8Array): Promise<Buffer> {
  const { publicKey } = await (HPKE.kem as XWing).generateKeyPairDerand(new Uint8Array(seed));
  return Buffer.from(await HPKE.kem.serializePublicKey(publicKey));
}

export const sealingKeyIdOf = (publicKey: Uint8Array): string =>
  toBase64url(sha256(SUITE, publicKey).subarray(0, KEY_ID_BYTES));

function makeInfo(context: BoxContext, keyId: Uint8Array): Buffer {
  const { environment, purpose, sender, recipient, id, kind, priority } = context;
  const fields = [environment, keyId, SUITE, purpose, sender, recipient, id, kind, priority, "1"].flatMap((field) => {
    const bytes = Buffer.from(field as string);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat([Buffer.from("report-abuse envelope\x01"), ...fields]);
}

/** Return the size of a padded text (§3.3); above 16 KiB Padmé, which shows little more than the order of magnitude. */
function getPaddedSize(length: number, purpose: BoxContext["purpose"]): number {
  const small = Math.ceil(length / SMALL_STEP_BYTES) * SMALL_STEP_BYTES;
  if (purpose === "context") return small <= STEP_BYTES ? small : Infinity;
  const stepped = Math.ceil(length / STEP_BYTES) * STEP_BYTES;
  if (stepped <= LARGEST_STEPPED_BYTES) return stepped;
  const exponent = Math.floor(Math.log2(length));
  const step = 2 ** (exponent - (Math.floor(Math.log2(exponent)) + 1));
  return Math.ceil(length / step) * step;
}

function pad(plain: Uint8Array, purpose: BoxContext["purpose"]): Buffer {
  const size = getPaddedSize(LENGTH_BYTES + plain.length, purpose);
  if (size > MAX_PADDED_BYTES) throw new EnvelopeError("too-large", "The text is too large for one box.");
  const padded = Buffer.alloc(size);
  padded.writeUInt32BE(plain.length);
  padded.set(plain, LENGTH_BYTES);
  return padded;
}

function unpad(padded: Buffer, purpose: BoxContext["purpose"]): Buffer {
  const refused = new OpeningError("bad-padding", "The padding of this box is not the one of WIRE.md.");
  if (padded.length < LENGTH_BYTES) throw refused;
  const end = LENGTH_BYTES + padded.readUInt32BE();
  if (end > padded.length || getPaddedSize(end, purpose) !== padded.length) throw refused;
  if (padded.subarray(end).some((byte) => byte !== 0)) throw refused;
  return padded.subarray(LENGTH_BYTES, end);
}

/** Seal a text. `ekm` (64 bytes) takes the chance out of it: for vectors alone. */
export async function seal(
  plain: Uint8Array | string,
  { key, context, ekm }: { key: SealingKey; context: BoxContext; ekm?: Uint8Array },
): Promise<Buffer> {
  const padded = pad(typeof plain === "string" ? Buffer.from(plain) : plain, context.purpose);
  const keyId = parseBase64url(key.key_id);
  try {
    const recipientPublicKey = await HPKE.kem.importKey("raw", exact(parseBase64url(key.public_key)), true);
    const info = exact(makeInfo(context, keyId));
    const { enc, ct } = await HPKE.seal({ recipientPublicKey, info, ...(ekm && { ekm: exact(ekm) }) }, exact(padded));
    return Buffer.concat([Buffer.of(VERSION), keyId, SUITE, Buffer.from(enc), Buffer.from(ct)]);
  } catch {
    throw new SealingError("bad-key", "This key cannot seal.");
  }
}

/** Open a box with the seed that it is sealed to. */
export async function open(
  box: Uint8Array,
  { seed, context }: { seed: Uint8Array; context: BoxContext },
): Promise<Buffer> {
  const bytes = Buffer.from(box);
  if (bytes.length > MAX_ENVELOPE_BYTES) throw new EnvelopeError("too-large", "This box is too large.");
  if (bytes.length < HEADER_BYTES) throw new EnvelopeError("truncated", "This box is cut off.");
  if (bytes[0] !== VERSION)
    throw new EnvelopeError(
      "unknown-version",
      `This box has version ${bytes[0]}; this client knows version ${VERSION}.`,
    );
  const keyId = bytes.subarray(1, 1 + KEY_ID_BYTES);
  if (!bytes.subarray(1 + KEY_ID_BYTES, HEADER_BYTES).equals(SUITE))
    throw new EnvelopeError("unknown-suite", "This box is sealed with a suite that this client does not know.");
  if (bytes.length < HEADER_BYTES + ENC_BYTES + TAG_BYTES) throw new EnvelopeError("truncated", "This box is cut off.");
  if (toBase64url(keyId) !== sealingKeyIdOf(await makePublicKey(seed)))
    throw new OpeningError("unknown-key", "This box is sealed to another key.");
  let padded: Buffer;
  try {
    const recipientKey = await HPKE.kem.importKey("raw", exact(seed), false);
    const enc = exact(bytes.subarray(HEADER_BYTES, HEADER_BYTES + ENC_BYTES));
    const parameters = { recipientKey, enc, info: exact(makeInfo(context, keyId)) };
    padded = Buffer.from(await HPKE.open(parameters, exact(bytes.subarray(HEADER_BYTES + ENC_BYTES))));
  } catch {
    throw new OpeningError("does-not-open", "This box does not open: it was altered, or is sealed under other facts.");
  }
  return unpad(padded, context.purpose);
}
