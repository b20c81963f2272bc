// The timeline: days, filters, following the newest entry, j and k.
import { $, $$ } from "./dom.js";
import { onChange } from "./morph.js";

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

  days();
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
      days(element);
      if (follow) toEnd();
      else if (wide()) newer.hidden = false;
    } else if (element.id === "main" || element.id === "timeline") {
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
