// @ts-check
// The journey on the person's own phone: reads answers, finds the way, and makes the report, without a request.
// Interprets the data of `gateway/public/journey/export.py`. No rule stands here: the gateway's own code reads the same
// table, and tests/gateway/public/test_journey_script.py compares the two. Never shows, stores or sends anything.
//
// Every function takes the data first, then a screen or a field, then the answers; none changes what it is given.

import { listSpokenOf } from "./phrases.js";
import { encode } from "./spelling.js";

/**
 * @typedef {{ field: string, any_of?: string[], none_of?: string[], only?: boolean, is_told?: boolean }} Condition
 * @typedef {{ when: Condition[], then: string }} Rule
 * @typedef {{ rules: Rule[], otherwise: string }} Choice
 * @typedef {{ values: Record<string, string>, otherwise: string }} Lookup
 * @typedef {{ fields: string[], is_list: boolean }} Source
 * @typedef {{ [name: string]: string[] }} Answers by the names of fields; a blank one is left out
 *
 * @typedef {object} Field
 * @property {string} name
 * @property {"radios" | "checkboxes" | "select" | "text" | "textarea" | "choice" | "more"} kind
 * @property {string[]} [options]
 * @property {boolean} [required]
 * @property {number} max_characters code points, a line end counted as the two of a post
 * @property {Condition[]} [shown_if]
 * @property {Rule[]} [offered_if] `then` is the option
 * @property {Condition} [goes_with]
 * @property {boolean} [is_needed_with]
 * @property {string} [needed_without]
 * @property {"service"} [prefill]
 *
 * @typedef {object} Screen
 * @property {string} name
 * @property {string} path
 * @property {string} goes_to
 * @property {Field[]} fields
 * @property {Rule[]} branches
 * @property {string[]} shows the helpers on the page
 * @property {string} progress how far it is
 * @property {string} progress_late the same once the check was seen
 *
 * @typedef {object} Advice
 * @property {string} code
 * @property {string[]} readers
 * @property {string[]} [kinds]
 * @property {string[]} [ages]
 * @property {boolean} [is_general]
 * @property {boolean} [is_first]
 * @property {boolean} [is_left_out]
 * @property {boolean} [with_picture]
 *
 * @typedef {object} Journey
 * @property {string} start
 * @property {string} check
 * @property {Screen[]} screens
 * @property {string} selected the pattern of an answer to a `select`
 * @property {Choice & { in_words: string }} priority
 * @property {import("./phrases.js").Words} words
 * @property {Rule[]} urgent
 * @property {{ signs: Rule[], stated: Record<string, string>, classes: { all_of: string[][], then: string }[],
 *   otherwise: string }} urgency the first class that is met: by one sign out of each of its lists; `stated` by priority
 * @property {{ grown_up: Condition, of_a_child: Lookup, of_a_grown_up: Lookup, who: string, abroad: Condition,
 *   stays_here: Condition[], country: string, unnamed_country: string }} reader
 * @property {Record<string, Choice>} axes what limits a block of the document, but the place
 * @property {{ screen: string, call_first: string[], no_call: string[], about_reader: string, meetings: string[],
 *   meeting_kinds: string[] }} thanks
 * @property {Record<string, string>} sides the addresses of the pages that are not in the document, by their action
 * @property {Choice} child_age the field with the age band of the child in the report
 * @property {{ library: Advice[], most_special: number, kinds: string, also: Rule, no_picture: Condition }} advice
 * @property {{ own: Record<string, Source>, parts: Record<string, Record<string, Source>>, own_age: string,
 *   under_18: Lookup, signal: { field: string, prefix: string }, clear: Record<string, Json>, schema_version: string,
 *   left_out_if_blank: string[], max_bytes: number, context_refused: string }} report
 *
 * @typedef {{ field: string, kind: "blank" | "too_long" }} Fault
 * @typedef {{ reader: string, country: string, country_there: string }} ReaderProfile
 *
 * @typedef {{ hasSeenCheck: boolean, gonePast: string[], isAsked: boolean }} Way `gonePast`: by Continue;
 *   `isAsked`: a button of the kind "more" was pressed
 *
 * @typedef {object} Given the facts of Send that are no answers
 * @property {string} report_id
 * @property {string} environment
 * @property {string | null} placement
 * @property {string} submitted_at
 * @property {string | null} reply_by
 * @property {string | null} reply_key
 * @property {string} copy_version
 * @property {string} language
 * @property {string | null} context
 * @property {string[]} signals
 * @typedef {import("./spelling.js").Json} Json
 */

