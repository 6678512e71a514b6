// @ts-check
/** The one spelling of everything that is signed, hashed or sealed (WIRE.md §2), and the error for all other. */

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** @typedef {null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }} Json */
/** @typedef {{ readonly [name: string]: any }} Fields */

/** Bytes of the wire that are refused; `reason` is a code of WIRE.md, e.g. `bad-signature`. Repeats nothing of them. */
export class WireError extends Error {
  /** @param {string} reason */
  constructor(reason) {
    super(`Refused: ${reason}.`);
    this.reason = reason;
  }
}

/** @param {unknown} isRight @param {string} reason @returns {asserts isRight} */
export function check(isRight, reason) {
  if (!isRight) throw new WireError(reason);
}

/** @param {...(Bytes | string)} pieces @returns {Bytes} */
export function join(...pieces) {
  const parts = pieces.map((piece) => (typeof piece === "string" ? new TextEncoder().encode(piece) : piece));
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @param {...(Bytes | string)} pieces */
export const sha256 = async (...pieces) => new Uint8Array(await crypto.subtle.digest("SHA-256", join(...pieces)));

/** @param {Bytes} bytes */
export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {Bytes} bytes */
export const toBase64url = (bytes) =>
  btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=/g, "");

/** @param {unknown} text @param {number} [length] of the bytes @returns {Bytes} */
export function parseBase64url(text, length) {
  check(typeof text === "string", "malformed");
  check(/^[\w-]*$/.test(text) && text.length % 4 !== 1, "not-canonical");
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  check(toBase64url(bytes) === text, "not-canonical"); // bits that are left over
  check(length === undefined || bytes.length === length, "malformed");
  return bytes;
}

/**
 * Return the one spelling of a value: JavaScript sorts names and writes texts as RFC 8785 does.
 * @param {Json} value @returns {string}
 */
export function spell(value) {
  if (typeof value === "number") check(Number.isSafeInteger(value), "malformed");
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(spell).join(",")}]`;
  const fields = /** @type {Fields} */ (value);
  const spelled = Object.keys(fields)
    .sort()
    .map((name) => `${spell(name)}:${spell(fields[name])}`);
  return `{${spelled.join(",")}}`;
}

/** @param {Bytes} bytes @returns {any} */
export function parseCanonical(bytes) {
  let text, value;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch {
    throw new WireError("malformed");
  }
  check(spell(value) === text, "not-canonical"); // also refuses a name that stands twice
  return value;
}

/**
 * Take an object with exactly these fields.
 * @param {any} value @param {string} names sorted @param {string} [optional] @returns {Fields}
 */
export function takeFields(value, names, optional) {
  check(value !== null && typeof value === "object" && !Array.isArray(value), "malformed");
  const given = Object.keys(value).filter((name) => name !== optional);
  check(given.sort().join(" ") === names, "malformed");
  return value;
}

/** @param {Date} time */
export const spellTime = (time) => `${time.toISOString().slice(0, 19)}Z`;

/** Take a time, e.g. `2026-11-25T08:30:00Z`: such texts are in the order of time. @param {unknown} text */
export function takeTime(text) {
  check(typeof text === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text), "malformed");
  const time = new Date(text);
  check(!Number.isNaN(time.getTime()) && spellTime(time) === text, "malformed"); // 31 February
  return text;
}

/** Return the bytes of a value. Throws `WireError` for half a character. @type {(value: Json) => Uint8Array} */
export function encode(value) {
  const text = spell(value);
  check(!text.replaceAll("\\\\", "").includes("\\ud"), "malformed"); // half a character: JSON escapes it, and no other
  return new TextEncoder().encode(text);
}
