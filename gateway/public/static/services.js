// The page for services alone. Without this script the lines to paste are selected and copied by hand.
(function () {
  "use strict";
  var lines = document.getElementById("lines"), button = document.getElementById("copy");
  if (lines && button) {
    var status = button.parentNode.querySelector("[role=status]");
    button.parentNode.hidden = false;
    button.addEventListener("click", function () {
      lines.select();
      // Not navigator.clipboard: it exists under https alone, and a person may be asked first. The selection stays, so
      // that where this is refused the keys copy it.
      status.textContent = document.execCommand("copy") ? status.getAttribute("data-done") : "";
    });
  }

  // A request that was begun below is posted along, so that the page with the lines still has its words.
  var asked = document.getElementById("snippet"), request = document.getElementById("answers");
  asked.addEventListener("submit", function (event) {
    var isBegun = Array.prototype.some.call(request.elements, function (part) {
      return part.checked || (/^(text|url|email|tel)/.test(part.type) && part.value);
    });
    if (!isBegun) return;
    var action = document.createElement("input");
    action.type = "hidden";
    action.name = "action";
    action.value = "lines";
    var query = "?" + new URLSearchParams(new FormData(asked));
    request.setAttribute("action", asked.getAttribute("action").replace("#", query + "#"));
    request.appendChild(action);
    event.preventDefault();
    request.submit();
  });
})();
