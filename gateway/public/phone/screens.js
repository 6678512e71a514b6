// @ts-check
// Shows the screens of the form on the person's own phone, out of its one document (see `gateway/public/phone_document.py`):
// a screen is a copy of its section, from which everything for other readers is taken away. Words are the document's,
// rules the journey's. Never asks a network, stores nothing, and makes no markup out of a text.

import {
  fits,
  isShown,
  keepOnPath,
  listAdvice,
  listAxes,
  listOffered,
  listPath,
  listUrgent,
  makeProfile,
} from "./journey.js";

/**
 * @typedef {import("./journey.js").Journey} Journey
 * @typedef {import("./journey.js").Answers} Answers
 * @typedef {import("./journey.js").Screen} Screen
 * @typedef {import("./journey.js").Field} Field
 * @typedef {import("./journey.js").Fault} Fault
 * @typedef {Record<string, string>} Reader the value of each axis
 *
 * @typedef {object} Screens the parts of the document, taken out of it
 * @property {Document} doc
 * @property {Journey} data
 * @property {HTMLElement} main shows one screen at a time
 * @property {Map<string, HTMLElement>} sections by the name of their screen
 * @property {HTMLElement[]} helps the help bars
 * @property {DocumentFragment} countries
 *
 * @typedef {object} Extra
 * @property {Fault[]} [faults]
 * @property {boolean} [isLate] the check was seen
 * @property {string} [service] the service whose button led here
 * @property {boolean} [hasContext] a service's page context goes with the report
 *
 * @typedef {object} Sent what the thank-you page tells
 * @property {string} reference
 * @property {string} words
 * @property {string} urgency "crisis", "urgent" or "other"
 * @property {string} [at] the next hour with a person at the desk, if there is none now, in words
 * @property {string} [read_by] in words
 * @property {string} [reply_by] in words
 */

export const RETURN_MARK = "#16"; // behind the document's address: begin with the first of these
export const RETURN_PAGES = ["come_back", "replies"];
const AXES = ["who", "age", "near", "where", "meets"];
const LIMITED = AXES.map((axis) => `[data-${axis}]`).join();

/** @template {Element} T @param {ParentNode} part @param {string} selector @returns {T[]} */
const list = (part, selector) => [.../** @type {NodeListOf<T>} */ (part.querySelectorAll(selector))];

/** @param {ParentNode} part @param {string} selector @returns {HTMLElement} */
export function take(part, selector) {
  const found = part.querySelector(selector);
  if (!found) throw new Error(`no ${selector}`);
  return /** @type {HTMLElement} */ (found);
}

