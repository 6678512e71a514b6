// Three jobs, because a second file would not fit the first page's single round trip. Everything works without them.
// Leaving in a hurry: an extra layer; the link /leave does the wiping.
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
    // The form on the phone may be open in another tab.
    new BroadcastChannel("form").postMessage("gone");
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

  // A page restored from the browser's memory must not show text to the next person: go to the blank start.
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) {
      document.documentElement.className = "gone";
      location.replace("/");
    }
  });

  // Hints about the keys are hidden without this script.
  Array.prototype.forEach.call(document.querySelectorAll(".keys"), function (keys) { keys.hidden = false; });

  // The second job (WIRE.md 8.2): move a service's sealed page context from the address into the first page's form.
  // A page without that form, e.g. a wait page, only removes it. A malformed context is replaced with "-".
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

  // The third job: Start leads to the form on the phone if this browser can sign. A visit that could not begin comes
  // back with "plain", and Start is pressed here, once.
  var form = document.querySelector("form[data-phone]");
  var able = form && window.isSecureContext && crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])
    .then(Boolean, function () {});
  document.addEventListener("click", function (event) {
    var button = event.target.closest("button[value=start]");
    if (!button || !able) return;
    event.preventDefault();
    able.then(function (isAble) {
      able = isAble && able;
      // Chromium ignores click() while it handles a click from the keyboard.
      if (!able) return setTimeout(function () { button.click(); });
      sessionStorage.start = "new";
      var token = form.elements.context.value;
      location.href = (document.documentElement.lang === "cy" ? "/cy/form" : "/form") +
        (token && !form.elements.leave_out.checked ? "#context=" + token : "");
    });
  });
  try {
    if (sessionStorage.start === "plain") {
      sessionStorage.removeItem("start");
      able = false;
      if (form) document.querySelector("button[value=start]").click();
    }
  } catch (ignored) {
    // Without storage a reload would lose what is typed there.
    able = false;
  }

  // The form on the phone takes its hidden screens away at once. If its script never ran, the plain way begins.
  window.addEventListener("load", function () {
    if (!document.querySelector("main section[hidden]")) return;
    sessionStorage.start = "plain";
    location.replace("/");
  });

  // For browsers without `autofocus` on a list of faults.
  var faults = document.getElementById("faults");
  if (faults && !("autofocus" in faults)) faults.focus();
})();