const TYPED = ["text", "textarea"];
// As Python's str.strip(): a text with one of these is not blank. JavaScript's \s has U+FEFF, but not the separators.
const NOT_BLANK = /[^\s\x1c-\x1f\x85]|\ufeff/;

/** @type {(answers: Answers, name: string) => string[]} */
const list = (answers, name) => answers[name] ?? [];

/** Return the single answer to a field, or an empty string. @type {(answers: Answers, name: string) => string} */
export const getOne = (answers, name) => list(answers, name)[0] ?? "";

/** Return whether answers match. @type {(condition: Condition, answers: Answers) => boolean} */
export function fits(condition, answers) {
  const given = list(answers, condition.field);
  if (condition.is_told) return NOT_BLANK.test(given.join(""));
  if (condition.none_of) return !given.some((one) => condition.none_of?.includes(one));
  const isWanted = (/** @type {string} */ one) => Boolean(condition.any_of?.includes(one));
  return given.some(isWanted) && (!condition.only || given.every(isWanted));
}

/** @type {(conditions: Condition[] | undefined, answers: Answers) => boolean} */
const fitAll = (conditions, answers) => (conditions ?? []).every((one) => fits(one, answers));

/** @type {(choice: Choice, answers: Answers) => string} */
const choose = ({ rules, otherwise }, answers) => rules.find((rule) => fitAll(rule.when, answers))?.then ?? otherwise;

/** @type {(lookup: Lookup, answer: string) => string} */
const lookUp = ({ values, otherwise }, answer) => new Map(Object.entries(values)).get(answer) ?? otherwise;

/** Return a screen by its name. @type {(data: Journey, name: string) => Screen} */
export function getScreen(data, name) {
  const found = data.screens.find((screen) => screen.name === name);
  if (!found) throw new Error(`no screen ${name}`);
  return found;
}

/**
 * Return a text as a post of a form would bring it: each line end is two characters, half a character is replaced.
 * @type {(text: string) => string}
 */
const asPosted = (text) => text.replace(/\r\n|\r|\n/g, "\r\n").replace(/\p{Surrogate}/gu, "\ufffd");

/** @type {(data: Journey, field: Field, sent: string[]) => string[]} */
function readField(data, field, sent) {
  const options = field.options ?? [];
  if (field.kind === "checkboxes") return options.filter((option) => sent.includes(option));
  const selected = new RegExp(`^(?:${data.selected})$`);
  if (field.kind === "select") return sent.filter((code) => selected.test(code)).slice(0, 1);
  if (options.length > 0) return sent.filter((option) => options.includes(option)).slice(0, 1);
  return sent.slice(0, 1).map(asPosted).filter(Boolean);
}

/**
 * Read a screen's fields from a form, e.g. with `(name) => new FormData(form).getAll(name)`; unknown options are dropped.
 * @type {(data: Journey, screen: Screen, getPosted: (name: string) => string[]) => Answers}
 */
export const readScreen = (data, screen, getPosted) =>
  Object.fromEntries(screen.fields.map((field) => [field.name, readField(data, field, getPosted(field.name))]));

/**
 * Return the answers with those that `readScreen` read. A pressed `more` button stays pressed.
 * @type {(data: Journey, screen: Screen, answers: Answers, posted: Answers) => Answers}
 */
export function merge(data, screen, answers, posted) {
  const kept = screen.fields.filter((field) => field.kind === "more").map((field) => field.name);
  const changed = Object.entries(posted).filter(([name, values]) => values.length > 0 || !kept.includes(name));
  const merged = { ...answers, ...Object.fromEntries(changed) };
  return Object.fromEntries(Object.entries(merged).filter(([, values]) => values.length > 0));
}

/** Return whether a question is asked. @type {(data: Journey, field: Field, answers: Answers) => boolean} */
export const isShown = (data, field, answers) => fitAll(field.shown_if, answers);

/** List the options of a field that are offered. @type {(data: Journey, field: Field, answers: Answers) => string[]} */
export const listOffered = (data, field, answers) =>
  (field.options ?? []).filter((option) =>
    (field.offered_if ?? []).every((rule) => rule.then !== option || fitAll(rule.when, answers)),
  );

