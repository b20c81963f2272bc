// The navigation; the form that adds a chain: the address is tested in place.
import { $, $$, make, post } from "./dom.js";

function show(place, t) {
  place.dataset.result = t.ok ? "ok" : "bad";
  const facts = [["chain", t.chain], ["chain id", t.chain_id], ["client", t.client], ["head", t.head >= 0 ? t.head : ""]]
    .filter(([, v]) => v !== undefined && v !== null && v !== "");
  place.replaceChildren(make("p", { class: "test-says" }, t.says || ""));
  if (t.ok) place.append(make("dl", { class: "facts" }, ...facts.map(([k, v]) => make("div", {}, make("dt", {}, k), make("dd", {}, String(v))))));
}

// The groups of the navigation close when somebody goes elsewhere.
function startNav() {
  const shut = (but) => { for (const d of $$(".nav-group[open]")) if (d !== but) d.open = false; };
  document.addEventListener("click", (event) => shut(event.target.closest?.(".nav-group")));
  document.addEventListener("focusin", (event) => shut(event.target.closest?.(".nav-group")));
  document.addEventListener("keydown", (event) => {
    const group = event.key === "Escape" && event.target.closest?.(".nav-group[open]");
    if (group) { group.open = false; $("summary", group).focus(); }
  });
}

export function startHouse() {
  startNav();
  const form = $("[data-chain-form]");
  if (form) {
    const place = $("#chain-test");
    const button = $("[data-chain-test]", form);
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      const urls = $$('input[name="url"]', form).map((i) => i.value.trim()).filter(Boolean);
      if (urls.length === 0) { $('input[name="url"]', form).focus(); return; }
      button.disabled = true;
      place.dataset.result = "busy";
      place.replaceChildren(make("p", { class: "test-says" }, "Asking the node …"));
      try {
        const answer = await post("/chains/test", { urls });
        show(place, answer);
        const name = $('input[name="name"]', form);
        if (answer.ok && name.value === "") name.placeholder = answer.chain;
      } catch (problem) {
        show(place, { ok: false, says: problem.message });
      } finally {
        button.disabled = false;
      }
    });
  }
}
