// The wall: nobody touches it, so it looks after itself.
import { $, $$ } from "./dom.js";
import { onChange } from "./morph.js";

// note says what is not on the screen: chains folded away because they are normal, and those for which there is no room.
function note() {
  const place = $("[data-chains-note]");
  const list = $("#chains");
  if (!place || !list) return;
  const chains = $$(".chain", list);
  const edge = list.getBoundingClientRect().right - 1;
  const away = chains.filter((c) => c.offsetParent === null || c.getBoundingClientRect().left >= edge);
  const normal = away.filter((c) => c.dataset.state === "normal").length;
  const words = [];
  if (normal) words.push(`${normal} of ${chains.length} chains normal`);
  if (away.length > normal) words.push(`${away.length - normal} more are not`);
  const text = words.join(", ");
  if (place.textContent !== text) place.textContent = text;
}

// drift moves the whole picture by a few pixels over hours, against burn-in.
function drift() {
  const main = $("#main");
  const t = Date.now() / 3600_000;
  main.style.transform = `translate(${Math.round(3 * Math.sin(t))}px, ${Math.round(3 * Math.cos(t * 0.7))}px)`;
}

async function awake() {
  try { await navigator.wakeLock?.request("screen"); } catch { /* not offered */ }
}

export function startWall() {
  if (document.body.dataset.page !== "wall") return;
  note();
  drift();
  awake();
  onChange(note);
  addEventListener("resize", note);
  document.fonts?.ready.then(note);
  setInterval(drift, 60_000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) awake(); });
}
