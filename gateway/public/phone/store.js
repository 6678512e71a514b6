// @ts-check
// Keeps the answers of one visit for a page that a phone dropped: in sessionStorage, as ciphertext under a key that only
// the cookie of this visit gives. Any failure is silent: the answers are in the page's memory then, and nowhere else.

const ITEM = "form";
const IDLE_MILLISECONDS = 3_600_000;
const STEP_BYTES = 8192; // the length of the ciphertext says nothing finer
const IV_BYTES = 12;

/** @param {Uint8Array} bytes */
const toText = (bytes) => btoa(Array.from(bytes, (one) => String.fromCharCode(one)).join(""));

/** @param {string} text */
const fromText = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));

/**
 * Open the store of the visit that has this key.
 * @param {Uint8Array} raw 32 bytes @param {() => number} now milliseconds
 */
export function openStore(raw, now) {
  const key = crypto.subtle.importKey("raw", /** @type {BufferSource} */ (raw), "AES-GCM", false, [
    "encrypt",
    "decrypt",
  ]);
  let turn = Promise.resolve();
  let isWiped = false;

  /** @param {object} state */
  async function write(state) {
    const said = JSON.stringify({ at: now(), state });
    const text = new TextEncoder().encode(said);
    const plain = new Uint8Array(Math.ceil((text.length + 1) / STEP_BYTES) * STEP_BYTES).fill(32); // JSON ends in blanks
    plain.set(text);
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const box = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await key, plain));
    if (!isWiped) sessionStorage.setItem(ITEM, `${toText(iv)} ${toText(box)}`);
  }

  function wipe() {
    isWiped = true;
    try {
      sessionStorage.removeItem(ITEM);
    } catch {
      // no storage, so nothing is kept
    }
  }

  async function read() {
    const [iv, box] = (sessionStorage.getItem(ITEM) ?? "").split(" ").map(fromText);
    const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await key, box);
    const { at, state } = JSON.parse(new TextDecoder().decode(plain));
    return now() - at < IDLE_MILLISECONDS ? state : null;
  }

  return {
    /** @param {object} state */
    save: (state) => {
      isWiped = false;
      turn = turn.then(() => write(state)).catch(() => undefined);
      return turn;
    },
    /** Return the state, or null if there is none that this key opens. @returns {Promise<object | null>} */
    load: () => read().catch(() => null),
    wipe,
  };
}
