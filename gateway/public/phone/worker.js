// @ts-check
/**
 * All cryptography of the form on the child's own phone, away from the thread of its page: a module worker.
 *
 * Asks no network. Keeps, until it ends, the key set that it checked, the seed of the words, and what it sealed last. It
 * takes one message at a time, `{ id, do, ... }`, and answers `{ id, ok: true, ... }` or `{ id, fault }`: the reason of a
 * `WireError`, or `broken`, which says nothing of what was being done.
 */
// @ts-expect-error a text, which the build reads in
import coded from "../return_words.txt";

import { open, seal, sealingKeyId } from "./boxes.js";
import { verifyKeySet, verifyReceipt, verifyReply } from "./sealing.js";
import { WireError, check, join, parseBase64url, parseCanonical, spell, toBase64url } from "./spelling.js";
import { deriveReturnKeys, drawCode, findCode, readWords, spellReference } from "./words.js";

export * from "./sealing.js"; // for the tests: the wire's vectors run against the very file that is served

/** @typedef {import("./spelling.js").Fields} Fields */
/** @typedef {import("./spelling.js").Bytes} Bytes */
/** @typedef {import("./words.js").ReturnKeys & { reference: string }} WayBack */

const WORDS = readWords(coded);
const REPORT = { purpose: "report", sender: "public", recipient: "agency" };
const REPLY = { purpose: "reply", priority: "none" };

/** @type {{ keySet?: Fields, sealingKey?: import("./boxes.js").SealingKey | null, environment: string }} */
let checked = { environment: "" };
/** @type {WayBack | undefined} */
let wayBack;
/** @type {{ clear: Fields, envelope: Bytes } | undefined} */
let sealed;

/** Check a key set and keep it. A child seals until `seal_until` (WIRE.md §5.4). @param {Fields} asked */
async function takeKeys({ keySet: bytes, rootFingerprint, environment, now }) {
  const pinned = { rootFingerprint, environment, now: new Date(now), allowExpired: true };
  checked = { ...(await verifyKeySet(bytes, pinned)), environment };
}

/** @param {string} code @param {string} reference */
async function takeCode(code, reference) {
  wayBack = { ...(await deriveReturnKeys(code, reference)), reference };
  return { words: code, replyKey: wayBack.replyKey, tokenSha256: wayBack.tokenSha256 };
}

/** @param {string} reference */
const aboutPlace = (reference) => ({
  ...REPLY,
  environment: checked.environment,
  sender: "gateway",
  recipient: reference,
  id: reference,
  kind: "place",
});

/** @param {Fields} place */
async function sealPlace(place) {
  check(wayBack && place.reference === wayBack.reference, "wrong-reference");
  const keyId = toBase64url(await sealingKeyId(parseBase64url(wayBack.replyKey)));
  const key = { key_id: keyId, public_key: wayBack.replyKey };
  return seal(join(spell(/** @type {any} */ (place))), key, aboutPlace(wayBack.reference));
}

/**
 * Seal a report under the clear fields that it names itself, and with words its place.
 * @param {Fields} asked `report` is the bytes, `place` an object or null
 */
async function sealReport({ report, clear, place }) {
  const { environment, kind, priority, report_id: id } = clear;
  check(spell(parseCanonical(report).clear) === spell(clear) && environment === checked.environment, "mismatch");
  check(checked.sealingKey, "no-active-key");
  const envelope = await seal(report, checked.sealingKey, { ...REPORT, environment, id, kind, priority });
  const box = place ? await sealPlace(place) : null;
  sealed = { clear, envelope };
  return { envelope, place: box };
}

/** @param {Fields} asked */
async function takeReceipt({ receipt, reference, now }) {
  check(sealed && checked.keySet, "receipt-mismatch");
  const sent = { ...sealed, keySet: checked.keySet, reference, now: new Date(now) };
  return { facts: await verifyReceipt(receipt, sent) };
}

/** Open one reply, or return null: one that fails is left out. @param {Fields} reply @param {Date} now */
async function openReply({ envelope, messageId }, now) {
  try {
    check(wayBack && checked.keySet, "unknown-key");
    const { reference, seed } = wayBack;
    const about = { ...REPLY, environment: checked.environment, sender: "agency", recipient: reference };
    const bytes = await open(envelope, seed, { ...about, id: messageId, kind: "message" });
    return await verifyReply(bytes, { keySet: checked.keySet, reference, messageId, now });
  } catch {
    return null;
  }
}

/** Open what waits for the words that were derived last. @param {Fields} asked boxes as bytes */
async function openAll({ place, replies, now }) {
  check(wayBack, "wrong-key");
  const opened = parseCanonical(await open(place, wayBack.seed, aboutPlace(wayBack.reference)));
  const isOwn = opened.reference === wayBack.reference && opened.environment === checked.environment;
  check(isOwn, "wrong-reference");
  const messages = [];
  for (const reply of replies) messages.push(await openReply(reply, new Date(now)));
  return { place: opened, messages: messages.filter(Boolean) };
}

/** @type {Record<string, (asked: any) => Promise<object | void>>} */
const TASKS = {
  check: takeKeys,
  words: ({ reference }) => takeCode(drawCode(WORDS), reference),
  seal: sealReport,
  receipt: takeReceipt,
  derive: async ({ words, reference }) => {
    const spelled = spellReference(reference);
    const { replyKey } = await takeCode(findCode(words, WORDS), spelled);
    return { reference: spelled, replyKey, token: wayBack?.token };
  },
  open: openAll,
};

/** @param {Fields} asked */
async function answer(asked) {
  try {
    return { id: asked.id, ok: true, ...(await TASKS[asked.do](asked)) };
  } catch (error) {
    return { id: asked.id, fault: error instanceof WireError ? error.reason : "broken" };
  }
}

let turn = Promise.resolve();
addEventListener("message", ({ data }) => {
  turn = turn.then(async () => postMessage(await answer(data)));
});
