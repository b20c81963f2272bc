// One clock ticks; every age, elapsed time and countdown on the page follows it.
import { $, $$, meta, recall, remember } from "./dom.js";

const thin = "\u202f";
let offset = 0; // server time minus this machine's time, ms
let best = -Infinity;
let local = recall("time") === "local";

export const now = () => Date.now() + offset;

// heard corrects the clock by a time the server just sent; the message that travelled fastest wins.
export function heard(at) {
  if (!Number.isFinite(at) || at <= 0) return;
  const seen = at - Date.now();
  best = Math.max(best - 5, seen);
  offset = best;
}

const two = (n) => String(n).padStart(2, "0");

export function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s}${thin}s`;
  if (s < 3600) return `${Math.floor(s / 60)}${thin}m`;
  if (s < 86400) {
    const m = Math.floor((s % 3600) / 60);
    return `${Math.floor(s / 3600)}${thin}h${m ? ` ${m}${thin}m` : ""}`;
  }
  const h = Math.floor((s % 86400) / 3600);
  return `${Math.floor(s / 86400)}${thin}d${h ? ` ${h}${thin}h` : ""}`;
}

export function clockSpan(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const t = `${two(Math.floor((s % 86400) / 3600))}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
  const d = Math.floor(s / 86400);
  return d ? `${d}${thin}d ${t}` : t;
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
function parts(t, asLocal) {
  const d = new Date(t);
  return asLocal
    ? { day: d.getDate(), month: months[d.getMonth()], year: d.getFullYear(), h: d.getHours(), m: d.getMinutes(), s: d.getSeconds() }
    : { day: d.getUTCDate(), month: months[d.getUTCMonth()], year: d.getUTCFullYear(), h: d.getUTCHours(), m: d.getUTCMinutes(), s: d.getUTCSeconds() };
}
export function hms(t, asLocal = local) {
  const p = parts(t, asLocal);
  return `${two(p.h)}:${two(p.m)}:${two(p.s)}`;
}
function stamp(t, asLocal, seconds) {
  const p = parts(t, asLocal);
  return `${p.day} ${p.month} ${two(p.h)}:${two(p.m)}${seconds ? `:${two(p.s)}` : ""}`;
}
// when is the time of day, with the day when it is not today.
export function when(t) {
  const [a, b] = [parts(t, local), parts(now(), local)];
  return a.day === b.day && a.month === b.month && a.year === b.year ? hms(t) : stamp(t, local, true);
}
function zone(t) {
  const minutes = -new Date(t).getTimezoneOffset();
  const sign = minutes < 0 ? "−" : "+";
  const a = Math.abs(minutes);
  return `UTC${sign}${two(Math.floor(a / 60))}:${two(a % 60)}`;
}

const running = "time[data-as=age],time[data-as=elapsed],time[data-as=elapsed-clock],time[data-as=due]";
const standing = "time[data-as=clock],time[data-as=minute],time[data-as=stamp],time[data-as=stamp-seconds]";

function write(element, text) {
  if (element.firstChild?.nodeType === Node.TEXT_NODE && element.childNodes.length === 1) {
    if (element.firstChild.data !== text) element.firstChild.data = text;
  } else element.textContent = text;
}

function mark(element, name, value) {
  if (value === null) { if (element.hasAttribute(name)) element.removeAttribute(name); }
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// tick repaints everything that runs, inside root.
export function tick(root = document) {
  const t = now();
  for (const element of $$(running, root)) {
    const then = Number(element.dataset.t);
    switch (element.dataset.as) {
      case "age": {
        write(element, span(t - then));
        const stale = Number(element.dataset.stale);
        const old = stale > 0 && t - then > stale ? "true" : null;
        mark(element, "data-old", old);
        const holder = element.closest("[data-fresh]");
        if (holder) mark(holder, "data-old", old);
        break;
      }
      case "elapsed": write(element, span(t - then)); break;
      case "elapsed-clock": write(element, clockSpan(t - then)); break;
      case "due": {
        const left = then - t;
        write(element, left >= 0 ? `in ${span(left)}` : `OVERDUE ${span(-left)}`);
        mark(element, "data-state", left < 0 ? "over" : left < 5 * 60_000 ? "soon" : null);
        break;
      }
    }
  }
  for (const bar of $$("progress[data-t]", root)) {
    const length = Number(bar.dataset.span);
    if (length > 0) bar.value = Math.max(0, Math.min(1000, Math.round((1000 * (Number(bar.dataset.t) - t)) / length)));
  }
}

// paint is for new content: what runs, and local time when that was chosen.
export function paint(root = document) {
  tick(root);
  if (local) stand(root);
}

function stand(root = document) {
  for (const element of $$(standing, root)) {
    const t = Number(element.dataset.t);
    if (element.dataset.as === "clock") write(element, hms(t));
    else if (element.dataset.as === "minute") write(element, hms(t).slice(0, 5));
    else write(element, stamp(t, local, element.dataset.as === "stamp-seconds"));
  }
}

export function toggleZone() {
  local = !local;
  remember("time", local ? "local" : "");
  stand();
  head();
}

function head() {
  const t = now();
  for (const place of $$("[data-now]")) {
    write($("time", place), hms(t));
    const z = $("[data-zone]", place);
    if (z) write(z, local ? zone(t) : "UTC");
  }
}

export function startClock() {
  heard(Number(meta("now")));
  best -= 2000; // the page took a while to come; the first live message corrects it
  paint();
  head();
  const beat = () => {
    head();
    tick();
    setTimeout(beat, 1000 - (now() % 1000) + 5);
  };
  setTimeout(beat, 1000 - (now() % 1000) + 5);
  document.addEventListener("visibilitychange", () => { head(); tick(); });
  document.addEventListener("click", (event) => {
    if (event.target.closest("button[data-now]")) toggleZone();
  });
  // the other zone, and the whole date, when somebody points at a time
  document.addEventListener("pointerover", (event) => {
    const element = event.target.closest?.("time[data-t]");
    if (!element || element.title) return;
    const t = Number(element.dataset.t);
    const p = parts(t, false);
    element.title = `${p.day} ${p.month} ${p.year} ${hms(t, false)} UTC\n${stamp(t, true, true)} here (${zone(t)})`;
  });
}
