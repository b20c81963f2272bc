// Triage: the incident under the hands is claimed with c and handed on with h; j and k go to the next and the one before.
import { $, $$, isField, make, recall } from "./dom.js";

const items = () => $$("#queues .item");
const under = () => document.activeElement?.closest?.("#queues .item");

function go(by) {
  const all = items();
  const at = all.indexOf(under());
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

// hand opens the form that the page brought for it; without scripts the link leads to the same form.
function hand(number) {
  const template = $("#hand-on");
  if (!template || $("dialog[open]")) return;
  const before = document.activeElement;
  const title = $(`#item-${number} .item-title`)?.textContent.trim() ?? "";
  const dialog = make("dialog", { class: "sheet ask", "aria-labelledby": "hand-on-h" }, make("h2", { id: "hand-on-h" }, `Hand on #${number} ${title}`), template.content.cloneNode(true));
  const form = $("form", dialog);
  form.action = `/queues/${number}/hand-on`;
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) { event.preventDefault(); dialog.close(); }
  });
  dialog.addEventListener("close", () => { dialog.remove(); before?.focus?.(); });
  document.body.append(dialog);
  dialog.showModal();
  $("select", dialog)?.focus();
}

export function startQueues() {
  if (document.body.dataset.page !== "queues") return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-hand]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    hand(link.dataset.hand);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (recall("keys") === "off" || isField(event.target) || $("dialog[open]")) return;
    if (event.key === "j") { event.preventDefault(); go(1); }
    else if (event.key === "k") { event.preventDefault(); go(-1); }
    else if (document.body.dataset.act === "true" && under()) {
      if (event.key === "c") { event.preventDefault(); event.stopImmediatePropagation(); $("[data-claim]", under())?.click(); }
      else if (event.key === "h") { event.preventDefault(); hand(under().dataset.incident); }
    }
  }, true);
  $("#pick, #hand")?.focus?.();
}
