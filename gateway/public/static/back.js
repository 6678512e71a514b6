// While a page of the form is open, the phone's Back (swipe, key or button) does what the page's own Back does: it goes
// one screen back and keeps the text. The page gets a second entry in the history. Back removes that entry, and this
// script then presses the page's button. Without it, or from another site, Back shows the blank first page, which offers
// for a few minutes to carry on (docs/decisions/0018).
(function () {
  "use strict";
  var back = document.querySelector("main button[value=back], main button[value=return]");
  if (!back) return;

  function addEntry() {
    if (history.state !== "here") history.pushState("here", "");
  }

  // Back passes over entries that were added before the first touch or key of a page; Firefox then also passes over the
  // page itself. So the entry is added at that touch. Older browsers pass over nothing, and do not know it either.
  if (!navigator.userActivation) addEntry();
  ["keydown", "mousedown", "pointerup", "touchend"].forEach(function (touch) {
    window.addEventListener(touch, addEntry, true);
  });

  window.addEventListener("popstate", function () {
    // A link to a field, e.g. in the list of faults, has its own entry: Back from there stays on the page.
    if (history.state === "here" || location.hash) return;
    addEntry(); // for a second press before the next page comes
    back.click();
  });
})();
