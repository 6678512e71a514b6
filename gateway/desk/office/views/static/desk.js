// Keys, the next row, and unsaved text at the desk. Every page works without this file. It writes into no storage: the
// desk's machine keeps nothing readable, so unsaved text is in this page's fields and nowhere else.
"use strict";

// Single keys can be switched off (WCAG 2.2, 2.1.4), and never act while somebody types or holds a modifier.
const hasKeys = !document.body.hasAttribute("data-no-keys");
const rows = () => [...document.querySelectorAll(".row-name > a")];

function isTyping(target) {
  return target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]") !== null;
}

function moveBy(step) {
  const all = rows();
  if (all.length === 0) return;
  const here = all.findIndex((one) => one === document.activeElement || one.hasAttribute("aria-current"));
  const place = here === -1 ? (step > 0 ? 0 : all.length - 1) : here + step;
  const next = all[Math.min(Math.max(place, 0), all.length - 1)];
  // Beside an open case, the next row is the next case; in the list alone it only gets the focus.
  if (document.querySelector(".panes.with-case") !== null) next.click();
  else next.focus();
}

function press(selector) {
  const found = [...document.querySelectorAll(selector)].find((one) => one.checkVisibility());
  if (found === undefined) return;
  if (found.matches("details")) {
    found.open = !found.open;
    found.querySelector("summary").focus();
  } else found.click();
}

function tick() {
  document.activeElement.closest(".row")?.querySelector("input[type=checkbox]")?.click();
}

function jump(headings) {
  const place = document.querySelector(headings)?.closest("section");
  if (!place) return;
  const field = place.querySelector("textarea, input:not([type=hidden]), select, button") || place;
  const folded = field.closest("details");
  if (folded !== null) folded.open = true;
  place.scrollIntoView({block: "start"});
  field.focus({preventScroll: true});
}

const KEYS = {
  j: () => moveBy(1),
  k: () => moveBy(-1),
  x: tick,
  n: () => press("[data-key=n]"),
  o: () => press("[data-key=o], [data-key=s]"),
  a: () => jump("#assessment-title, #close-title"),
  r: () => jump("#reply-title"),
  "?": () => press("[data-key=help]"),
};

document.addEventListener("keydown", (event) => {
  if (!hasKeys || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = KEYS[event.key];
  if (act === undefined || isTyping(event.target)) return;
  event.preventDefault();
  act();
});

// Unsaved text. A form of a case carries the changed fields of the other forms, so that a page that comes back with a
// preview or a fault shows them again. After a success the desk answers with a fresh page, so sending one form while
// another has text asks first, as leaving in any other way does. A button with `data-keeps` is always answered by the
// same page with every field, and never asks.
const changed = new Set(document.querySelectorAll("form[data-unsaved]"));
let isLeaving = false;
// Text that came back must not lie folded away.
for (const form of changed) form.closest("details")?.toggleAttribute("open", true);

document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (form !== null && form.method === "post") changed.add(form);
});
document.addEventListener("submit", (event) => {
  const isKept = event.submitter?.hasAttribute("data-keeps") ?? false;
  isLeaving = isKept || [...changed].every((form) => form === event.target);
  // A file that is downloaded leaves the page where it is.
  setTimeout(() => { isLeaving = false; }, 2000);
});
document.addEventListener("formdata", (event) => {
  // Not the filter, which would put the text into an address, and not signing out.
  if (event.target.method !== "post" || event.target.closest("main") === null) return;
  const own = new Set(event.formData.keys());
  for (const other of changed) {
    if (!other.isConnected) continue;
    // The page that comes back marks these forms (`form_to` of parts.html): their text is still unsaved there.
    event.formData.append("unsaved", other.getAttribute("action"));
    if (other === event.target) continue;
    // Read field by field: a FormData of the other form would start this event again.
    for (const field of other.elements) {
      const isPicked = !/^(checkbox|radio)$/.test(field.type) || field.checked;
      if (field.name && isPicked && !/^(hidden|submit|button)$/.test(field.type) && !own.has(field.name)) {
        event.formData.append(field.name, field.value);
      }
    }
  }
});
addEventListener("beforeunload", (event) => {
  if (!isLeaving && changed.size > 0) event.preventDefault();
});
