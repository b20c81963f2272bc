// Buttons that issue one command: pressed once, answered, undoable where there is an inverse.
import { me, post, uuid } from "./dom.js";
import { ask, toast } from "./toast.js";

function fill(value) {
  if (value === "@me") return me();
  if (Array.isArray(value)) return value.map(fill);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, fill(v)]));
  return value;
}

// undecided keeps the ids of commands of which nobody knows whether they were carried out: pressed again they are the
// same command, and done at most once.
const undecided = new Map();

export async function command(incident, name, args) {
  const body = { command: name, args: fill(args ?? {}) };
  const key = `${incident} ${JSON.stringify(body)}`;
  const id = undecided.get(key) ?? uuid();
  undecided.set(key, id);
  try {
    const value = await post(`/incidents/${incident}/commands`, { id, ...body });
    undecided.delete(key);
    return value;
  } catch (problem) {
    if (!problem.unanswered && problem.status < 500) undecided.delete(key);
    throw problem;
  }
}

async function press(button) {
  const incident = button.dataset.on || button.closest("[data-incident]")?.dataset.incident;
  if (!incident) return;
  let args = {};
  let undo = null;
  try {
    args = JSON.parse(button.dataset.args || "{}");
    undo = button.dataset.undo ? JSON.parse(button.dataset.undo) : null;
  } catch { return; }
  const label = button.getAttribute("aria-label") || button.textContent.trim();
  if (button.dataset.ask) {
    const said = await ask(button.dataset.ask, button.textContent.trim() || label, { text: !!button.dataset.need });
    if (!said) return;
    if (button.dataset.need) args[button.dataset.need] = said;
  }
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    await command(incident, button.dataset.command, args);
    if (undo) {
      toast(`${label}: done.`, {
        verb: undo.label || "Undo",
        act: async () => {
          try { await command(incident, undo.command, undo.args); } catch (problem) { toast(problem.message, { refused: true }); }
        },
      });
    }
  } catch (problem) {
    toast(problem.message, { refused: true });
  } finally {
    button.removeAttribute("aria-busy");
    button.disabled = false;
  }
}

export function startCommands() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-command]");
    if (button && !button.disabled && document.body.dataset.act === "true") press(button);
  });
}
