// Small comforts; every page works without this file.
"use strict";

// A form with typed words warns before its page is left without a button.
(() => {
  let isChanged = false;
  const form = document.querySelector("form.questions");
  if (!form) return;
  form.addEventListener("input", () => { isChanged = true; });
  form.addEventListener("submit", () => { isChanged = false; });
  addEventListener("beforeunload", event => { if (isChanged) event.preventDefault(); });
})();

// Faults are read out and reached first.
document.querySelector(".faults[tabindex]")?.focus();

// A question in a closed part opens with the link that leads to it.
if (location.hash) document.getElementById(location.hash.slice(1))?.closest("details")?.setAttribute("open", "");

// A second press of a button that sends is not a second report; the server sees to that, this only shows it.
for (const form of document.querySelectorAll("form"))
  form.addEventListener("submit", event => { setTimeout(() => event.submitter?.setAttribute("disabled", ""), 0); });
