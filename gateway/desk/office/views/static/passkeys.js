// The desk's script for passkeys: asks the browser for a passkey, and hands its answer to the form as text.
// Never shows or keeps anything else. A form says by data-passkey whether a key is made ("create") or used ("get").
(function () {
  "use strict";

  var WORDS = {
    old: "This browser is too old for passkeys. Use a current Firefox, Chrome, Edge or Safari.",
    refused: "No passkey was used. Try again, and confirm on your device.",
    known: "This device is registered already. Use another one.",
    lost: "The desk did not answer. Check the connection and try again.",
    away: "The desk was locked, restarted, or has signed you out. Reload this page."
  };

  // By the form's own event, which desk.js hears: it asks nobody whether to leave a form that was sent.
  function send(form) {
    form.dataset.done = "yes";
    form.requestSubmit();
  }

  function say(form, text) {
    var line = form.querySelector("[data-said]");
    line.textContent = text;
    line.hidden = !text;
  }

  function explain(error) {
    if (error.name === "InvalidStateError") return WORDS.known;
    if (error instanceof DOMException) return WORDS.refused;
    return error.isOurs ? error.message : WORDS.lost;
  }

  function makeFault(text) {
    var error = new Error(text);
    error.isOurs = true;
    return error;
  }

  function post(url, body) {
    return fetch(url, { method: "POST", body: body, redirect: "error" }).then(function (answer) {
      // A page, e.g. the one that asks to sign in, stands in place of the answer.
      if (answer.headers.get("Content-Type") !== "application/json") throw makeFault(WORDS.away);
      return answer.json().then(function (found) {
        if (answer.ok) return found;
        throw makeFault(found.fault);
      });
    });
  }

  function ask(form) {
    return post(form.dataset.begin, new URLSearchParams({ csrf_token: form.elements.csrf_token.value }));
  }

  function use(form, options) {
    if (form.dataset.passkey === "create") {
      return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
    }
    return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  }

  // A page that was sent away for a step-up keeps its form beside: after the step-up that form is sent, byte for byte.
  function finish(form) {
    var held = document.getElementById("held");
    if (!held) { send(form); return undefined; }
    return post(form.action, new URLSearchParams(new FormData(form))).then(function () { send(held); });
  }

  document.addEventListener("submit", function (event) {
    var form = event.target, button = event.submitter;
    if (!form.dataset || !form.dataset.passkey || form.dataset.done) return;
    event.preventDefault();
    if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) {
      say(form, WORDS.old);
      return;
    }
    say(form, "");
    if (button) button.disabled = true;
    ask(form).then(function (found) {
      return use(form, found.options).then(function (answer) {
        form.elements.statement.value = found.statement;
        form.elements.answer.value = JSON.stringify(answer.toJSON());
        return finish(form);
      });
    }).catch(function (error) {
      say(form, explain(error));
    }).then(function () {
      if (button) button.disabled = false;
    });
  });
})();
