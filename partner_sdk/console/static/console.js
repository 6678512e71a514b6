// Small comforts; every page works without this file.
"use strict";

// A page of a report is saved while a person types; a button waits for a save that is on its way. Words to the agency
// are not saved: leaving them without a button asks first.
(() => {
  const form = document.querySelector("form.questions, form.words-form");
  if (!form) return;
  const words = form.querySelector(".saved"), AFTER_MILLISECONDS = 1500;
  let isChanged = false, isStopped = words === null, timer = 0, saving = null;

  const save = async () => {
    isChanged = false;
    const fields = new URLSearchParams(new FormData(form));
    const answer = await fetch(form.action, {
      method: "POST", body: fields, headers: {Accept: "application/json"},
    }).catch(() => null);
    if (answer?.ok) {
      const {seen, faults} = await answer.json();
      form.elements.seen.value = seen;
      words.textContent = faults ? "Saved, but for answers that do not fit" : "Saved";
    } else {
      // Another window changed the page, or the console has ended: the button will show it, and the words stay here.
      isChanged = isStopped = true;
      words.textContent = "Not saved. Keep this page open, and press Save.";
    }
  };
  form.addEventListener("input", () => {
    isChanged = true;
    if (isStopped) return;
    words.textContent = "";
    clearTimeout(timer);
    timer = setTimeout(() => { saving = save().finally(() => { saving = null; }); }, AFTER_MILLISECONDS);
  });
  form.addEventListener("submit", event => {
    clearTimeout(timer);
    if (saving) {
      event.preventDefault();
      event.stopImmediatePropagation();
      saving.then(() => form.requestSubmit(event.submitter));
      return;
    }
    isChanged = false;
  });
  addEventListener("beforeunload", event => { if (isChanged) event.preventDefault(); });
})();

// Faults are read out and reached first.
document.querySelector(".faults[tabindex]")?.focus();

// A question in a closed part opens with the link that leads to it.
if (location.hash) document.getElementById(location.hash.slice(1))?.closest("details")?.setAttribute("open", "");

// A second press of a button that sends is not a second report; the server sees to that, this only shows it.
for (const form of document.querySelectorAll("form"))
  form.addEventListener("submit", event => { setTimeout(() => event.submitter?.setAttribute("disabled", ""), 0); });

// Files show how far their copy is; without this the plain form sends them.
(() => {
  const form = document.querySelector("form.upload");
  if (!form) return;
  form.addEventListener("submit", event => {
    if (!form.elements.file.files.length) return;
    event.preventDefault();
    const line = form.querySelector(".progress"), bar = line.querySelector("progress"), words = line.querySelector("span");
    const sending = new XMLHttpRequest();
    line.hidden = false;
    sending.upload.addEventListener("progress", step => {
      const percent = step.lengthComputable ? Math.floor(100 * step.loaded / step.total) : 0;
      bar.value = percent;
      words.textContent = percent < 100 ? `${percent} % copied` : "Copied; measuring it";
    });
    const fail = () => {
      words.textContent = "It was not copied. Choose it again.";
      for (const button of form.querySelectorAll("button")) button.disabled = false;
    };
    sending.addEventListener("error", fail);
    sending.addEventListener("load", () => {
      if (sending.status === 200) location.assign(JSON.parse(sending.responseText).location);
      else fail();
    });
    sending.open("POST", form.action);
    sending.setRequestHeader("Accept", "application/json");
    sending.setRequestHeader("X-Form-Token", form.elements.form_token.value);
    sending.send(new FormData(form));
  });
})();

// The page of a report on its way looks again by itself.
(() => {
  const page = document.querySelector("[data-progress]");
  if (!page) return;
  const EVERY_MILLISECONDS = 700;
  const look = async () => {
    const answer = await fetch(page.dataset.progress).catch(() => null);
    if (!answer || !answer.ok) return;
    const job = await answer.json();
    if (job.is_done || job.files.length !== page.querySelectorAll("li").length) return location.reload();
    page.querySelectorAll("li").forEach((row, place) => {
      const file = job.files[place];
      row.querySelector("progress").value = file.percent;
      row.lastElementChild.textContent = `${file.percent} % ${file.words}`;
    });
    setTimeout(look, EVERY_MILLISECONDS);
  };
  setTimeout(look, EVERY_MILLISECONDS);
})();

// A button that copies lines shows only where a script can copy.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const said = document.getElementById(`${button.dataset.copy}-copied`);
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      said.textContent = "Copied.";
    } catch { said.textContent = "This browser does not let a page copy: select the lines and copy them."; }
  });
}
