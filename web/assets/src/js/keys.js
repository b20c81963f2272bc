// Single keys. They can be switched off, and never work while somebody types.
import { $, $$, isField, make, recall, remember } from "./dom.js";
import { toggleZone } from "./clock.js";
import { step } from "./timeline.js";

const off = () => recall("keys") === "off";

const list = [
  ["Ctrl K", "go to a page or do something"],
  ["/", "write into the room, or search"],
  ["g b", "board"], ["g i", "incidents"], ["g q", "queue by cost"], ["g r", "triage"], ["g s", "signals"], ["g n", "on-call"], ["g w", "wall"],
  ["g c", "chains"], ["g e", "detectors"], ["g a", "wallets"], ["g l", "log"], ["g y", "escalation"], ["g m", "maintenance"], ["g d", "drills"], ["g u", "learning"],
  ["c", "declare an incident; in triage: claim the one under the hands"],
  ["h", "in triage: hand on the one under the hands"],
  ["j  k", "next and previous entry of the timeline, or incident in triage"],
  ["t", "switch between UTC and local time"],
  ["?", "this list"],
];

export function showKeys() {
  if ($("dialog.keys")) return;
  const box = make("input", { type: "checkbox", id: "keys-on" });
  box.checked = !off();
  box.addEventListener("change", () => remember("keys", box.checked ? "" : "off"));
  const dl = make("dl");
  for (const [key, does] of list) dl.append(make("dt", {}, ...key.split("  ").flatMap((k, i) => (i ? [" ", make("kbd", {}, k)] : [make("kbd", {}, k)]))), make("dd", {}, does));
  const dialog = make("dialog", { class: "sheet keys", "aria-labelledby": "keys-h" },
    make("h2", { id: "keys-h" }, "Keys"), dl,
    make("label", { for: "keys-on" }, box, "Single keys work (Ctrl K always does)"));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
}

export function startKeys() {
  if (document.body.dataset.page === "wall") return;
  let leader = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (off() || isField(event.target) || $("dialog[open]")) return;
    const key = event.key;
    if (leader && Date.now() - leader < 1500) {
      leader = 0;
      if (key === "w") { event.preventDefault(); location.assign("/wall"); return; }
      const link = $$(".nav a").find((a) => a.dataset.keys === `g ${key}`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    switch (key) {
      case "g": leader = Date.now(); break;
      case "/": {
        const field = $("#composer-line") ?? $('[data-keys="/"]');
        if (field) { event.preventDefault(); field.focus(); }
        break;
      }
      case "?": event.preventDefault(); showKeys(); break;
      case "j": if ($("#timeline")) { event.preventDefault(); step(1); } break;
      case "k": if ($("#timeline")) { event.preventDefault(); step(-1); } break;
      case "t": toggleZone(); break;
      case "c": if (document.body.dataset.act === "true" && $(".bar .nav")) location.assign("/incidents/new"); break;
    }
  });
}
