// Notes that this computer keeps while the room is away: shown under the timeline until they stand in it.
import { $, make, meta, post } from "./dom.js";
import { paint, when } from "./clock.js";
import { announce } from "./announce.js";
import { onKept, onLive } from "./live.js";
import { changed, onChange } from "./morph.js";
import { toast } from "./toast.js";

const often = 2000;      // between two looks while something waits, ms
const longest = 10_000;  // a note that left is shown for that long, in case its entry never comes
const paths = {
  waiting: "M6 1a5 5 0 1 0 5 5M6 3v3l2 1.5",
  sent: "M2 6.5l3 3 5-7",
  refused: "M2.5 2.5l7 7M9.5 2.5l-7 7",
};
const words = { waiting: "queued", sent: "sent", refused: "not taken" };
const reasons = { waiting: "Kept on this computer. It is sent by itself, with this time, as soon as the room is back.", sent: "" };

function shape(state) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({ class: "late-shape", viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" })) svg.setAttribute(name, value);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", paths[state]);
  svg.append(path);
  return svg;
}

const written = (ms) => make("time", { datetime: new Date(ms).toISOString(), "data-t": ms, "data-as": "clock" }, when(ms).slice(-8));
const inTimeline = (id) => document.querySelector(`#timeline [data-command-id="${CSS.escape(id)}"]`);

// startOutbox answers with the way to hand over a line that was queued just now.
export function startOutbox(number, pending) {
  if (!pending || meta("desk") !== "joined") return (node) => node.remove();
  const shown = new Map(); // id -> {node, state}
  let timer = 0;
  let reading = false;

  const drop = (id) => { shown.get(id)?.node.remove(); shown.delete(id); };

  function draw(item) {
    const had = shown.get(item.id);
    if (had && had.state === item.state) return;
    const node = had?.node ?? $(`[data-command-id="${CSS.escape(item.id)}"]`, pending) ?? make("li", {}); // the composer may be at it still
    node.className = "entry said queued";
    node.dataset.commandId = item.id;
    node.dataset.state = item.state;
    node.replaceChildren(
      make("span", { class: "entry-time" }, written(item.written_at)),
      make("div", { class: "entry-body" },
        make("p", { class: "entry-who" }, shape(item.state), make("b", {}, words[item.state]), day(item.written_at)),
        make("p", { class: "entry-text" }, item.line),
        make("p", { class: "entry-reason" }, item.reason || reasons[item.state])));
    if (item.state === "refused") {
      node.append(make("div", { class: "acts" },
        make("button", { type: "button", class: "act", "data-copy": item.line }, "Copy"),
        make("button", { type: "button", class: "act", onclick: () => discard(item.id) }, "Discard")));
    }
    paint(node);
    if (!node.isConnected) pending.append(node);
    shown.set(item.id, { node, state: item.state, item, from: had?.from ?? performance.now() });
    changed(node, "queue"); // the timeline keeps its end in view
  }

  // day is there when the note is not of today.
  function day(ms) {
    const text = when(ms).slice(0, -8).trim();
    return text ? make("span", { class: "entry-role" }, `written ${text}`) : null;
  }

  async function discard(id) {
    try {
      await post(`/.desk/outbox/${encodeURIComponent(id)}/discard`, {});
      drop(id);
      announce("Discarded");
      $("#composer-line")?.focus();
    } catch (problem) { toast(problem.message, { refused: true }); }
    read();
  }

  async function read() {
    clearTimeout(timer);
    if (reading) return;
    reading = true;
    const began = performance.now();
    try {
      const answer = await fetch(`/.desk/outbox?incident=${number}`, { credentials: "same-origin", headers: { Accept: "application/json" }, cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const { items = [] } = await answer.json();
      const there = new Set(items.map((item) => item.id));
      for (const item of items) {
        if (inTimeline(item.id)) drop(item.id); // it arrived, and its answer was lost
        else draw(item);
      }
      const nodes = items.map((item) => shown.get(item.id)?.node).filter(Boolean);
      const have = [...pending.children].filter((node) => nodes.includes(node));
      if (nodes.some((node, i) => node !== have[i])) pending.prepend(...nodes); // what the composer is still at was written later
      for (const [id, { state, item, from }] of shown) {
        if (there.has(id) || state === "sent" || from > began) continue;
        if (state === "refused" || inTimeline(id)) { drop(id); continue; }
        draw({ ...item, state: "sent" });
        setTimeout(() => drop(id), longest);
      }
    } catch { /* asked again below, or at the next word of the room */ }
    reading = false;
    if ([...shown.values()].some(({ state }) => state === "waiting")) timer = setTimeout(read, often);
  }

  onChange(() => { for (const id of [...shown.keys()]) if (inTimeline(id)) drop(id); });
  onKept(read);
  onLive(read);
  read();

  return (node, id, line, at) => {
    shown.set(id, { node, state: "", from: performance.now() });
    draw({ id, line, written_at: at, state: "waiting" });
    node.scrollIntoView({ block: "nearest" });
    announce("Queued. It is sent as soon as the room is back.");
    clearTimeout(timer);
    timer = setTimeout(read, often);
  };
}