/** Return whether Continue requires an answer. @type {(data: Journey, field: Field, answers: Answers) => boolean} */
export function isNeeded(data, field, answers) {
  if (!isShown(data, field, answers)) return false;
  if (field.needed_without && list(answers, field.needed_without).length === 0) return true;
  return Boolean(field.required || (field.is_needed_with && field.goes_with && fits(field.goes_with, answers)));
}

/** @type {(data: Journey, field: Field, answers: Answers) => Fault[]} */
function listFieldFaults(data, field, answers) {
  const text = list(answers, field.name).join("");
  if (TYPED.includes(field.kind) && [...text].length > field.max_characters)
    return [{ field: field.name, kind: "too_long" }];
  return isNeeded(data, field, answers) && !NOT_BLANK.test(text) ? [{ field: field.name, kind: "blank" }] : [];
}

/**
 * List the faults of a screen that block Continue; Back is blocked by "too_long" alone.
 * @type {(data: Journey, screen: Screen, answers: Answers) => Fault[]}
 */
export const listFaults = (data, screen, answers) =>
  screen.fields.flatMap((field) => listFieldFaults(data, field, answers));

/** Return the next screen. @type {(data: Journey, screen: Screen, answers: Answers) => Screen} */
export const getNext = (data, screen, answers) =>
  getScreen(data, choose({ rules: screen.branches, otherwise: screen.goes_to }, answers));

/**
 * Return the screen after Continue. Once the check was seen, those that were gone past and need nothing more are skipped;
 * a page that a pressed button asks for is not.
 * @type {(data: Journey, screen: Screen, answers: Answers, way: Way) => Screen}
 */
export function getFollowing(data, screen, answers, { hasSeenCheck, gonePast, isAsked }) {
  let following = getNext(data, screen, answers);
  const isSettled = () =>
    following.fields.every((field) => field.kind !== "choice" || list(answers, field.name).length > 0) &&
    listFaults(data, following, answers).length === 0;
  while (hasSeenCheck && !isAsked && gonePast.includes(following.name) && isSettled())
    following = getNext(data, following, answers);
  return following;
}

/** Return the value of each axis that limits the document's blocks. @type {(data: Journey, answers: Answers) => Record<string, string>} */
export const listAxes = (data, answers) =>
  Object.fromEntries(Object.entries(data.axes).map(([axis, choice]) => [axis, choose(choice, answers)]));

/** List the screens from the start to the check. @type {(data: Journey, answers: Answers) => Screen[]} */
export function listPath(data, answers) {
  let screen = getScreen(data, data.start);
  const path = [screen];
  while (screen.name !== data.check) path.push((screen = getNext(data, screen, answers)));
  return path;
}

/** Keep only the answers on their own path: these are sent. @type {(data: Journey, answers: Answers) => Answers} */
export function keepOnPath(data, answers) {
  const fields = listPath(data, answers).flatMap((screen) => screen.fields);
  const asked = fields.filter((field) => isShown(data, field, answers)).map((field) => field.name);
  return Object.fromEntries(Object.entries(answers).filter(([name, { length }]) => asked.includes(name) && length > 0));
}

/** Find the first screen on the path that blocks Send. @type {(data: Journey, answers: Answers) => Screen | undefined} */
export const findIncomplete = (data, answers) =>
  listPath(data, answers).find((screen) => listFaults(data, screen, answers).length > 0);

/** Return the priority: "P1", "P2" or "P3". @type {(data: Journey, answers: Answers) => string} */
export const getPriority = (data, answers) =>
  listSpokenOf(data, listFields(data), answers).length > 0 ? data.priority.in_words : choose(data.priority, answers);

/** @param {Journey} data */
const listFields = (data) => data.screens.flatMap((screen) => screen.fields);

/** List the codes of the urgent blocks of the thank-you page. @type {(data: Journey, answers: Answers) => string[]} */
export const listUrgent = (data, answers) => [
  ...new Set(data.urgent.filter((rule) => fitAll(rule.when, answers)).map((rule) => rule.then)),
];

