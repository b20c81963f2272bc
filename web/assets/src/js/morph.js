// Puts pushed HTML into the page without touching what somebody has under their hands.
import { Idiomorph } from "idiomorph/dist/idiomorph.esm.js";
import { $, isField } from "./dom.js";

const listeners = [];
// onChange is told the element that changed, after every change.
export const onChange = (f) => listeners.push(f);
export function changed(element, how) { for (const f of listeners) f(element, how); }

const typing = (node) =>
  node instanceof HTMLElement && isField(node) && (node === document.activeElement || node.dataset.dirty !== undefined);

const holdsTyping = (node) => {
  if (!(node instanceof HTMLElement)) return false;
  if (typing(node)) return true;
  return Boolean($("[data-dirty]", node)) || (node.contains(document.activeElement) && isField(document.activeElement));
};

// While a pointer is down in a region, that region waits: a button must not change between press and release.
let pressed = null;
const waiting = new Map();

function release() {
  if (!pressed) return;
  pressed = null;
  const held = [...waiting.values()];
  waiting.clear();
  setTimeout(() => { for (const run of held) run(); }, 0);
}

export function startMorph() {
  for (const name of ["pointermove", "pointerdown", "keydown"]) document.addEventListener(name, () => { stirred = performance.now(); }, { capture: true, passive: true });
  setInterval(settle, 1000);
  document.addEventListener("pointerdown", (event) => { pressed = event.target; }, true);
  for (const name of ["pointerup", "pointercancel", "dragend"]) document.addEventListener(name, release, true);
  document.addEventListener("input", (event) => { if (isField(event.target)) event.target.dataset.dirty = ""; }, true);
  document.addEventListener("reset", (event) => {
    for (const field of event.target.elements) delete field.dataset.dirty;
  }, true);
}

let arriving = false;
const callbacks = {
  beforeNodeMorphed(old, fresh) {
    if (!(old instanceof Element)) return true;
    if (typing(old)) return false;
    if (old.hasAttribute("data-keep") && fresh.hasAttribute?.("data-keep")) return false;
    return true;
  },
  beforeAttributeUpdated(name, node, kind) {
    // an open <details> stays as its reader left it
    return !(name === "open" && node.localName === "details");
  },
  beforeNodeRemoved: (node) => !holdsTyping(node),
  afterNodeAdded(node) {
    if (arriving && node instanceof HTMLElement) {
      node.classList.add("arriving");
      node.addEventListener("animationend", () => node.classList.remove("arriving"), { once: true });
    }
  },
};

function run(element, html, style) {
  arriving = true;
  const done = Idiomorph.morph(element, html, { morphStyle: style, restoreFocus: true, callbacks });
  arriving = false;
  const node = style === "innerHTML" ? element : (document.getElementById(element.id) ?? done?.[0] ?? element);
  changed(node, "morph");
}

// A list marked data-steady="<its rows>" keeps its order while somebody is at it with pointer or keyboard: what the rows say is brought up to date,
// rows that are gone go, new ones come last. It takes its right order when they leave, or have not moved for a while.
const patience = 30_000;
let stirred = 0;
const steadyHTML = new Map();

const attended = (element) => performance.now() - stirred < patience && (element.matches(":hover") || element.contains(document.activeElement));

function steady(element, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const fresh = template.content.firstElementChild;
  const rows = element.dataset.steady;
  const old = [...element.querySelectorAll(rows)].map((row) => row.id);
  const next = fresh ? [...fresh.querySelectorAll(rows)] : [];
  const kept = next.filter((row) => old.includes(row.id));
  const ordered = kept.slice().sort((a, b) => old.indexOf(a.id) - old.indexOf(b.id));
  if (kept.length === 0 || (ordered.every((row, i) => row === kept[i]) && next.slice(0, kept.length).every((row, i) => row === kept[i]))) return html;
  const list = next[0].parentElement;
  list.prepend(...ordered);
  fresh.dataset.held = "true";
  steadyHTML.set(element.id, html);
  return fresh.outerHTML;
}

function settle() {
  for (const [id, html] of steadyHTML) {
    const element = document.getElementById(id);
    if (element && attended(element)) continue;
    steadyHTML.delete(id);
    if (element) morph(element, html);
  }
}

// morph replaces one element by html; it waits while a pointer is pressed inside.
export function morph(element, html) {
  if (element.dataset.steady) {
    steadyHTML.delete(element.id);
    if (attended(element)) html = steady(element, html);
  }
  if (pressed && element.contains(pressed)) {
    waiting.set(element.id, () => {
      const again = document.getElementById(element.id);
      if (again) run(again, html, "outerHTML");
    });
    return;
  }
  waiting.delete(element.id);
  run(element, html, "outerHTML");
}

// morphMain brings the whole page up to date from a freshly fetched one.
export function morphMain(fresh) {
  run($("#main"), fresh.innerHTML, "innerHTML");
}

// insert puts an entry into its list, in the order of data-offset; an entry that is there is morphed.
// Of place "there" are entries older than the page may show: they are only morphed.
export function insert(list, key, html, place) {
  const there = document.getElementById(key);
  if (there) { morph(there, html); return; }
  if (place === "there") return;
  const template = document.createElement("template");
  template.innerHTML = html;
  const node = template.content.firstElementChild;
  if (!node) return;
  node.classList.add("arriving");
  node.addEventListener("animationend", () => node.classList.remove("arriving"), { once: true });
  const order = Number(node.dataset.offset);
  if (Number.isFinite(order) && node.dataset.offset !== undefined) {
    let before = null;
    for (let other = list.lastElementChild; other; other = other.previousElementSibling) {
      if (Number(other.dataset.offset) < order) break;
      before = other;
    }
    list.insertBefore(node, before);
  } else if (place === "start") list.prepend(node);
  else list.append(node);
  changed(node, "insert");
}
