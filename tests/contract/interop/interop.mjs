// Reads one JSON object on standard input and writes one on standard output.
//   {"do": "seal", "public_key": b64url, "info": b64url, "plaintext": b64url}  ->  {"box": b64url}
//   {"do": "open", "seed": b64url, "info": b64url, "box": b64url}              ->  {"plaintext": b64url}
//   {"do": "derive", "code": text, "reference": text}                          ->  {"raw", "salt", "seed", "token"}, each b64url
// Run `npm install` here first. See vector_makers/other_library.py, which calls it.
import { readFileSync } from "node:fs";
import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { XWing } from "@hpke/hybridkem-x-wing";
import { argon2id } from "@noble/hashes/argon2.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";

const ENC_BYTES = 1120;
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64url"));
const exact = (array) => array.buffer.slice(array.byteOffset, array.byteOffset + array.byteLength);
const text = (buffer) => Buffer.from(buffer).toString("base64url");

const asked = JSON.parse(readFileSync(0, "utf8"));
const suite = new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

if (asked.do === "seal") {
  const recipientPublicKey = await suite.kem.deserializePublicKey(exact(bytes(asked.public_key)));
  const sender = await suite.createSenderContext({ recipientPublicKey, info: exact(bytes(asked.info)) });
  const ciphertext = await sender.seal(exact(bytes(asked.plaintext)));
  process.stdout.write(JSON.stringify({ box: text(Buffer.concat([Buffer.from(sender.enc), Buffer.from(ciphertext)])) }));
} else if (asked.do === "derive") {
  // WIRE.md §9.2, typed out once more.
  const salt = sha256(Buffer.from("report-abuse return code salt v2" + asked.reference));
  const raw = argon2id(Buffer.from(asked.code), salt, { t: 1, m: 16384, p: 1, dkLen: 32 });
  const seed = hkdf(sha256, raw, undefined, Buffer.from("report-abuse return code seed v2"), 32);
  const token = hkdf(sha256, raw, undefined, Buffer.from("report-abuse return code token v2"), 32);
  process.stdout.write(JSON.stringify({ raw: text(raw), salt: text(salt), seed: text(seed), token: text(token) }));
} else {
  const box = bytes(asked.box);
  const recipientKey = await suite.kem.importKey("raw", exact(bytes(asked.seed)), false);
  const recipient = await suite.createRecipientContext({
    recipientKey,
    enc: exact(box.slice(0, ENC_BYTES)),
    info: exact(bytes(asked.info)),
  });
  process.stdout.write(JSON.stringify({ plaintext: text(await recipient.open(exact(box.slice(ENC_BYTES)))) }));
}
