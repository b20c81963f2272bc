// Ctrl-K: every page and every command, found by a few letters.
import { $, $$, make } from "./dom.js";
import { toggleZone } from "./clock.js";
import { showKeys } from "./keys.js";

// score is how well the letters fit, higher is better; 0 does not fit.
export function score(text, letters) {
  const t = text.toLowerCase();
  const q = letters.toLowerCase().trim();
  if (!q) return 1;
  const whole = t.indexOf(q);
  if (whole === 0) return 1000 - t.length;
  if (whole > 0) return (/\W/.test(t[whole - 1]) ? 800 : 500) - whole;
  let from = 0;
  let points = 300;
  for (const letter of q) {
    if (letter === " ") continue;
    const at = t.indexOf(letter, from);
    if (at < 0) return 0;
    points -= at - from;
    from = at + 1;
  }
  return Math.max(points, 1);
}

function gather() {
  const all = [];
  for (const a of $$(".nav a")) all.push({ text: a.firstChild.textContent.trim(), hint: a.dataset.keys, run: () => a.click() });
  all.push({ text: "Wall", hint: "g w", run: () => location.assign("/wall") });
  all.push({ text: "Public status page", run: () => location.assign("/status") });
  if (document.body.dataset.act === "true") all.push({ text: "Declare incident", hint: "c", run: () => location.assign("/incidents/new") });
  all.push({ text: "My account", run: () => location.assign("/me") });
  all.push({ text: "Switch between UTC and local time", hint: "t", run: toggleZone });
  all.push({ text: "Show all keys", hint: "?", run: showKeys });
  for (const a of $$("#board-incidents .row-link")) all.push({ text: $(".row-title", a).textContent.trim(), small: "incident", run: () => a.click() });
  const grammar = $("#grammar");
  if (grammar && $("#composer")?.offsetParent) {
    for (const li of $$("li", grammar.content)) {
      all.push({ text: li.dataset.name, small: li.textContent.trim(), run: () => document.dispatchEvent(new CustomEvent("tocsin:compose", { detail: `${li.dataset.name} ` })) });
    }
    for (const person of $$("#people option")) {
      all.push({ text: `/role commander @${person.value}`, small: person.textContent, run: () => document.dispatchEvent(new CustomEvent("tocsin:compose", { detail: `/role commander @${person.value}` })) });
    }
  }
  return all;
}

let dialog = null;

export function openPalette() {
  if (dialog?.open) return;
  const all = gather();
  const field = make("input", { type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-autocomplete": "list", "aria-label": "Go to a page or do something", placeholder: "Go to a page or do something", autocomplete: "off", spellcheck: "false" });
  const list = make("ul", { id: "palette-list", role: "listbox", "aria-label": "Found" });
  dialog = make("dialog", { class: "sheet palette", "aria-label": "Go to or do" }, field, list);
  let found = [];
  let at = 0;
  const close = () => { dialog.close(); dialog.remove(); };
  const run = (i) => { const item = found[i]; if (!item) return; close(); item.run(); };
  const choose = (i) => {
    at = i;
    [...list.children].forEach((li, n) => li.setAttribute("aria-selected", String(n === i)));
    if (list.children[i]?.id) field.setAttribute("aria-activedescendant", list.children[i].id);
    list.children[i]?.scrollIntoView({ block: "nearest" });
  };
  const draw = () => {
    found = all.map((item) => ({ ...item, points: score(`${item.text} ${item.small ?? ""}`, field.value) }))
      .filter((item) => item.points > 0);
    if (field.value.trim()) found.sort((a, b) => b.points - a.points);
    found = found.slice(0, 40);
    list.replaceChildren(...found.map((item, i) => make("li", { id: `palette-${i}`, role: "option", "aria-selected": "false", onclick: () => run(i), onpointermove: () => { if (at !== i) choose(i); } },
      make("span", {}, item.text, item.small ? make("small", {}, item.small) : null), item.hint ? make("kbd", {}, item.hint) : null)));
    if (found.length === 0) list.append(make("li", { class: "empty", role: "option", "aria-selected": "false", "aria-disabled": "true" }, "Nothing of that name."));
    choose(0);
  };
  field.addEventListener("input", draw);
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); choose(Math.min(at + 1, found.length - 1)); }
    else if (event.key === "ArrowUp") { event.preventDefault(); choose(Math.max(at - 1, 0)); }
    else if (event.key === "Enter") { event.preventDefault(); run(at); }
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  draw();
  dialog.showModal();
  field.focus();
}

export function startPalette() {
  if (document.body.dataset.page === "wall" || !$("[data-palette]")) return;
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") { event.preventDefault(); openPalette(); }
  });
  document.addEventListener("click", (event) => { if (event.target.closest("[data-palette]")) openPalette(); });
}
