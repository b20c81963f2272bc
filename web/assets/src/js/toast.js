// Short messages in the corner, and the one question dialog.
import { $, make } from "./dom.js";

export function toast(text, { refused = false, verb = "", act = null, stay = 0 } = {}) {
  const place = $("#toasts");
  if (!place) return;
  const box = make("div", { class: refused ? "toast refused" : "toast", role: refused ? "alert" : "status" }, make("p", {}, text));
  const close = () => box.remove();
  if (verb && act) box.append(make("button", { type: "button", class: "act", onclick: () => { close(); act(); } }, verb));
  if (refused) box.append(make("button", { type: "button", class: "act", onclick: close }, "Close"));
  while (place.children.length > 3) place.firstElementChild.remove();
  place.append(box);
  if (!refused) {
    let timer = setTimeout(close, stay || 6000);
    box.addEventListener("pointerenter", () => clearTimeout(timer));
    box.addEventListener("pointerleave", () => { timer = setTimeout(close, 2000); });
    box.addEventListener("focusin", () => clearTimeout(timer));
  }
}

// ask shows a question and resolves to the answer: true or false, or, when words are wanted, the words or false.
export function ask(question, verb = "Yes", { text = false } = {}) {
  return new Promise((done) => {
    const dialog = make("dialog", { class: "sheet ask", "aria-labelledby": "ask-words" });
    const answer = (yes) => { dialog.close(); dialog.remove(); done(yes); };
    const field = text ? make("textarea", { rows: "2", maxlength: "2000", required: true, autofocus: true, "aria-labelledby": "ask-words" }) : null;
    const agree = () => {
      const words = field?.value.trim();
      if (field && !words) field.focus();
      else answer(words ?? true);
    };
    dialog.append(...[
      make("p", { id: "ask-words" }, question),
      field,
      make("div", { class: "acts" },
        make("button", { type: "button", class: "act", autofocus: !text, onclick: () => answer(false) }, "Not now"),
        make("button", { type: "button", class: "act main", onclick: agree }, verb)),
    ].filter(Boolean));
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); answer(false); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export function startToasts() {
  document.addEventListener("tocsin:toast", (event) => toast(event.detail.text, { ...event.detail, stay: 60_000 }));
  // while nothing can be written a form stays as it is, with what was typed
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post" || event.target.id === "composer" || document.body.dataset.watch !== "true" || $("#read-only")?.dataset.on !== "true") return; // on a page that is not live the banner may be of the past
    event.preventDefault();
    event.stopImmediatePropagation();
    toast("Tocsin is read-only: nothing can be saved just now. What you typed stays here; send it when the banner is gone.", { refused: true });
  }, true);
  // forms that want to be asked about
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    const question = form.dataset?.ask;
    if (!question || form.dataset.asked) return;
    event.preventDefault();
    const verb = event.submitter?.textContent?.trim() || "Yes";
    if (await ask(question, verb)) {
      form.dataset.asked = "true";
      form.requestSubmit(event.submitter ?? undefined);
    }
  });
}
