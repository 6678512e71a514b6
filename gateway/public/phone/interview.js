// @ts-check
// Walks one interview on the person's own phone: buttons, the browser's history, focus. Each entry of the history is one
// screen, and stores only its name and step; going back, by any means, keeps every word. Never asks a network.

import {
  findIncomplete,
  getFollowing,
  getScreen,
  keepOnPath,
  listFaults,
  listPath,
  merge,
  readScreen,
} from "./journey.js";
import { listSpokenOf } from "./phrases.js";
import { focusOn, onEnter, readValues, showHelpToday, showScreen } from "./screens.js";

/**
 * @typedef {import("./journey.js").Answers} Answers
 * @typedef {import("./journey.js").Screen} Screen
 * @typedef {import("./screens.js").Screens} Screens
 * @typedef {import("./screens.js").Extra} Extra
 *
 * @typedef {object} State what a dropped page needs to come back
 * @property {Answers} answers
 * @property {string[]} gonePast the screens that Continue was pressed on
 * @property {boolean} hasSeenCheck
 * @property {boolean} wasOfferedHelp a person is asked once whether they need help today
 * @property {boolean} isLeftOut the person leaves out what a service said of the place
 *
 * @typedef {object} Ports what lies outside
 * @property {(state: State) => void} save after every change
 * @property {(answers: Answers) => Promise<void>} send the answers on the way alone; shows the thank-you page itself
 * @property {(action: string) => void} lead to a page that is not in the document, e.g. "see:privacy" or "language"
 * @property {() => Extra} getExtra what the visit adds to a screen
 * @property {() => boolean} isOver after Leave or Send there is nothing to show
 */

export const BLANK = Object.freeze({
  answers: {},
  gonePast: [],
  hasSeenCheck: false,
  wasOfferedHelp: false,
  isLeftOut: false,
});

/** @typedef {{ name: string, value: string }} Pressed */

/**
 * Begin at the first screen, or come back to the one that the history names.
 * @param {Screens} screens @param {Ports} ports @param {State} [known]
 */
