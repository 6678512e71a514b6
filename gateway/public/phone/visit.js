// @ts-check
// One visit to the form on the person's own phone: from the gateway's first answer to Leave, Send, or the plain way. The
// answers leave once, sealed, or in the clear if the person presses the button that says so; nothing else is sent or
// reported. Without the gateway's signed keys, and without its signed receipt, nothing counts as begun or sent.

import { BLANK, startInterview } from "./interview.js";
import { getOne, keepOnPath, makeReport } from "./journey.js";
import { focusOn, isReturn, RETURN_MARK, showThanks, takeScreens } from "./screens.js";
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
 * @typedef {{ ask(task: string, fields: object): Promise<Facts>, stop(): void }} Sealer
 *
 * @typedef {object} Parts
 * @property {(key: Uint8Array, now: () => number) => Store | Promise<Store>} openStore
 * @property {(url: string, policy: { createScriptURL(url: string): any }) => Sealer} startSealer
 * @property {(body: object, options: any) => Promise<{ receipt: Uint8Array }>} sendSealed
 * @property {(url: string) => Promise<typeof import("./returning.js")>} [loadReturn]
 * @property {(data: any, answers: Answers) => string} getUrgency "crisis", "urgent" or "other"
 */

const RENEW_MILLISECONDS = 300_000;
const PLAIN_CHECK = "/14"; // a post without a token shows the check page with its words, and gets one there
const PLAIN_RETURN = "/16";
const PLAIN_MARK = "#plain"; // keeps coming_back.js on the plain page
const LANGUAGE_MARK = "#on"; // the interview of the document in the other language goes on
const CONTEXT_MARK = "#context="; // WIRE.md 8.2
const CONTEXT = /^1\.[a-z0-9-]{1,64}\.[0-9a-f-]{36}\.[\w-]{1,7000}$/; // the desk reads it strictly, and judges it
const START = "start"; // the first page's script says "new" here, and is told "plain" if a visit cannot begin

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
  const isComingBack = isReturn(window);
  const isTranslated = location.hash === LANGUAGE_MARK;
  /** @type {string | null} what a service said of the place, sealed; empty if it is none */
  let context = location.hash.split(CONTEXT_MARK)[1] ?? null;
  if (context !== null && !CONTEXT.test(context)) context = "";
  if (context !== null) history.replaceState(history.state, "", location.pathname);
  const isBack = !isComingBack && (isTranslated || Boolean(history.state?.screen)); // also a page that was dropped
  /** @type {State} */
  let state = BLANK;
  let isOver = false;
  let isLeading = false; // to a page of our own, with the words kept
  let isSending = false;
  /** @type {{ facts: Facts, askedAt: number } | undefined} */
  let visit;
  /** @type {Store | undefined} */
  let store;
  /** @type {Answers | undefined} what "Try again" sends */
  let pending;
  /** @type {ReturnType<typeof startInterview> | undefined} */
  let interview;
  /** @type {ReturnType<typeof import("./returning.js").startReturn> | undefined} */
  let returning;
  /** @type {{ of: string, body: Facts, sent: import("./screens.js").Sent } | undefined} */
  let sealed;

  /** @type {HTMLElement | null} the one that is shown */
  let notice = null;

  /** @param {string} [name] */
  function showNotice(name) {
    if (notice) notice.hidden = true;
    notice = doc.getElementById(`notice-${name}`);
    if (!notice) return;
    notice.hidden = false;
    if (!doc.activeElement?.matches("input,textarea")) notice.focus(); // whoever is typing goes on
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
    if (Object.keys(state.answers).length > 0 || returning?.getTyped()) return showNotice("simple");
    if (isBack) return showNotice("later"); // the words are in the store, and may open at the next try
    wipe();
    if (isComingBack) return location.replace(PLAIN_RETURN + PLAIN_MARK);
    location.replace(plain + (context ? CONTEXT_MARK + context : ""));
    window.sessionStorage[START] = "plain"; // leave.js presses Start there; without storage it never leads here
  }

  /** Ask the gateway; a request that comes too soon is made once more. @param {string} path @param {object} body */
  async function ask(path, body, isSecond = false) {
    const headers = { "Content-Type": "application/json", "X-CSRFToken": visit?.facts.csrf_token ?? "" };
    const answer = await window.fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => null);
    if (answer?.ok) return answer.json();
    if (answer?.status !== 429 || isSecond) throw Object.assign(new Error(), { reason: "waiting_failed" });
    await new Promise((resolve) => setTimeout(resolve, 1000 * Number(answer.headers.get("Retry-After"))));
    return ask(path, body, true);
  }

  async function askVisit() {
    // Only Start begins a new interview: a link from elsewhere to this document wipes nothing of the plain way.
    const isNew = !store && window.sessionStorage[START] === "new";
    const facts = await ask("/form/visit", { language, is_new: isNew });
    if (isNew) window.sessionStorage.removeItem(START);
    visit = { facts, askedAt: Date.now() };
    return facts;
  }

  /** The gateway's time: a phone's own may be years off. */
  const getNow = () => (visit ? new Date(Date.parse(visit.facts.now) + Date.now() - visit.askedAt) : new Date());

  const spellNow = () => `${getNow().toISOString().slice(0, 19)}Z`;

  /** @type {Sealer | undefined} */
  let sealer;

  /** @type {Promise<any> | undefined} */
  let checked;
  const checkKeys = () => (checked ??= startSealing());

  async function startSealing() {
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
    if (!visit || Date.now() - visit.askedAt > RENEW_MILLISECONDS)
      await askVisit().catch((error) => {
        if (!visit) throw error;
      });
    await checkKeys(); // the first request for a visit may have been lost
    if (!visit || !sealer) throw new Error();
    const { facts } = visit;
    const { report_id, reference, placement = null, copy_version } = facts;
    const urgency = parts.getUrgency(data, answers);
    const { reply_by = null, said = {} } = facts.promises[urgency];
    const isOwed = getOne(answers, data.reader.grown_up.field) !== data.reader.grown_up.any_of?.[0];
    const owed = isOwed ? reply_by : null;
    const { words, replyKey, tokenSha256 } = await sealer.ask("words", { reference });
    const submitted_at = spellNow();
    const given = {
      report_id,
      environment,
      placement,
      submitted_at,
      reply_by: owed,
      reply_key: replyKey,
      copy_version,
      language,
      context: (!state.isLeftOut && context) || null,
      signals: context === "" ? [data.report.context_refused] : [],
    };
    const report = makeReport(data, answers, given);
    const { clear } = JSON.parse(new TextDecoder().decode(report));
    const place = { environment, language, reference, reply_by: owed, sent_at: submitted_at };
    const boxes = await sealer.ask("seal", { report, clear, place });
    const body = {
      proposal: facts.proposal,
      clear,
      language,
      token_sha256: tokenSha256,
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
      fetch: window.fetch,
      onWaiting: (/** @type {boolean} */ isWaiting) => showNotice(isWaiting ? "waiting" : "sending"),
    };
    const { receipt } = await parts.sendSealed(body, options);
    await sealer?.ask("receipt", { receipt, reference: sent.reference, now: spellNow() });
    wipe();
    showNotice();
    history.replaceState({ screen: data.thanks.screen }, "");
    showThanks(screens, answers, sent);
    // The other language has its words in another document.
    doc.querySelector("button[value=language]")?.remove();
    focusOn(screens, "h1");
  }

  /** @param {Answers} answers @param {boolean} [isSecond] */
  async function send(answers, isSecond = false) {
    if (isSending && !isSecond) return;
    isSending = true;
    lock(true);
    showNotice("sending");
    try {
      await sendOnce(answers);
    } catch (error) {
      const { reason = "" } = /** @type {{ reason?: string }} */ (error ?? {});
      // The number was taken, or an earlier try was stored with other words: a new number, once.
      if (["taken", "conflict"].includes(reason) && !isSecond) {
        sealed = undefined;
        visit = undefined;
        return send(answers, true);
      }
      isSending = false;
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
    const text = new TextEncoder().encode(JSON.stringify(keepOnPath(data, state.answers)));
    const typed = returning && (returning.getTyped() ?? {});
    const fields = typed ? { csrf_token: visit?.facts.csrf_token ?? "", ...typed } : { words: toBase64url(text) };
    form.method = "post";
    form.action = typed ? PLAIN_RETURN : PLAIN_CHECK;
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
    if (isSending) return;
    await begun.catch(() => undefined); // until there is a visit, what was typed is not in the store
    if (!store) return fail();
    return changeLanguage();
  }

  async function changeLanguage() {
    isLeading = true;
    const other = language === "cy" ? "en" : "cy";
    if (!returning) await keep(other, history.state);
    location.replace((other === "cy" ? "/cy/form" : "/form") + (returning ? RETURN_MARK : LANGUAGE_MARK));
  }

  /** @param {string} spoken @param {object} [place] the entry of the history that the other language goes on at */
  const keep = (spoken = language, place) => store?.save({ state, context, spoken, place });

  /** @type {import("./interview.js").Ports} */
  const ports = {
    save: (changed) => {
      // The browser's Back shows a screen while a report is on its way: nothing there would be in it.
      if (isSending) return void queueMicrotask(() => lock(true));
      state = changed;
      pending = undefined; // what is changed is sent by Send alone
      showNotice(); // moving on dismisses it
      void keep();
    },
    send,
    lead: (action) => void lead(action),
    getExtra: () => ({ service: visit?.facts.service ?? "", hasContext: Boolean(context) }),
    isOver: () => isOver,
  };

  /** @type {import("./returning.js").ReturnPorts} */
  const returnPorts = {
    getSealer: async () => {
      await begun;
      return /** @type {Sealer} */ (sealer);
    },
    ask,
    spellNow,
    lock: (isBusy) => {
      if (isBusy) showNotice(); // the press answers it
      lock(isBusy);
    },
    wipe: () => store?.wipe(),
    lead: (action) => void lead(action),
    fail: (error) =>
      showNotice({ waiting_failed: "failed", add: "add" }[/** @type {"add"} */ (error?.reason)] ?? "simple"),
    isOver: () => isOver,
  };

  async function begin() {
    if (isComingBack && parts.loadReturn)
      returning = (await parts.loadReturn(script.dataset.returning ?? "")).startReturn(screens, returnPorts);
    else if (!isBack) interview = startInterview(screens, ports);
    const facts = await askVisit();
    store = await parts.openStore(parseBase64url(facts.store_key), () => Date.now());
    if (returning) return checkKeys();
    const kept = /** @type {any} */ (isBack ? await store.load() : null);
    if (isBack && !kept) {
      wipe(); // unreadable now: sent, wiped, an hour old, or from another visit
      return location.replace("/");
    }
    if (kept) {
      ({ state, context } = kept);
      if (isTranslated) history.replaceState(kept.place, "", location.pathname);
      else if (kept.spoken !== language) return changeLanguage(); // an entry from before the languages were changed
      interview = startInterview(screens, ports, state);
      if (!isTranslated) showNotice("restored");
    } else if (state === BLANK) store.wipe();
    else await keep();
    await checkKeys();
  }

  function empty() {
    wipe();
    screens.main.replaceChildren();
  }

  /** Another tab was left, or this one is on its way to /leave. */
  function leave() {
    if (doc.documentElement.className === "gone") return;
    doc.documentElement.className = "gone";
    empty();
    location.replace("/");
  }

  doc.addEventListener("click", ({ target }) => {
    const name = /** @type {Element} */ (target).closest?.("#notices button") && notice?.id;
    if (name === "notice-simple" || name === "notice-add") postPlainly();
    if (name === "notice-failed") void (pending ? send(pending) : returning?.open());
    if (name === "notice-later") location.reload();
  });
  window.addEventListener("error", fail);
  window.addEventListener("unhandledrejection", fail);
  window.addEventListener("pagehide", () => {
    if (doc.documentElement.className === "gone") empty(); // Leave: the browser may keep this page in its memory
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted || isOver) return;
    event.stopImmediatePropagation(); // leave.js would go to the first page
    doc.documentElement.className = ""; // no Leave: with the words of the store, where they still open
    location.reload();
  });
  // Two tabs are two interviews; the channel carries no answer.
  const tabs = new window.BroadcastChannel("form");
  tabs.onmessage = ({ data: said }) => {
    if (said === "gone") return leave();
    if (isOver || returning) return;
    showNotice("two_tabs");
    if (said === "new") tabs.postMessage("known");
  };
  if (!isComingBack) tabs.postMessage("new");
  const begun = begin();
  begun.catch(fail);
}
