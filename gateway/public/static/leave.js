// A second layer for leaving in a hurry. Everything works without it; the link /leave does the wiping.
// On the first page it also takes out of the address what a service has sealed of its page; without it that goes nowhere.
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

  // WIRE.md 8.2. What is not spelled so is not carried: the one sign says that there was something.
  var note = document.getElementById("passed-on");
  function take() {
    var mark = location.hash;
    if (!mark || mark === "#main") return;
    history.replaceState(null, "", location.pathname + location.search);
    if (mark.indexOf("#context")) return;
    note.hidden = mark.length > 7200 || !/^#context=1\.[a-z0-9-]{1,64}\.[0-9a-f-]{36}\.[\w-]+$/.test(mark);
    document.getElementsByName("context")[0].value = note.hidden ? "-" : mark.slice(9);
  }
  if (note) {
    take();
    window.addEventListener("hashchange", take);
  }

  // Browsers that do not know `autofocus` on a list of faults.
  var faults = document.getElementById("faults");
  if (faults && !("autofocus" in faults)) faults.focus();
})();