export function startInterview(screens, ports, known = BLANK) {
  const { data, doc, main } = screens;
  const window = /** @type {Window} */ (doc.defaultView);
  const { history } = window;
  const first = getScreen(data, data.start).goes_to;
  let state = known;
  let held = { name: "", value: "" }; // what was pressed before the page that offers help
  let place = { screen: history.state?.screen ?? first, step: history.state?.step ?? 0, isHelp: history.state?.isHelp };
  history.scrollRestoration = "manual";
  history.replaceState(place, "");

  const getPlace = () => getScreen(data, place.screen);

  /** Read what stands on the screen. @param {Pressed} [pressed] */
  function take(pressed) {
    if (place.isHelp) return;
    const read = (/** @type {string} */ name) => (pressed?.name === name ? [pressed.value] : readValues(screens, name));
    const screen = getPlace();
    state = { ...state, answers: merge(data, screen, state.answers, readScreen(data, screen, read)) };
  }

  /** @param {import("./journey.js").Fault[]} [faults] */
  function show(faults = []) {
    const extra = ports.getExtra();
    const hasContext = Boolean(extra.hasContext) && !state.isLeftOut;
    if (place.isHelp) showHelpToday(screens, state.answers, listSpoken());
    else showScreen(screens, getPlace(), state.answers, { ...extra, isLate: state.hasSeenCheck, hasContext, faults });
    window.scrollTo(0, 0);
    focusOn(screens, faults.length > 0 ? "#faults" : "h1");
  }

  const listSpoken = () => listSpokenOf(data, getPlace().fields, state.answers);

  /** @param {string} name @param {boolean} [isHelp] in its place, the page that offers help */
  function goTo(name, isHelp = false) {
    if (name === data.check) state = { ...state, hasSeenCheck: true };
    place = { screen: name, step: place.step + 1, isHelp };
    history.pushState(place, "");
    ports.save(state);
    show();
  }

  /** Show the faults of the screen, if there are any. @param {boolean} isOn only what is too long blocks the way back */
  function isBlocked(isOn) {
    const faults = listFaults(data, getPlace(), state.answers).filter(({ kind }) => isOn || kind === "too_long");
    if (faults.length === 0) return false;
    // Help may stand over a screen that changed since: its faults are shown on the screen itself.
    if (place.isHelp) history.replaceState((place = { ...place, isHelp: false }), "");
    show(faults);
    return true;
  }

  /** @param {Pressed} pressed */
  function goOn(pressed) {
    take(pressed);
    if (isBlocked(true)) return;
    const screen = getPlace();
    if (!state.wasOfferedHelp && listSpoken().length > 0) {
      state = { ...state, wasOfferedHelp: true };
      held = pressed;
      return goTo(screen.name, true);
    }
    const { name: chosen } = place.isHelp ? held : pressed;
    state = { ...state, gonePast: [...new Set([...state.gonePast, screen.name])] };
    const isAsked = screen.fields.some(({ kind, name }) => kind === "more" && name === chosen);
    goTo(getFollowing(data, screen, state.answers, { ...state, isAsked }).name);
  }

  /** Ask for more, from the check page: its screens stand before it from now on. @param {Pressed} pressed */
  function askMore(pressed) {
    const before = listPath(data, state.answers);
    take(pressed);
    const added = listPath(data, state.answers).find((screen) => !before.includes(screen));
    if (added) goTo(added.name);
  }

  async function send() {
    const answers = keepOnPath(data, state.answers);
    const incomplete = findIncomplete(data, answers);
    if (!incomplete) return ports.send(answers);
    goTo(incomplete.name);
    isBlocked(true);
  }

  /** Show the first screen with a text that is too long, which the browser's own Back keeps; false if there is none. */
  function showTooLong() {
    const isTooLong = (/** @type {import("./journey.js").Fault} */ { kind }) => kind === "too_long";
    const screen = listPath(data, state.answers).find((one) => listFaults(data, one, state.answers).some(isTooLong));
    if (screen) goTo(screen.name);
    return Boolean(screen) && isBlocked(false);
  }

  /** @type {Record<string, () => void>} */
  const ACTIONS = {
    continue: () => goOn({ name: "", value: "" }),
    back: () => {
      take();
      if (!isBlocked(false)) goBack();
    },
    send: () => void send(),
    leave_out: () => {
      state = { ...state, isLeftOut: true };
      ports.save(state);
      show();
    },
  };

  function goBack() {
    ports.save(state);
    if (place.step > 0) history.back();
    else window.location.assign("/");
  }

  /** @param {Pressed} pressed */
  function press(pressed) {
    const { name, value } = pressed;
    if (name === "change") {
      const changed = data.screens.find((screen) => screen.path === value);
      if (changed) goTo(changed.name);
    } else if (name !== "action") (place.screen === data.check ? askMore : goOn)(pressed);
    else if (Object.hasOwn(ACTIONS, value)) ACTIONS[value]();
    else {
      take();
      ports.save(state);
      ports.lead(value);
    }
  }

  // The second half of a double tap would pick or press what the next screen has in the same place.
  main.addEventListener(
    "click",
    (event) => {
      if (event.detail < 2) return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );

  doc.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    const button = /** @type {HTMLButtonElement | null} */ (target.closest?.("button[name]"));
    if (button && !button.disabled && !ports.isOver()) press(button);
    else if (button?.value.startsWith("see:")) ports.lead(button.value);
  });

  onEnter(screens, () => {
    if (!ports.isOver()) ACTIONS.continue();
  });

  main.addEventListener("input", () => {
    if (ports.isOver()) return;
    take();
    ports.save(state);
  });

  window.addEventListener("popstate", (event) => {
    if (ports.isOver()) return window.location.replace("/");
    if (!event.state) return;
    take();
    ports.save(state);
    place = event.state;
    show();
  });

  if (place.step > 0 || known !== BLANK) show();
  else showScreen(screens, getPlace(), state.answers, ports.getExtra());
  return { showTooLong };
}
