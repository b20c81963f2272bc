// The queue by cost: whose rows are whose, the filter, and its keys. The rows come from the server.
import { $, $$, isField, me, recall } from "./dom.js";
import { onChange } from "./morph.js";

const box = () => $("[data-queue]");
const shown = () => $$(".queue-row", box()).filter((row) => !row.hidden);

function mark() {
  const here = box();
  const show = here.dataset.show;
  const teams = (here.dataset.teams || "").split(" ").filter(Boolean);
  for (const row of $$(".queue-row", here)) {
    const mine = (row.dataset.mine || "").split(" ").includes(me());
    row.classList.toggle("mine", mine && me() !== "");
    const fits = { mine, team: teams.includes(row.dataset.team), unclaimed: row.dataset.claimed === "false" && row.dataset.signal === "false" };
    row.hidden = show !== "" && !fits[show];
  }
  const none = $("[data-queue-none]", here);
  if (none) none.hidden = show === "" || shown().length > 0;
}

function step(by) {
  const rows = shown();
  if (rows.length === 0) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by));
  const link = $(".queue-link", rows[next]);
  link.focus();
  rows[next].scrollIntoView({ block: "nearest" });
}

// press gives the command of the row that has the focus, or that the pointer is on.
function press(name) {
  const row = document.activeElement?.closest?.(".queue-row") ?? $(".queue-row:hover", box());
  const button = row && $(`button[data-command="${name}"]`, row);
  if (button) button.click();
  return Boolean(row);
}

export function startQueue() {
  if (!box()) return;
  mark();
  onChange((element) => { if (element.id === "queue" || element.id === "main") mark(); });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (recall("keys") === "off" || isField(event.target) || $("dialog[open]")) return;
    let taken = true;
    switch (event.key) {
      case "j": step(1); break;
      case "k": step(-1); break;
      case "c": taken = press("claim"); break;
      case "a": taken = press("acknowledge"); break;
      default: taken = false;
    }
    if (taken) { event.preventDefault(); event.stopImmediatePropagation(); }
  });
}
