// Two jobs, as a second file does not fit the first page's one round trip. Everything works without either.
// Leaving in a hurry: a second layer; the link /leave does the wiping.
(function () {
  "use strict";
  var taps = 0, last = 0;

  function go(event) {
    if (event) event.preventDefault();
    document.documentElement.className = "gone";
    document.title = "";
    Array.prototype.forEach.call(document.forms, function (form) {
      form.reset();
      Array.prototype.forEach.call(form.elements, function (part) {
        if (part.type === "checkbox" || part.type === "radio") part.checked = false;
        else if (part.type !== "submit") part.value = "";
      });
    });
    location.replace("/leave");
  }

  document.addEventListener("click", function (event) {
    var link = event.target.closest && event.target.closest("a[href='/leave']");
    if (link && !event.ctrlKey && !event.metaKey) go(event);
  });

  document.addEventListener("keyup", function (event) {
    if (event.key !== "Shift") { taps = 0; return; }
    var now = Date.now();
    taps = now - last < 1500 ? taps + 1 : 1;
    last = now;
    if (taps === 3) go();
  });

  // A page that comes back from the browser's memory must not show words to the next person: the blank start instead.
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) {
      document.documentElement.className = "gone";
      location.replace("/");
    }
  });

  // Without this script nothing listens to the keys, so nothing is said about them.
  var keys = document.getElementById("leave-keys");
  if (keys) keys.hidden = false;

  // The other job (WIRE.md 8.2): takes what a service sealed of its page out of the address, into the first page's form;
  // a page without that form, as one that says to wait, takes it out of the address all the same.
  // What is not spelled so is not carried: the one sign says that there was something.
  var note = document.getElementById("passed-on");
  function take() {
    var mark = location.hash, isContext = mark.slice(0, 8) === "#context";
    if (!isContext && (!note || !mark || mark === "#main")) return;
    history.replaceState(null, "", location.pathname + location.search);
    if (!note || !isContext) return;
    note.hidden = mark.length > 7109 || !/^#context=1\.[a-z0-9-]{1,64}\.[0-9a-f-]{36}\.[\w-]+$/.test(mark);
    document.getElementsByName("context")[0].value = note.hidden ? "-" : mark.slice(9);
  }
  take();
  window.addEventListener("hashchange", take);

  // Browsers that do not know `autofocus` on a list of faults.
  var faults = document.getElementById("faults");
  if (faults && !("autofocus" in faults)) faults.focus();
})();