/** @param {Document} doc @param {string} tag @param {string} className @param {string} [text] */
function make(doc, tag, className, text) {
  const made = doc.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/**
 * Take the screens out of the document; its main part is empty then, so that nothing typed outlives its screen.
 * @param {Document} doc @param {Journey} data @returns {Screens}
 */
export function takeScreens(doc, data) {
  const main = take(doc, "main");
  const found = list(main, "section[id^=screen-]").map((section) => /** @type {HTMLElement} */ (section));
  const sections = new Map(found.map((section) => [section.id.slice("screen-".length), section]));
  for (const section of sections.values()) section.remove();
  doc.addEventListener("click", (event) => {
    const link = /** @type {Element} */ (event.target).closest?.("a[href^='#']");
    if (!link) return;
    event.preventDefault(); // an entry of the history is a screen, and never a field of one
    /** @type {HTMLElement | null} */ (doc.querySelector(link.getAttribute("href") ?? ""))?.focus();
  });
  const { content: countries } = /** @type {HTMLTemplateElement} */ (take(main, "template#countries"));
  const { content } = /** @type {HTMLTemplateElement} */ (take(doc, "template#helps"));
  const helps = [take(doc, "nav.help"), .../** @type {HTMLElement[]} */ (list(content, "nav.help"))];
  return { doc, data, main, sections, helps, countries };
}

// --- The reader.

/** @param {Screens} screens @param {string} code */
const findCountry = ({ countries }, code) =>
  countries.querySelector(`[data-country="${CSS.escape(code)}"]`) ?? take(countries, "[data-country=other]");

/** @param {Element} country */
const getNumber = (country) => country.getAttribute("data-emergency");

/** @param {Screens} screens */
const getOwnNumber = ({ helps }) => {
  const own = helps.find((one) => (one.dataset.where ?? "uk").split(" ").includes("uk"));
  return own?.querySelector("a[href^='tel:']")?.getAttribute("href")?.slice("tel:".length);
};

/** @param {Screens} screens @param {Answers} answers @returns {{ reader: Reader, country: Element }} */
function findReader(screens, answers) {
  const { country: here, country_there: there } = makeProfile(screens.data, answers);
  const code = here || there;
  const country = findCountry(screens, code);
  const isNamed = code !== "other" && country.getAttribute("data-country") === code;
  let where = here ? "abroad" : there ? "there" : "uk";
  if (where !== "uk" && !isNamed) where += "-other";
  else if (where === "there" && getNumber(country) === getOwnNumber(screens)) where += "-same";
  return { reader: { ...listAxes(screens.data, answers), where }, country };
}

/** @param {Element} part @param {Reader} reader */
const isFor = (part, reader) =>
  AXES.every((axis) => {
    const values = part.getAttribute(`data-${axis}`);
    return values === null || values.split(" ").includes(reader[axis]);
  });

/** Take away what is for other readers. @template {Element} T @param {T} part @param {Reader} reader @returns {T} */
function fit(part, reader) {
  for (const one of list(part, LIMITED)) if (!isFor(one, reader)) one.remove();
  for (const one of list(part, "[data-any]").reverse()) if (!one.textContent?.trim()) one.remove();
  return part;
}

/** Put texts in the place of slots, e.g. `⟨day⟩`. @param {Element} part @param {Record<string, string>} values */
export function fillSlots(part, values) {
  const fill = (/** @type {string} */ text) => text.replace(/⟨(\w+)⟩/g, (slot, name) => values[name] ?? slot);
  const walker = /** @type {Document} */ (part.ownerDocument).createTreeWalker(part, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode;
    if (text.nodeValue?.includes("⟨")) text.nodeValue = fill(text.nodeValue);
  }
  for (const link of list(part, "a[href*='⟨']")) link.setAttribute("href", fill(link.getAttribute("href") ?? ""));
}

/** Fill the slots of a country: its cards, its name for a helpline, its number. @param {Screens} screens @param {Element} part @param {Element} country */
function fillCountry({ countries }, part, country) {
  for (const card of list(part, "a.call")) {
    const kind = /⟨(report|talk)⟩/.exec(card.textContent ?? "")?.[1];
    if (!kind) continue;
    const own = /** @type {Element} */ (take(country, `[data-kind=${kind}] a.call`).cloneNode(true));
    take(own, "span").textContent = take(card, "span").textContent;
    card.replaceWith(own);
  }
  for (const posts of list(part, "ul.posts")) {
    const hint = posts.previousElementSibling;
    if (!posts.querySelector("a.call[target]") || hint?.matches("p.why")) continue;
    posts.before(take(countries, "p.why").cloneNode(true));
  }
  const talk = country.querySelector("[data-kind=talk] a.call b")?.textContent ?? "";
  fillSlots(part, { emergency: getNumber(country) ?? "", talk });
}

/** @param {Screens} screens @param {Answers} answers */
function showHelp(screens, answers) {
  const { reader, country } = findReader(screens, answers);
  const bar = screens.helps.find((one) => isFor(one, reader));
  if (!bar) return;
  const shown = /** @type {HTMLElement} */ (bar.cloneNode(true));
  const talk = shown.querySelector("a[href*='⟨talk']");
  const own = country.querySelector("[data-kind=talk] a.call");
  if (talk && own) {
    talk.setAttribute("href", own.getAttribute("href") ?? "");
    for (const name of ["target", "rel"])
      if (own.hasAttribute(name)) talk.setAttribute(name, own.getAttribute(name) ?? "");
    take(talk, "b").textContent = (own.querySelector("b.to") ?? take(own, "b")).textContent;
  }
  fillSlots(shown, { emergency: getNumber(country) ?? "" });
  const first = take(screens.doc, "nav.help");
  if (!first.isEqualNode(shown)) first.replaceWith(shown); // a new one would ask for its pictures again
}

// --- A screen with questions.

/** Copy a section for the reader of these answers. @param {Screens} screens @param {string} name @param {Answers} answers */
export function copySection(screens, name, answers) {
  const { reader, country } = findReader(screens, answers);
  const section = screens.sections.get(name);
  if (!section) throw new Error(`no section ${name}`);
  const copy = /** @type {HTMLElement} */ (section.cloneNode(true));
  copy.hidden = false;
  fit(copy, reader);
  fillCountry(screens, copy, country);
  return copy;
}

/** @param {ParentNode} part @param {string} name */
const listInputs = (part, name) =>
  /** @type {HTMLInputElement[]} */ (
    list(part, `input[name="${name}"],select[name="${name}"],textarea[name="${name}"]`)
  );

/** Leave out the questions that are not asked, and the options that are not offered. @param {Journey} data @param {Element} part @param {Field} field @param {Answers} answers */
function leaveOut(data, part, field, answers) {
  const inputs = listInputs(part, field.name);
  if (!isShown(data, field, answers)) {
    for (const button of list(part, `button[name="${field.name}"]`)) button.remove();
    (inputs[0]?.closest(".extra") ?? inputs[0]?.closest(".field"))?.remove();
    return;
  }
  const offered = listOffered(data, field, answers);
  if (field.options) for (const one of inputs) if (!offered.includes(one.value)) one.closest("label")?.remove();
}

/** @param {Element} part @param {Field} field @param {Answers} answers @param {string} service */
function fillIn(part, field, answers, service) {
  const given = answers[field.name] ?? [];
  for (const input of listInputs(part, field.name)) {
    if (input.type === "radio" || input.type === "checkbox") input.checked = given.includes(input.value);
    else input.value = given.join("") || (field.prefill === "service" ? service : "");
  }
}

/** Return a text of the document that stands on no screen. @param {Screens} screens @param {string} name */
export const getText = ({ main }, name) => main.querySelector(`[data-common="${name}"]`)?.textContent ?? "";

/** @param {Screens} screens @param {HTMLElement} part @param {Screen} screen @param {Fault[]} faults */
function showFaults(screens, part, screen, faults) {
  const { doc } = screens;
  const box = make(doc, "div", "faults");
  const heading = make(doc, "h2", "", getText(screens, `error_heading${faults.length === 1 ? "" : "_many"}`));
  for (const [name, value] of Object.entries({ role: "alert", tabindex: "-1", "aria-labelledby": "faults-title" }))
    box.setAttribute(name, value);
  box.id = "faults";
  heading.id = "faults-title";
  const lines = make(doc, "ul", "");
  for (const { field: name, kind } of faults) {
    const text = take(part, `ul.faults [data-fault="${name} ${kind}"]`).textContent ?? "";
    const [first] = listInputs(part, name);
    const link = make(doc, "a", "", text);
    link.setAttribute("href", `#${first.id}`);
    lines.append(make(doc, "li", ""));
    lines.lastElementChild?.append(link);
    markFault(screens, first, name, text);
  }
  box.append(heading, lines);
  part.prepend(box);
}

/** @param {Screens} screens @param {HTMLElement} first @param {string} name @param {string} text */
function markFault(screens, first, name, text) {
  const field = /** @type {HTMLElement} */ (first.closest(".field"));
  const about = field.matches("fieldset") ? field : first;
  const said = make(screens.doc, "p", "fault");
  said.id = `${name}-fault`;
  said.append(make(screens.doc, "span", "unseen", getText(screens, "error_title")), ` ${text}`);
  const hint = [...field.children].find((one) => one.id === `${name}-hint`);
  (hint ?? take(field, "legend, label")).after(said);
  field.classList.add("has-fault");
  about.setAttribute("aria-describedby", `${hint ? `${name}-hint` : ""} ${name}-fault`);
  about.setAttribute("aria-invalid", "true");
}

/** @param {Screens} screens @param {HTMLElement} part @param {Screen} screen @param {boolean} isLate */
function showProgress({ doc, main }, part, screen, isLate) {
  const stage = isLate ? screen.progress_late : screen.progress;
  const text = main.querySelector(`[data-progress="${stage}"]`)?.textContent;
  if (text) part.prepend(make(doc, "p", "progress", text));
}

/**
 * Put a screen in the place of the one before, with the help bar and the title; the caller moves the focus.
 * @param {Screens} screens @param {HTMLElement} part @param {Answers} answers @param {boolean} [hasFaults]
 */
export function show(screens, part, answers, hasFaults = false) {
  const { doc, main } = screens;
  for (const old of list(main, "section[id^=screen-]")) old.remove();
  take(main, "#notices").after(part);
  showHelp(screens, answers);
  const title = part.dataset.title ?? take(part, "h1").textContent;
  doc.title = hasFaults ? `${getText(screens, "error_title")} ${title}` : `${title}`;
}

/** Whether a page comes back: by a link, or because the browser dropped it. @param {Window} window */
export const isReturn = ({ history, location }) =>
  location.hash === RETURN_MARK || RETURN_PAGES.includes(history.state?.screen);

/** Move the focus, e.g. to the heading. @param {Screens} screens @param {string} selector */
export function focusOn({ main }, selector) {
  const part = /** @type {HTMLElement | null} */ (main.querySelector(selector));
  part?.setAttribute("tabindex", "-1");
  part?.focus({ preventScroll: true });
}

/** Press the main button by Enter too, as a form would. @param {Screens} screens @param {() => void} press */
export function onEnter({ main }, press) {
  main.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !(/** @type {Element} */ (event.target).matches("input"))) return;
    event.preventDefault();
    press();
  });
}

