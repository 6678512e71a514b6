// @ts-check
// Sends one sealed report: the same bytes ten times over two minutes, until the gateway answers. Callers check the
// receipt before they say that anything is sent.

import { parseBase64url } from "./spelling.js";

const TRIES = 10;
const WAITS = [1, 2, 4, 8, 12, 15, 20, 25, 30]; // seconds, two minutes in all
const LONGEST_WAIT = 60; // a longer Retry-After ends the tries, so that the page never seems to hang
/** @type {Record<number, string>} */
const REASONS = { 503: "closed", 409: "conflict" };

/** @param {string} reason */
const refuse = (reason) => Object.assign(new Error(reason), { reason });

/** @param {Window} window */
const waitForNetwork = (window) =>
  new Promise((resolve) => window.addEventListener("online", () => resolve(undefined), { once: true }));

/** @param {Response} answer @returns {Promise<string>} why a try is the last, or an empty text */
async function findReason(answer) {
  const { type } = await answer.json().catch(() => ({}));
  if (answer.status === 409 && String(type ?? "").endsWith("/reference-taken")) return "taken";
  if (answer.status === 429 || answer.status === 502 || answer.status === 504) return "";
  return REASONS[answer.status] ?? "refused";
}

/**
 * Send, and return the receipt; else throws an error with a `reason`: "waiting_failed", "closed", "taken", "conflict" or
 * "refused".
 * @param {object} body
 * @param {{ csrfToken: string, fetch: typeof globalThis.fetch,
 *   onWaiting?: (isWaiting: boolean) => void }} options
 */
export async function sendSealed(body, { csrfToken, fetch, onWaiting = () => undefined }) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": csrfToken };
  const request = { method: "POST", headers, body: JSON.stringify(body) };
  for (let tried = 0; tried < TRIES; tried += 1) {
    if (!navigator.onLine) {
      onWaiting(true);
      await waitForNetwork(window);
      onWaiting(false);
    }
    const answer = await fetch("/form", request).catch(() => null);
    // An answer that breaks off is asked for again: the gateway gives the same receipt for the same bytes.
    const stored = answer?.ok ? await answer.json().catch(() => null) : null;
    if (stored) return { receipt: parseBase64url(stored.receipt) };
    const reason = answer && !answer.ok ? await findReason(answer) : "";
    if (reason) throw refuse(reason);
    const asked = Number(answer?.headers.get("Retry-After")) || 0;
    if (tried === TRIES - 1 || asked > LONGEST_WAIT) break;
    const seconds = Math.max(asked, WAITS[tried]);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
  throw refuse("waiting_failed");
}
