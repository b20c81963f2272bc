// Copies hashes, keys and snippets whole.
import { make } from "./dom.js";
import { announce } from "./announce.js";

async function put(text) {
  if (navigator.clipboard?.writeText) {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* plain http: the old way */ }
  }
  const area = make("textarea", { class: "away", readonly: true, "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

export function startCopy() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    if (await put(button.dataset.copy)) {
      button.classList.add("copied");
      announce("Copied");
      setTimeout(() => button.classList.remove("copied"), 1600);
    }
  });
}
