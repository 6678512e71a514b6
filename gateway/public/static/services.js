// The page for services alone: Copy, beside the lines to paste. Without this script they are selected and copied by hand.
(function () {
  "use strict";
  var lines = document.getElementById("lines"), button = document.getElementById("copy");
  if (!lines || !button) return;
  var status = button.parentNode.querySelector("[role=status]");
  button.parentNode.hidden = false;
  button.addEventListener("click", function () {
    lines.select();
    // Not navigator.clipboard: it exists under https alone, and a person may be asked first. The selection stays, so that
    // where this is refused the keys copy it.
    status.textContent = document.execCommand("copy") ? status.getAttribute("data-done") : "";
  });
})();
