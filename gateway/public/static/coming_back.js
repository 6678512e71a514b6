// Leads on to the document that keeps the number and the words in the browser (phone/returning.js), unless it failed here.
if ("Worker" in window && window.isSecureContext && location.hash !== "#plain")
  location.replace((document.documentElement.lang === "cy" ? "/cy/form" : "/form") + "#16");
