// Marks what is the viewer's: regions are the same for everybody, so this happens here.
import { $, $$, me } from "./dom.js";
import { onChange } from "./morph.js";

function rooms() {
  const held = new Set((document.body.dataset.rooms || "").split(" ").filter(Boolean));
  for (const role of $$("#roles .role")) {
    if ($$(".holder", role).some((h) => h.dataset.handle === me())) held.add(role.id.replace(/^role-/, ""));
  }
  return held;
}

function mark() {
  if (!me()) return;
  const held = rooms();
  let count = 0;
  for (const wait of $$("#waiting .wait")) {
    const people = (wait.dataset.for || "").split(" ").filter(Boolean);
    const roles = (wait.dataset.roles || "").split(" ").filter(Boolean);
    const mine = people.includes(me()) || roles.some((r) => held.has(r));
    wait.classList.toggle("mine", mine);
    if (mine) count++;
  }
  const place = $("[data-mine-count]");
  if (place) place.textContent = count ? `${count} for you` : "";
  for (const e of $$("[data-only]")) e.hidden = !e.dataset.only.split(" ").includes(me());
  for (const e of $$("[data-but]")) e.hidden = e.dataset.but.split(" ").includes(me());
  for (const e of $$("[data-handle]:is(.holder, .task)")) e.toggleAttribute("data-self", e.dataset.handle === me());
}

export function startMine() {
  mark();
  onChange((element) => {
    if (["waiting", "roles", "tasks", "paging", "main"].includes(element.id)) mark();
  });
}
