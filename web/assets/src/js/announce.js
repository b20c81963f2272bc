// Tells a screen reader what other people changed; one's own actions are not read back.
import { $, me } from "./dom.js";
import { onChange } from "./morph.js";

let queue = [];
let timer = 0;

export function announce(text) {
  queue.push(text);
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    const place = $("#aside");
    const said = queue.length > 4 ? [`${queue.length} changes`, queue[queue.length - 1]] : queue;
    queue = [];
    if (place) place.textContent = said.join(". ");
  }, 400);
}

let rows = new Set();

const words = (element) => element.textContent.replace(/\s+/g, " ").trim();

function countRows() {
  return new Set([...document.querySelectorAll("#board-incidents .row-link")].map((a) => a.getAttribute("href")));
}

export function startAnnounce() {
  rows = countRows();
  onChange((element, how) => {
    if (how === "insert" && element.classList.contains("entry")) {
      if (element.dataset.handle && element.dataset.handle === me()) return;
      const who = $(".entry-who b", element);
      const text = $(".entry-text", element);
      announce(`${who ? words(who) : ""}: ${text ? words(text) : ""}`);
    }
    if (element.id === "board-incidents" || element.id === "main") {
      const is = countRows();
      for (const href of is) {
        if (rows.has(href)) continue;
        const title = $(`#board-incidents .row-link[href="${href}"] .row-title`);
        const severity = $(`#board-incidents .row-link[href="${href}"] .badge`);
        if (title) announce(`New incident, ${severity ? words(severity) : ""}: ${words(title)}`);
      }
      rows = is;
    }
  });
}