/**
 * Show any screen but the thank-you page, with its answers; with `faults` as after a Continue that they block.
 * @param {Screens} screens @param {Screen} screen @param {Answers} given @param {Extra} [extra]
 */
export function showScreen(screens, screen, given, { faults = [], isLate = false, service = "", hasContext } = {}) {
  const { data } = screens;
  const answers = screen.name === data.check ? keepOnPath(data, given) : given;
  const part = copySection(screens, screen.name, answers);
  if (screen.name === data.check) fillCheck(screens, part, answers, Boolean(hasContext));
  for (const field of screen.fields) {
    leaveOut(data, part, field, answers);
    fillIn(part, field, answers, service);
  }
  showProgress(screens, part, screen, isLate);
  if (faults.length > 0) showFaults(screens, part, screen, faults);
  part.querySelector(":scope > ul.faults")?.remove();
  show(screens, part, answers, faults.length > 0);
}

/** Return the values of a field on the screen that is shown. @param {Screens} screens @param {string} name */
export const readValues = ({ main }, name) =>
  listInputs(main, name)
    .filter((one) => (one.type !== "radio" && one.type !== "checkbox") || one.checked)
    .map((one) => one.value);

// --- The check page.

/** Whether a part of a section that nothing was taken out of is for this reader. @param {Element} part @param {Reader} reader */
function isWithin(part, reader) {
  /** @type {Element | null} */
  let around = part;
  while (around && isFor(around, reader)) around = around.parentElement;
  return around === null;
}

