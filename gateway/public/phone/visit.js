// @ts-check
// One visit to the form on the person's own phone: from the gateway's first answer to Leave, Send, or the plain way. The
// words leave this page in one sealed envelope, or by a button that says that they go readable; nothing else of it is sent
// or reported. Without the gateway's signed keys, and without its signed receipt, nothing counts as begun or sent.

import { BLANK, startInterview } from "./interview.js";
import { getOne, keepOnPath, makeReport } from "./journey.js";
import { showThanks, takeScreens } from "./screens.js";
import { parseBase64url, toBase64url } from "./spelling.js";

/**
 * @typedef {import("./interview.js").State} State
 * @typedef {import("./journey.js").Answers} Answers
 * @typedef {{ [name: string]: any }} Facts an answer in JSON
 *
 * @typedef {object} Store ciphertext of this visit alone
 * @property {(state: object) => Promise<void>} save
 * @property {() => Promise<object | null>} load
 * @property {() => void} wipe
 *
 * @typedef {object} Parts
 * @property {(key: Uint8Array, now: () => number) => Store | Promise<Store>} openStore
 * @property {(url: string, policy: { createScriptURL(url: string): any }) =>
 *   { ask(task: string, fields: object): Promise<Facts>, stop(): void }} startSealer
 * @property {(body: object, options: any) => Promise<{ receipt: Uint8Array }>} sendSealed
 * @property {(data: any, answers: Answers) => string} getUrgency "crisis", "urgent" or "other"
 */

const RENEW_MILLISECONDS = 300_000;
const PLAIN_CHECK = "/14"; // a post without a token shows the check page with its words, and gets one there
const NO_VERSION = "0";

/** @param {Document} doc @param {string} name @returns {HTMLElement | null} */
const findNotice = (doc, name) => doc.getElementById(`notice-${name}`);

/**
 * Begin, or carry on where a dropped page was. Never throws: every failure leads to the plain way.
 * @param {Document} doc @param {Parts} parts
 */
