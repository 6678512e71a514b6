/** The one spelling of everything that is signed, hashed or sealed (WIRE.md §2): JSON, base64url, times and ids. */
import { createHash, randomBytes } from "node:crypto";

import { FormatError } from "./errors.js";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json | undefined };

const EMPTY = Buffer.alloc(0);
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
// Long runs at once: a step for each character would be too many for V8 in a box of some megabytes.
const JSON_TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g;

/** Return the SHA-256 of bytes that are given in pieces. */
export function sha256(...pieces: readonly (Uint8Array | string)[]): Buffer {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}

export const sha256Hex = (...pieces: readonly (Uint8Array | string)[]): string => sha256(...pieces).toString("hex");

export const toBase64url = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");

/** Read base64url without padding; any other spelling of the same bytes is refused (RFC 4648 §5). */
export function parseBase64url(text: string): Buffer {
  if (text === "") return EMPTY;
  const bytes = Buffer.from(text, "base64url");
  // Node skips characters that it does not know, takes padding, and ignores bits that are left over.
  if (bytes.toString("base64url") !== text)
    throw new FormatError("not-canonical", "This is not base64url in its one spelling.");
  return bytes;
}

/**
 * Return the canonical JSON of a value (RFC 8785). A field of an object that is `undefined` is left out.
 *
 * JavaScript sorts names and writes texts as that RFC does; numbers are whole ones alone.
 */
export function canonical(value: Json): string {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new FormatError("malformed", "A number must be a whole one below 2^53.");
    return String(value);
  }
  if (typeof value === "string") {
    // JSON.stringify would escape half a surrogate pair, which UTF-8 cannot spell.
    if (!value.isWellFormed()) throw new FormatError("malformed", "A text holds half a character.");
    return JSON.stringify(value);
  }
  if (value === null || typeof value === "boolean") return String(value);
  if (isList(value)) return `[${value.map(canonical).join(",")}]`;
  const names = Object.keys(value).filter((name) => value[name] !== undefined);
  return `{${names
    .sort()
    .map((name) => `${canonical(name)}:${canonical(value[name] as Json)}`)
    .join(",")}}`;
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);

function parseText(bytes: Uint8Array | string): { text: string; value: Json } {
  try {
    const text = typeof bytes === "string" ? bytes : DECODER.decode(bytes);
    return { text, value: JSON.parse(text) as Json };
  } catch {
    throw new FormatError("malformed", "This is not JSON in UTF-8.");
  }
}

/** Read JSON that is signed, hashed or sealed: only its canonical spelling is taken. */
export function parseCanonical(bytes: Uint8Array | string): Json {
  const { text, value } = parseText(bytes);
  // Also refuses a name that stands twice: JSON.parse keeps its last value alone.
  if (spell(value) !== text) throw new FormatError("not-canonical", "This JSON is not in its one spelling (RFC 8785).");
  return value;
}

function spell(value: Json): string {
  try {
    return canonical(value);
  } catch (error) {
    // One message that is nested without end must not stop the reading of the others.
    if (error instanceof RangeError) throw new FormatError("malformed", "This JSON is nested too deeply.");
    throw error;
  }
}

/** Read JSON in any valid spelling, with each name once in its object. */
export function parseJson(bytes: Uint8Array | string): Json {
  const { text, value } = parseText(bytes);
  const open: (Set<string> | null)[] = [];
  let last = "";
  for (const [token] of text.matchAll(JSON_TOKEN)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":") {
      const name = JSON.parse(last) as string;
      const names = open.at(-1);
      if (names?.has(name)) throw new FormatError("malformed", "A name stands twice in one object of this JSON.");
      names?.add(name);
    }
    last = token;
  }
  return value;
}

/** Spell a time in UTC and whole seconds, e.g. `2026-11-25T08:30:00Z`. */
export const formatTime = (time: Date): string => `${time.toISOString().slice(0, 19)}Z`;

/** Read a time of the wire; 31 February and other spellings are refused. */
export function parseTime(text: string): Date {
  const time = new Date(text);
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) && !Number.isNaN(time.getTime());
  if (!isTime || formatTime(time) !== text)
    throw new FormatError("malformed", "This is not a time in UTC and whole seconds.");
  return time;
}

export const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Make a UUIDv7 (RFC 9562): 48 bits of milliseconds, then chance. */
export function makeUuid7(now: Date, random: Uint8Array = randomBytes(10)): string {
  const bytes = Buffer.concat([Buffer.alloc(6), random]);
  bytes.writeUIntBE(now.getTime(), 0, 6);
  bytes.writeUInt8(0x70 | (bytes.readUInt8(6) & 0x0f), 6);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