/**
 * Return the text of an answer, as its own screen has it for this reader.
 * @param {Element} section @param {Reader} reader @param {Field} field @param {string} value
 */
function nameAnswer(section, reader, field, value) {
  const code = CSS.escape(value);
  if (field.kind === "select") {
    const option = section.querySelector(`option[value="${code}"]`) ?? take(section, "option[value=other]");
    return option.textContent ?? "";
  }
  if (!field.options) return value;
  const found = list(section, `[name="${field.name}"][value="${code}"]`).find((one) => isWithin(one, reader));
  // A label may hold a field for details: only its own text names the option.
  return [...((found?.closest("label") ?? found)?.childNodes ?? [])]
    .filter((one) => one.nodeType === Node.TEXT_NODE)
    .map((one) => one.nodeValue)
    .join("")
    .trim();
}

/** Whether a row stands on the check page: text for an option that was unticked later is still sent. @param {Journey} data @param {Field} field @param {Answers} answers */
const isRow = (data, field, answers) =>
  field.kind !== "more" &&
  isShown(data, field, answers) &&
  (!field.goes_with || fits(field.goes_with, answers) || Boolean(answers[field.name]));

/** @param {Screens} screens @param {HTMLElement} part @param {Answers} answers @param {boolean} hasContext */
function fillCheck(screens, part, answers, hasContext) {
  const { data } = screens;
  const path = listPath(data, answers);
  const { reader } = findReader(screens, answers);
  const blanks = take(part, ".blanks");
  const titles = new Map(list(blanks, "button").map((one) => [one.getAttribute("value"), one]));
  for (const one of titles.values()) one.remove();
  for (const group of list(part, ".group:not(.blanks)")) {
    const button = take(group, "button");
    const screen = data.screens.find((one) => one.path === button.getAttribute("value"));
    if (button.getAttribute("name") !== "change") {
      if (!hasContext) group.remove();
    } else if (!screen || !path.includes(screen)) group.remove();
    else fillGroup(screens, { group, button, screen, reader, blanks, title: titles.get(screen.path) }, answers);
  }
  if (!blanks.querySelector("button")) blanks.remove();
  const more = part.querySelector("button[name=more]");
  if (more && answers.more) {
    more.closest(".actions")?.previousElementSibling?.remove();
    more.remove();
  }
}

