// @ts-check
/** The five words of a return code and what they derive (WIRE.md §9.2), as gateway/public/returning.py does it. */
import { argon2id } from "@noble/hashes/argon2.js";

import { makePublicKey } from "./boxes.js";
import { check, join, sha256, toBase64url, toHex } from "./spelling.js";

/** @typedef {import("./spelling.js").Bytes} Bytes */
/** @typedef {{ seed: Bytes, token: string, tokenSha256: string, replyKey: string }} ReturnKeys */

const CODE_WORDS = 5;
const MOST_DRAWS = 100; // one draw in 205 repeats a word; a hundred in a row mean a stuck source
const MOST_TYPED_CHARACTERS = 200;
const COST = { t: 1, m: 16 * 1024, p: 1, dkLen: 32 };

/** Read the list as the build writes it: for each word the number of letters of the word before, and the rest. */
export function readWords(/** @type {string} */ coded) {
  let word = "";
  return (coded.match(/\d\D*/g) ?? []).map((one) => (word = word.slice(0, Number(one[0])) + one.slice(1)));
}

/** @param {number} length */
const drawBytes = (length) => crypto.getRandomValues(new Uint8Array(length));

/**
 * Draw five different words of 2,048, each as likely as any. A draw that repeats a word is discarded as a whole.
 * @param {readonly string[]} words
 */
export function drawCode(words, random = drawBytes) {
  check(words.length === 2048, "stuck-random"); // it divides 65,536: two bytes pick every word alike
  for (let draw = 0; draw < MOST_DRAWS; draw += 1) {
    const drawn = new DataView(random(2 * CODE_WORDS).buffer);
    const numbers = Array.from({ length: CODE_WORDS }, (_, at) => drawn.getUint16(2 * at) % words.length);
    if (new Set(numbers).size === CODE_WORDS) return numbers.map((number) => words[number]).join(" ");
  }
  check(false, "stuck-random");
}

/** Find the code in what a person typed. @param {string} typed @param {readonly string[]} words */
export function findCode(typed, words) {
  const found =
    typed
      .slice(0, MOST_TYPED_CHARACTERS)
      .toLowerCase()
      .match(/[a-z]+/g) ?? [];
  check(found.length === CODE_WORDS && found.every((word) => words.includes(word)), "not-a-code");
  return found.join(" ");
}

/** Return a typed reference in its one spelling; the gateway checks the last symbol. @param {string} typed */
export function spellReference(typed) {
  const symbols = typed.slice(0, MOST_TYPED_CHARACTERS).toUpperCase().replace(/[\s-]/g, "");
  const read = symbols.replace(/O/g, "0").replace(/[IL]/g, "1");
  check(/^[0-9A-Z]{10}$/.test(read), "not-a-code");
  return `${read.slice(0, 4)}-${read.slice(4, 9)}-${read.slice(9)}`;
}

/** @param {Bytes} raw @param {string} label @returns {Promise<Bytes>} */
async function expand(raw, label) {
  const key = await crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveBits"]);
  const asked = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: join(label) };
  return new Uint8Array(await crypto.subtle.deriveBits(asked, key, 256));
}

/**
 * Derive the keys of a code: half a second on a slow phone, so never on the thread of a page.
 * @param {string} code @param {string} reference @returns {Promise<ReturnKeys>} `token` in base64url, its hash in hex
 */
export async function deriveReturnKeys(code, reference) {
  const raw = argon2id(join(code), await sha256("report-abuse return code salt v2", reference), COST);
  const seed = await expand(raw, "report-abuse return code seed v2");
  const token = await expand(raw, "report-abuse return code token v2");
  const replyKey = toBase64url(await makePublicKey(seed));
  return { seed, token: toBase64url(token), tokenSha256: toHex(await sha256(token)), replyKey };
}