export function openVisit(doc, parts) {
  const window = /** @type {Window & typeof globalThis} */ (doc.defaultView);
  const { history, location } = window;
  const script = /** @type {HTMLScriptElement} */ (doc.querySelector("script[data-worker]"));
  const data = JSON.parse(doc.getElementById("journey")?.textContent ?? "");
  const screens = takeScreens(doc, data);
  const { environment = "", plain = "/", rootFingerprint = "" } = screens.main.dataset;
  const language = doc.documentElement.lang;
  const isBack = Boolean(history.state?.screen); // a page that was dropped, reloaded, or come back to
  /** @type {State} */
  let state = BLANK;
  let isOver = false;
  let isLeading = false; // to a page of our own, with the words kept
  /** @type {{ facts: Facts, askedAt: number } | undefined} */
  let visit;
  /** @type {Store | undefined} */
  let store;
  /** @type {Answers | undefined} what "Try again" sends */
  let pending;
  /** @type {ReturnType<typeof startInterview> | undefined} */
  let interview;
  /** @type {{ of: string, body: Facts, sent: import("./screens.js").Sent } | undefined} */
  let sealed;

  /** @param {string} [name] */
  function showNotice(name) {
    for (const one of /** @type {NodeListOf<HTMLElement>} */ (doc.querySelectorAll("[id^='notice-']")))
      one.hidden = true;
    const notice = name && findNotice(doc, name);
    if (!notice) return;
    notice.hidden = false;
    notice.setAttribute("tabindex", "-1");
    notice.focus();
  }

  function wipe() {
    isOver = true;
    state = BLANK;
    sealed = pending = undefined;
    store?.wipe();
    sealer?.stop();
  }

  function fail() {
    if (isOver || isLeading) return;
    if (Object.keys(state.answers).length > 0) return showNotice("simple");
    if (isBack) return showNotice("later"); // the words are in the store, and may open at the next try
    wipe();
    try {
      window.sessionStorage.setItem("plain", "start"); // leave.js on the first page presses Start at once
    } catch {
      // without storage the first page leads to the plain way anyway
    }
    location.replace(plain);
  }

  async function askVisit() {
    const answer = await window.fetch("/form/visit", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ language }),
    });
    if (!answer.ok) throw new Error("refused");
    const facts = await answer.json();
    if (facts.environment !== environment) throw new Error("wrong environment");
    visit = { facts, askedAt: Date.now() };
    return facts;
  }

  /** The gateway's time: a phone's own may be years off. */
  const getNow = () => (visit ? new Date(Date.parse(visit.facts.now) + Date.now() - visit.askedAt) : new Date());

  const spellNow = () => `${getNow().toISOString().slice(0, 19)}Z`;

  /** @type {ReturnType<Parts["startSealer"]> | undefined} */
  let sealer;

  async function checkKeys() {
    const own = script.dataset.worker ?? "";
    const rules = {
      createScriptURL: (/** @type {string} */ url) => {
        if (url !== own) throw new TypeError("not our worker");
        return url;
      },
    };
    const policy = /** @type {any} */ (window).trustedTypes?.createPolicy("form", rules) ?? rules;
    sealer = parts.startSealer(own, policy);
    const keySet = new TextEncoder().encode(visit?.facts.key_set);
    await sealer.ask("check", { keySet, rootFingerprint, environment, now: spellNow() });
  }

  /** Seal once for the same answers: a second try sends the same bytes. @param {Answers} answers */
  async function seal(answers) {
    const of = JSON.stringify([answers, state.isLeftOut]);
    if (sealed?.of === of) return sealed;
    if (!visit || Date.now() - visit.askedAt > RENEW_MILLISECONDS) await askVisit().catch(() => undefined);
    if (!visit || !sealer) throw new Error("no visit");
    const { facts } = visit;
    const { report_id, reference, placement = null, copy_version, context = null } = facts;
    const urgency = parts.getUrgency(data, answers);
    const { reply_by = null, said = {} } = facts.promises[urgency];
    const isOwed = getOne(answers, data.reader.grown_up.field) !== data.reader.grown_up.any_of?.[0];
    const owed = isOwed ? reply_by : null;
    const { words, replyKey, tokenSha256 } = await sealer.ask("words", { reference });
    const submitted_at = spellNow();
    const given = {
      ...{
        report_id,
        environment,
        placement,
        submitted_at,
        reply_by: owed,
        reply_key: replyKey,
        copy_version,
        language,
      },
      context: state.isLeftOut ? null : context,
      signals: [],
    };
    const report = makeReport(data, answers, given);
    const { clear } = JSON.parse(new TextDecoder().decode(report));
    const place = { environment, language, reference, reply_by: owed, sent_at: submitted_at };
    const boxes = await sealer.ask("seal", { report, clear, place });
    const body = {
      ...{ proposal: facts.proposal, clear, language, token_sha256: tokenSha256 },
      envelope: toBase64url(boxes.envelope),
      place: toBase64url(boxes.place),
    };
    sealed = { of, body, sent: { reference, words, urgency, ...said } };
    return sealed;
  }

  /** @param {boolean} isBusy */
  function lock(isBusy) {
    for (const button of doc.querySelectorAll("main section button")) button.toggleAttribute("disabled", isBusy);
  }

  /** @param {Answers} answers */
  async function sendOnce(answers) {
    const { body, sent } = await seal(answers);
    const options = {
      csrfToken: visit?.facts.csrf_token,
      fetch: window.fetch.bind(window),
      onWaiting: (/** @type {boolean} */ isWaiting) => showNotice(isWaiting ? "waiting" : "sending"),
    };
    const { receipt } = await parts.sendSealed(body, options);
    await sealer?.ask("receipt", { receipt, reference: sent.reference, now: spellNow() });
    wipe();
    showNotice();
    history.replaceState({ screen: data.thanks.screen, step: 0 }, "");
    showThanks(screens, answers, sent);
    // Nobody counts an opinion of this way, and the other language has its words in another document.
    const taps = doc.querySelector(".taps");
    for (const part of [taps?.previousElementSibling?.previousElementSibling, taps?.previousElementSibling, taps])
      part?.remove();
    doc.querySelector("button[value=language]")?.remove();
    const heading = screens.main.querySelector("h1");
    heading?.setAttribute("tabindex", "-1");
    heading?.focus();
  }

  /** @param {Answers} answers @param {boolean} [isSecond] */
  async function send(answers, isSecond = false) {
    lock(true);
    showNotice("sending");
    try {
      await sendOnce(answers);
    } catch (error) {
      const { reason } = /** @type {{ reason?: string }} */ (error ?? {});
      // The number was taken, or an earlier try was stored with other words: a new number, once.
      if ((reason === "taken" || reason === "conflict") && !isSecond) {
        sealed = undefined;
        visit = undefined;
        return send(answers, true);
      }
      lock(false);
      pending = answers;
      showNotice(reason === "waiting_failed" || reason === "closed" ? "failed" : "simple");
    }
  }

  /**
   * Post what would be sent to the plain way, readable: only after a press of the button that says so. What is too long
   * would be refused there, so it is shortened here.
   */
  function postPlainly() {
    if (interview?.showTooLong()) return;
    const form = doc.createElement("form");
    form.method = "post";
    form.action = PLAIN_CHECK;
    const text = new TextEncoder().encode(JSON.stringify(keepOnPath(data, state.answers)));
    const fields = { csrf_token: "", journey: "", version: NO_VERSION, words: toBase64url(text) };
    for (const [name, value] of Object.entries(fields)) {
      const input = doc.createElement("input");
      Object.assign(input, { type: "hidden", name, value });
      form.append(input);
    }
    isLeading = true;
    store?.wipe();
    doc.body.append(form);
    form.submit();
  }

  /** @param {string} action */
  async function lead(action) {
    // Another page opens beside this one, so that a phone keeps the words.
    if (action !== "language") return void window.open(data.sides[action] ?? "/", "_blank", "noopener");
    isLeading = true;
    await store?.save(state);
    location.replace(language === "cy" ? "/form" : "/cy/form");
  }

  /** @type {import("./interview.js").Ports} */
  const ports = {
    save: (changed) => {
      state = changed;
      pending = undefined; // what is changed is sent by Send alone
      showNotice(); // whoever goes on has read it
      store?.save(state).catch(() => undefined);
    },
    send,
    lead: (action) => void lead(action),
    getExtra: () => ({ service: visit?.facts.service ?? "", hasContext: Boolean(visit?.facts.context) }),
    isOver: () => isOver,
  };

  async function begin() {
    if (!isBack) interview = startInterview(screens, ports);
    const facts = await askVisit();
    store = await parts.openStore(parseBase64url(facts.store_key), () => Date.now());
    const known = /** @type {State | null} */ (isBack ? await store.load() : null);
    if (isBack && !known) {
      wipe(); // nobody opens it any more: it was sent or wiped, is an hour old, or of another visit
      return location.replace("/");
    }
    if (known) {
      state = known;
      interview = startInterview(screens, ports, known);
      showNotice("restored");
    } else if (state === BLANK) store.wipe();
    else await store.save(state);
    await checkKeys();
  }

  doc.addEventListener("click", ({ target }) => {
    const button = /** @type {Element} */ (target).closest?.("[id^='notice-'] button");
    const notice = button?.closest("[id^='notice-']")?.id;
    if (notice === "notice-simple") postPlainly();
    if (notice === "notice-failed" && pending) void send(pending);
    if (notice === "notice-later") location.reload();
  });
  window.addEventListener("error", fail);
  window.addEventListener("unhandledrejection", fail);
  window.addEventListener("pagehide", () => {
    if (doc.documentElement.className !== "gone") return;
    wipe(); // Leave: the browser may keep this page in its memory
    screens.main.replaceChildren();
  });
  window.addEventListener("pageshow", ({ persisted }) => {
    if (!persisted || isOver) return;
    doc.documentElement.className = ""; // no Leave: with the words of the store, where they still open
    location.reload();
  });
  // Two tabs are two interviews; the channel carries no answer.
  const tabs = new window.BroadcastChannel("form");
  tabs.onmessage = ({ data: said }) => {
    if (isOver) return;
    showNotice("two_tabs");
    if (said === "new") tabs.postMessage("known");
  };
  tabs.postMessage("new");
  begin().catch(fail);
}