/**
 * @typedef {{ group: Element, button: Element, screen: Screen, reader: Reader, blanks: Element, title: Element | undefined }} Group
 * @param {Screens} screens @param {Group} parts @param {Answers} answers
 */
function fillGroup(screens, { group, button, screen, reader, blanks, title }, answers) {
  const labels = list(group, "dt");
  const section = /** @type {HTMLElement} */ (screens.sections.get(screen.name));
  const fields = screen.fields.filter((field) => field.kind !== "more");
  const rows = fields.map((field, at) => ({ field, label: labels[at], texts: answers[field.name] ?? [] }));
  const asked = rows.filter(({ field }) => isRow(screens.data, field, answers));
  const given = asked.filter(({ texts }) => texts.length > 0);
  const addBlank = (/** @type {string | null} */ label) => {
    const one = /** @type {Element} */ (button.cloneNode(false));
    one.textContent = label;
    blanks.append(one);
  };
  for (const { field, label, texts } of rows) {
    const slot = /** @type {Element} */ (label.nextElementSibling);
    for (const text of asked.some((row) => row.field === field) ? texts : []) {
      const said = /** @type {Element} */ (slot.cloneNode(false));
      said.textContent = nameAnswer(section, reader, field, text);
      slot.before(said);
    }
    slot.remove();
  }
  if (given.length > 0) take(button, "span").textContent = ` ${given[0].label.textContent}`;
  if (given.length === 0 && asked.length > 1) blanks.append(.../** @type {Element[]} */ (title ? [title] : []));
  else for (const { label, texts } of asked) if (texts.length === 0) addBlank(label.textContent);
  for (const row of rows) if (!given.includes(row)) row.label.remove();
  if (given.length === 0) group.remove();
}

// --- The thank-you page.

/** @param {Sent} sent @param {boolean} isOwed */
function listNext({ urgency, at, read_by, reply_by }, isOwed) {
  const isSoon = urgency !== "other";
  const reply = isOwed && reply_by ? (isSoon ? "reply_child_soon" : "reply_child") : "reply_adult";
  const said = { nobody: at, read: read_by, between: isSoon && !at, wait: isSoon || at, [reply]: true };
  return Object.entries(said)
    .filter(([, isSaid]) => isSaid)
    .map(([key]) => key);
}

/** Keep of the marked parts those with one of these codes. @param {Element} part @param {string} name @param {string[]} codes */
function keep(part, name, codes) {
  for (const one of list(part, `[data-${name}]`))
    if (!codes.includes(one.getAttribute(`data-${name}`) ?? "")) one.remove();
}

