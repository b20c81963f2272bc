// The timeline: days, filters, following the newest entry, j and k.
import { $, $$, make } from "./dom.js";
import { onChange } from "./morph.js";

const shortest = 4; // fewer in a row are not worth folding
const keepOpen = 2; // of the newest entries: what just came is read, not counted

export function startTimeline() {
  const list = () => $("#timeline");
  if (!list()) return;
  const scroll = $("[data-follow]");
  const newer = $("[data-newer]");
  let follow = true;
  let show = "all";

  const wide = () => matchMedia("(min-width: 1000px)").matches;
  const atEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
  const toEnd = () => { if (wide()) scroll.scrollTop = scroll.scrollHeight; };

  function days(from) {
    let before = from?.previousElementSibling?.dataset.day ?? "";
    for (let e = from ?? list().firstElementChild; e; e = e.nextElementSibling) {
      e.toggleAttribute("data-first-of-day", e.dataset.day !== before);
      before = e.dataset.day;
    }
  }
  function filter() {
    if (show === "all") list().removeAttribute("data-show");
    else list().dataset.show = show;
    for (const b of $$("[data-kinds] button")) b.setAttribute("aria-pressed", String(b.dataset.kind === show));
  }

  // What the system says in a row folds into one line; people's words never do. The newest entries stay as they are.
  const opened = new Set(); // first entries of runs that somebody opened
  const quiet = (e) => e.dataset.actor !== "person" && ["signal", "other", "task", "link", "paging", "triage", "impact"].includes(e.dataset.kind) && !e.matches(":target, .here, :focus-within");
  const hm = (e) => ($("time", e)?.textContent ?? "").slice(0, 5);
  function foldRun(run) {
    const first = run[0];
    const open = opened.has(first.id);
    const all = (kind) => run.every((e) => e.dataset.kind === kind);
    const words = `${run.length} ${all("signal") ? "signal updates" : all("paging") ? "entries of paging" : "entries of the system"}, ${hm(first)}–${hm(run[run.length - 1])}`;
    let line = first.previousElementSibling;
    if (!line?.classList.contains("fold")) {
      line = make("li", { class: "fold" }, make("span", { class: "entry-day" }, $(".entry-day", first)?.textContent ?? ""), make("button", { type: "button", "data-fold": true }));
      first.before(line);
    }
    line.dataset.day = first.dataset.day;
    const button = line.lastElementChild;
    button.dataset.fold = first.id;
    if (button.textContent !== words) button.textContent = words;
    button.setAttribute("aria-expanded", String(open));
    for (const e of run) e.classList.toggle("folded", !open);
    return line;
  }
  function fold() {
    const all = $$(":scope > .entry", list());
    const used = new Set();
    for (let i = 0; i < all.length; i++) {
      let j = i;
      while (j < all.length - keepOpen && quiet(all[j]) && all[j].dataset.day === all[i].dataset.day) j++;
      if (j - i >= shortest) used.add(foldRun(all.slice(i, j)));
      else for (const e of all.slice(i, Math.max(j, i + 1))) e.classList.remove("folded");
      i = Math.max(i, j - 1);
    }
    for (const line of $$(":scope > .fold", list())) if (!used.has(line)) line.remove();
  }
  list().addEventListener("click", (event) => {
    const button = event.target.closest("[data-fold]");
    if (!button) return;
    const id = button.dataset.fold;
    if (!opened.delete(id)) opened.add(id);
    fold();
  });
  const whole = () => { // a link to a folded entry opens its run
    const e = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    let line = e;
    while (line && !line.classList.contains("fold")) line = line.previousElementSibling;
    if (e?.classList.contains("folded") && line) opened.add(line.lastElementChild.dataset.fold);
    fold();
    if (e) e.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", whole);

  fold();
  days();
  if (location.hash.length > 1) whole();
  if (!location.hash) toEnd();
  scroll.addEventListener("scroll", () => {
    follow = atEnd();
    if (follow) newer.hidden = true;
  }, { passive: true });
  newer?.addEventListener("click", () => { follow = true; newer.hidden = true; toEnd(); });
  $("[data-kinds]")?.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    show = button.dataset.kind;
    filter();
    toEnd();
  });
  onChange((element) => {
    if (element.classList?.contains("entry")) {
      fold();
      days();
      if (follow) toEnd();
      else if (wide()) newer.hidden = false;
    } else if (element.id === "main" || element.id === "timeline") {
      fold();
      days();
      filter();
      if (follow) toEnd();
    }
  });
}

// step moves the mark to the next or previous entry.
export function step(by) {
  const entries = $$("#timeline .entry").filter((e) => e.offsetParent !== null);
  if (entries.length === 0) return;
  const at = entries.findIndex((e) => e.classList.contains("here"));
  const to = at < 0 ? entries.length - 1 : Math.max(0, Math.min(entries.length - 1, at + by));
  entries[at]?.classList.remove("here");
  entries[to].classList.add("here");
  entries[to].scrollIntoView({ block: "nearest" });
  $(".entry-time", entries[to])?.focus({ preventScroll: true });
}