/** Return the class of the promise, by the desk's rules. @type {(data: Journey, answers: Answers) => string} */
export function getUrgency(data, answers) {
  const { urgency } = data;
  const signs = urgency.signs.filter((rule) => fitAll(rule.when, answers)).map((rule) => rule.then);
  signs.push(urgency.stated[getPriority(data, answers)]);
  const isMet = (/** @type {string[][]} */ all) => all.every((some) => some.some((one) => signs.includes(one)));
  return urgency.classes.find((one) => isMet(one.all_of))?.then ?? urgency.otherwise;
}

/**
 * Return the reader and their country, which decide the help on a page: see `ReaderProfile` in the gateway's journey.
 * @type {(data: Journey, answers: Answers) => ReaderProfile}
 */
export function makeProfile({ reader: rules }, answers) {
  const lookup = fits(rules.grown_up, answers) ? rules.of_a_grown_up : rules.of_a_child;
  const reader = lookUp(lookup, getOne(answers, rules.who));
  const place = fits(rules.abroad, answers) ? getOne(answers, rules.country) || rules.unnamed_country : "";
  const isHere = fitAll(rules.stays_here, answers);
  return { reader, country: isHere ? "" : place, country_there: isHere ? place : "" };
}

/** List the codes of the thank-you page's advice. @type {(data: Journey, answers: Answers) => string[]} */
export function listAdvice(data, answers) {
  const { library, most_special, kinds, also, no_picture } = data.advice;
  const wanted = [...list(answers, kinds), ...(fitAll(also.when, answers) ? [also.then] : [])];
  const age = getOne(answers, choose(data.child_age, answers));
  const { reader } = makeProfile(data, answers);
  const fitting = library.filter(
    (one) =>
      one.readers.includes(reader) &&
      (!one.kinds || one.kinds.some((kind) => wanted.includes(kind))) &&
      (!one.ages || one.ages.includes(age)),
  );
  const special = fitting.filter((one) => !one.is_general).slice(0, most_special);
  const hasNoPicture = fits(no_picture, answers);
  const shown = [...special, ...fitting.filter((one) => one.is_general)].filter(
    (one) => !one.is_left_out && !(hasNoPicture && one.with_picture),
  );
  return [...shown.filter((one) => one.is_first), ...shown.filter((one) => !one.is_first)].map((one) => one.code);
}

/** @type {(sources: Record<string, Source>, answers: Answers) => { [name: string]: Json }} */
const fill = (sources, answers) =>
  Object.fromEntries(
    Object.entries(sources).map(([name, { fields, is_list }]) => {
      const values = fields.flatMap((field) => list(answers, field));
      return [name, is_list ? values : (values[0] ?? "")];
    }),
  );

/**
 * Return the bytes of a first report to seal, from answers that `keepOnPath` kept; a context that does not fit is left
 * out. Throws `WireError` for half a character.
 * @type {(data: Journey, answers: Answers, given: Given) => Uint8Array}
 */
export function makeReport(data, answers, given) {
  const { report: rules } = data;
  const { context, copy_version, language, placement, reply_by, reply_key, submitted_at } = given;
  const said = getOne(answers, rules.signal.field);
  const ownAge = getOne(answers, rules.own_age);
  const parts = Object.entries(rules.parts).map(([name, sources]) => [name, fill(sources, answers)]);
  /** @type {{ [name: string]: Json }} */
  const report = {
    ...fill(rules.own, answers),
    ...Object.fromEntries(parts),
    ...{ context, copy_version, language, placement, reply_by, reply_key, submitted_at },
    age_band: getOne(answers, choose(data.child_age, answers)),
    clear: {
      ...rules.clear,
      environment: given.environment,
      priority: getPriority(data, answers),
      report_id: given.report_id,
    },
    reporter_age_band: ownAge,
    schema_version: rules.schema_version,
    signals: [...given.signals, ...(said ? [`${rules.signal.prefix}${said}`] : [])],
    signposted: [...new Set(listPath(data, answers).flatMap((screen) => screen.shows))],
    under_18: lookUp(rules.under_18, ownAge),
  };
  for (const name of rules.left_out_if_blank) if (!report[name]) delete report[name];
  const bytes = encode(report);
  if (!context || bytes.length <= rules.max_bytes) return bytes;
  delete report.context;
  return encode({ ...report, signals: [.../** @type {string[]} */ (report.signals), rules.context_refused] });
}
