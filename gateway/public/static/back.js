// The phone's Back (swipe, key, button) does what the page's own Back does, while the page is alive: the words are kept
// and go one screen back. A second entry in the history is what Back takes away; this script then presses the button.
// Without this script, and from another site, Back shows the blank first page (docs/decisions/0018).
(function () {
  "use strict";
  var back = document.querySelector("main button[value=back], main button[value=return]");
  if (!back) return;

  function addEntry() {
    if (history.state !== "here") history.pushState("here", "");
  }

  addEntry();
  window.addEventListener("popstate", function () {
    // A link to a field, as in the list of faults, has an address of its own: Back from there stays on the page.
    if (history.state === "here" || location.hash) return;
    addEntry(); // a second press while the first is under way
    back.click();
  });
})();
