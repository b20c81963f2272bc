// The wall: nobody touches it, so it looks after itself.
import { $, $$ } from "./dom.js";
import { onChange } from "./morph.js";

// note says how many chains are not shown because they are normal.
function note() {
  const place = $("[data-chains-note]");
  if (!place) return;
  const chains = $$("#chains .chain");
  const hidden = chains.filter((c) => c.offsetParent === null).length;
  place.textContent = hidden > 0 ? `${hidden} of ${chains.length} chains normal` : "";
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
  setInterval(drift, 60_000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) awake(); });
}
