// @ts-check
// Coming back to a sent report: the number and the five words stay in this page, and what waits for them is opened here.
// One entry of the history is one page, and holds its name alone; back from the replies, both are asked for again.

import { copySection, fillSlots, focusOn, getText, isReturn, onEnter, RETURN_PAGES, show, take } from "./screens.js";
import { parseBase64url } from "./spelling.js";

/**
 * @typedef {import("./screens.js").Screens} Screens
 * @typedef {{ kind: string, body: string, issued_at: string, message_id: string }} Message
 * @typedef {object} Opened
 * @property {{ reference: string, reply_by: string | null }} place
 * @property {Message[]} messages
 * @property {string} stage
 *
 * @typedef {object} ReturnPorts what lies outside
 * @property {() => Promise<import("./visit.js").Sealer>} getSealer once the keys are checked
 * @property {(path: string, body: object) => Promise<any>} ask the gateway
 * @property {() => string} spellNow
 * @property {(isBusy: boolean) => void} lock
 * @property {() => void} wipe what else was typed in this tab
 * @property {(action: string) => void} lead to a page that is not in the document
 * @property {(error?: any) => void} fail
 * @property {() => boolean} isOver
 */

const [COME_BACK, REPLIES] = RETURN_PAGES;
const INPUTS = ["reference", "words_typed"];

/** Ask for number and words. @param {Screens} screens @param {ReturnPorts} ports */
export function startReturn(screens, ports) {
  const { doc, main } = screens;
  const window = /** @type {Window} */ (doc.defaultView);
  const { history, location } = window;
  /** @type {Record<string, string>} */
  let typed = {};

  const isHere = () => !ports.isOver() && isReturn(window);

  function readTyped() {
    const inputs = INPUTS.map((name) => /** @type {HTMLInputElement | null} */ (main.querySelector(`input#${name}`)));
    for (const input of inputs) if (input) typed[input.id] = input.value;
    return typed;
  }

  /** @param {string} name @param {(part: HTMLElement) => void} fill @param {boolean} [hasFaults] */
  function put(name, fill, hasFaults = false) {
    const part = copySection(screens, name, {});
    fill(part);
    show(screens, part, {}, hasFaults);
    window.scrollTo(0, 0);
    focusOn(screens, hasFaults ? "#faults" : "h1");
  }

  /** @param {"blank" | "refused"} [fault] keeps what was typed */
  function askBoth(fault) {
    if (!fault) typed = {};
    doc.querySelector("button[value=language]")?.removeAttribute("hidden");
    const fill = (/** @type {HTMLElement} */ part) => {
      for (const name of INPUTS) /** @type {HTMLInputElement} */ (take(part, `#${name}`)).value = typed[name] ?? "";
      const target = typed.reference && !typed.words_typed ? "words_typed" : "reference";
      part.querySelector("#faults a")?.setAttribute("href", `#${target}`);
    };
    put(fault ? `${COME_BACK}_${fault}` : COME_BACK, fill, Boolean(fault));
  }

  /** Return what waits, or null for all that is wrong. The words go to the worker alone. @returns {Promise<Opened | null>} */
  async function find() {
    const sealer = await ports.getSealer();
    const tell = (/** @type {string} */ task, /** @type {object} */ fields) =>
      sealer.ask(task, fields).catch((/** @type {Error} */ error) => {
        if (error.message === "broken") throw error;
        return null; // what the worker refuses is wrong too
      });
    const derived = await tell("derive", { reference: typed.reference, words: typed.words_typed });
    if (!derived) return null;
    const { reference, token } = derived;
    const { found } = await ports.ask("/16/sealed", { reference, token });
    if (!found) return null;
    const replies = found.replies.map((/** @type {{ envelope: string, message_id: string }} */ one) => ({
      envelope: parseBase64url(one.envelope),
      messageId: one.message_id,
    }));
    const boxes = { place: parseBase64url(found.place), replies, now: ports.spellNow() };
    const opened = await tell("open", boxes);
    return opened && { place: opened.place, messages: opened.messages, stage: found.stage };
  }

  async function open() {
    readTyped();
    if (INPUTS.some((name) => !typed[name].trim())) return askBoth("blank");
    ports.lock(true);
    try {
      const opened = await find();
      if (!isHere()) return;
      if (!opened) return askBoth("refused");
      ports.wipe();
      history.pushState({ screen: REPLIES, step: 1 }, "");
      doc.querySelector("button[value=language]")?.setAttribute("hidden", ""); // the other document has no words to open it
      showReplies(opened);
    } catch (error) {
      ports.fail(error);
    } finally {
      ports.lock(false);
    }
  }

  /** Name a day as the plain way does. @param {string} time a date, or a time in UTC */
  function nameDay(time) {
    const day = new Date(time);
    const weekday = getText(screens, "weekdays").split(", ")[day.getUTCDay()];
    const month = getText(screens, "months").split(", ")[day.getUTCMonth()];
    return `${weekday} ${day.getUTCDate()} ${month}`;
  }

  /** Show the replies, newest first; a message that only confirms reading is the stage. @param {Opened} opened */
  function showReplies({ place: { reference, reply_by }, messages, stage }) {
    const age = (/** @type {Message} */ { issued_at, message_id }) => issued_at + message_id;
    const replies = messages.filter(({ kind }) => kind === "reply").sort((a, b) => (age(a) < age(b) ? 1 : -1));
    const reached = replies.length > 0 ? "answered" : messages.length > 0 ? "read" : stage;
    const promised = reply_by && getText(screens, "promise").replace("⟨day⟩", nameDay(reply_by));
    put(replies.length > 0 ? REPLIES : `${REPLIES}_none`, (part) => {
      const promise = promised || getText(screens, "no_promise");
      fillSlots(part, { reference, stage: getText(screens, `stage_${reached}`), promise });
      const slot = part.querySelector("section.card");
      for (const { body, issued_at } of replies) {
        const card = /** @type {Element} */ (slot?.cloneNode(true));
        fillSlots(card, { day: nameDay(issued_at), text: body });
        slot?.before(card);
      }
      slot?.remove();
    });
  }

  doc.addEventListener("click", ({ target }) => {
    const button = /** @type {Element} */ (target).closest?.("button[name=action]");
    if (!(button instanceof HTMLButtonElement) || button.disabled || !isHere()) return;
    if (button.value === "continue") void open();
    else if (button.value === "add") ports.fail({ reason: "add" });
    else ports.lead(button.value);
  });
  onEnter(screens, () => {
    if (isHere()) void open();
  });
  window.addEventListener("popstate", () => {
    if (isHere()) askBoth();
  });
  history.replaceState({ screen: COME_BACK, step: 0 }, "", location.pathname);
  askBoth();
  return {
    isHere,
    open,
    /** Return what a press of the simple way posts, or null if nothing was typed. */
    getTyped: () => (isHere() && Object.values(readTyped()).some(Boolean) ? typed : null),
  };
}
