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

// give carries out what a button asks for: a command of the incident, or what its address does.
const give = (incident, x) => (x.post ? post(x.post, {}) : command(incident, x.command, x.args));

// What was pressed is read at once: while somebody is asked or the answer is waited for, a frame may make another button of it.
async function press(button) {
  const { post: to, command: name, said: says, ask: question, need } = button.dataset;
  const incident = button.dataset.on || button.closest("[data-incident]")?.dataset.incident;
  if (!incident && !to) return;
  let args = {};
  let undo = null;
  try {
    args = JSON.parse(button.dataset.args || "{}");
    undo = button.dataset.undo ? JSON.parse(button.dataset.undo) : null;
  } catch { return; }
  const label = button.getAttribute("aria-label") || button.textContent.trim();
  if (question) {
    const said = await ask(question, button.textContent.trim() || label, { text: !!need });
    if (!said) return;
    if (need) args[need] = said;
  }
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    await give(incident, { post: to, command: name, args });
    const said = says || (undo ? `${label}: done.` : "");
    if (said) {
      toast(said, !undo ? {} : {
        verb: undo.label || "Undo",
        act: async () => {
          try { await give(incident, undo); } catch (problem) { toast(problem.message, { refused: true }); }
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