/** @param {Screens} screens @param {HTMLElement} part @param {string[]} urgent @param {Answers} answers */
function showUrgent(screens, part, urgent, answers) {
  const { thanks } = screens.data;
  const { reader, country } = findReader(screens, answers);
  keep(part, "urgent", urgent);
  // Where the child is in another country is said once, beside the first call that is not for the reader.
  const told = list(part, "[data-urgent]");
  const about = told.find((one) => one.getAttribute("data-urgent") !== thanks.about_reader);
  const elsewhere = { ...reader, where: reader.where.replace(/^there.*/, "uk") };
  for (const one of told) {
    fit(one, one === about ? reader : elsewhere);
    for (const line of list(one, "[data-where]")) line.removeAttribute("data-where");
  }
  fit(part, reader);
  fillCountry(screens, part, country);
  const mayCall = !urgent.some((code) => thanks.no_call.includes(code));
  const callAt = mayCall ? urgent.find((code) => thanks.call_first.includes(code)) : undefined;
  for (const one of told) {
    if (one.getAttribute("data-urgent") === callAt) continue;
    for (const call of list(one, ".call-now, .by-phone")) call.remove();
  }
  keepTalk(part, urgent);
}

/** Keep one list of people to talk to. @param {Element} part @param {string[]} codes */
function keepTalk(part, codes) {
  const lists = list(part, "[data-talk]").map((one) => one.getAttribute("data-talk") ?? "");
  keep(part, "talk", [lists.find((code) => codes.includes(code)) ?? "danger"]);
}

/**
 * Show the thank-you page's helplines to a person whose words suggest danger today.
 * @param {Screens} screens @param {Answers} answers @param {string[]} spokenOf codes of the phrases
 */
export function showHelpToday(screens, answers, spokenOf) {
  const { data } = screens;
  const part = copySection(screens, "help_today", answers);
  const help = take(copySection(screens, data.thanks.screen, answers), "section.urgent");
  keep(help, "urgent", []);
  keepTalk(
    help,
    spokenOf.map((code) => data.words.talk[code] ?? ""),
  );
  take(help, "h2").remove();
  take(part, ".ways-now").replaceWith(...help.childNodes);
  show(screens, part, answers);
}

/** @param {Journey} data @param {string[]} urgent @param {Answers} answers */
function listSaid(data, urgent, answers) {
  const { meeting_kinds, meetings } = data.thanks;
  const library = new Map(data.advice.library.map((one) => [one.code, one]));
  const isMet = urgent.some((code) => meetings.includes(code));
  return listAdvice(data, answers).filter((code) => {
    const one = library.get(code);
    if (one?.is_first && urgent.length > 0) return false;
    return !(isMet && String(one?.kinds) === String(meeting_kinds));
  });
}

/**
 * Show the thank-you page: only with a receipt that was checked.
 * @param {Screens} screens @param {Answers} answers @param {Sent} sent
 */
export function showThanks(screens, answers, sent) {
  const { data } = screens;
  const { reader, country } = findReader(screens, answers);
  const section = screens.sections.get(data.thanks.screen);
  if (!section) throw new Error("no thank-you page");
  const part = /** @type {HTMLElement} */ (section.cloneNode(true));
  part.hidden = false;
  const urgent = listUrgent(data, answers);
  if (urgent.length > 0) {
    showUrgent(screens, take(part, "section.urgent"), urgent, answers);
    part.querySelector("[data-part=talk]")?.remove();
  } else take(part, "section.urgent").remove();
  fit(part, reader);
  keep(part, "next", listNext(sent, !fits(data.reader.grown_up, answers)));
  showAdvice(part, listSaid(data, urgent, answers));
  fillCountry(screens, part, country);
  const { reference, words, at = "", read_by = "", reply_by = "" } = sent;
  fillSlots(part, { reference, words, at, read_by, reply_by });
  show(screens, part, answers);
}

/** Put the advice in the order of the codes. @param {Element} part @param {string[]} codes */
function showAdvice(part, codes) {
  keep(part, "advice", codes);
  for (const code of codes) {
    const line = part.querySelector(`[data-advice="${code}"]`);
    line?.parentElement?.append(line);
  }
}
