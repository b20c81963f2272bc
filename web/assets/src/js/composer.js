// The one line that writes into the room.
import { $, $$, make, me, post, uuid } from "./dom.js";
import { onLive } from "./live.js";
import { onChange } from "./morph.js";

const bytes = (text) => new TextEncoder().encode(text).length;

export function startComposer() {
  const form = $("#composer");
  if (!form) return;
  const field = $("#composer-line", form);
  const list = $("#composer-list", form);
  const refusal = $("#composer-refusal", form);
  const pending = $("#pending");
  const number = form.dataset.incident;
  list.tabIndex = 0; // it scrolls, so a keyboard must be able to
  const draftKey = `draft/${number}`;
  const pastKey = `past/${number}`;
  let items = [];
  let chosen = -1;
  let asking = null;
  let timer = 0;
  let past = [];
  let back = -1;
  try { past = JSON.parse(sessionStorage.getItem(pastKey) || "[]"); } catch { past = []; }

  const keep = (key, value) => { try { value ? sessionStorage.setItem(key, value) : sessionStorage.removeItem(key); } catch { /* not kept */ } };

  function size() {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight + 2, 180)}px`;
  }
  function set(text, cursor = text.length) {
    field.value = text;
    field.setSelectionRange(cursor, cursor);
    text ? (field.dataset.dirty = "") : delete field.dataset.dirty;
    keep(draftKey, text);
    size();
  }
  function refuse(text) {
    refusal.hidden = !text;
    refusal.textContent = text;
  }

  // completion
  function close() {
    items = [];
    chosen = -1;
    list.hidden = true;
    list.textContent = "";
    field.removeAttribute("aria-activedescendant");
  }
  function choose(i) {
    chosen = i;
    [...list.children].forEach((li, n) => li.setAttribute("aria-selected", String(n === i)));
    const li = list.children[i];
    if (li) {
      field.setAttribute("aria-activedescendant", li.id);
      li.scrollIntoView({ block: "nearest" });
    } else field.removeAttribute("aria-activedescendant");
  }
  function offer(found) {
    items = found;
    list.textContent = "";
    if (items.length === 0) { close(); return; }
    items.forEach((item, i) => {
      list.append(make("li", { id: `completion-${i}`, role: "option", "aria-selected": "false", onpointerdown: (event) => { event.preventDefault(); accept(i); } },
        make("code", {}, item.label || item.text), make("span", {}, item.hint || "")));
    });
    list.hidden = false;
    choose(-1);
  }
  function accept(i) {
    const item = items[i];
    if (!item) return;
    const line = field.value;
    const cursor = field.selectionStart;
    let from = cursor;
    while (from > 0 && !/\s/.test(line[from - 1])) from--;
    let to = cursor;
    while (to < line.length && !/\s/.test(line[to])) to++;
    const text = /\s$/.test(item.text) ? item.text : `${item.text} `;
    const tail = line.slice(to).replace(/^ /, "");
    set(line.slice(0, from) + text + tail, from + text.length);
    close();
    ask();
  }
  function grammar(word) {
    return $$("li", $("#grammar")?.content ?? document.createDocumentFragment())
      .filter((li) => li.dataset.name.startsWith(word))
      .map((li) => ({ text: li.dataset.name, label: li.dataset.usage || li.dataset.name, hint: li.textContent }));
  }
  async function ask() {
    clearTimeout(timer);
    asking?.abort();
    const line = field.value;
    const cursor = field.selectionStart;
    const word = line.slice(0, cursor).split(/\s/).pop();
    if (!line.startsWith("/") && !word.startsWith("@")) { close(); return; }
    if (line.startsWith("/") && !/\s/.test(line.slice(0, cursor))) {
      const known = grammar(word);
      if (known.length) { offer(known.length === 1 && known[0].text === word ? [] : known); return; }
    }
    timer = setTimeout(async () => {
      asking = new AbortController();
      try {
        const answer = await fetch(`/incidents/${number}/complete?line=${encodeURIComponent(line)}&cursor=${bytes(line.slice(0, cursor))}`, { credentials: "same-origin", signal: asking.signal });
        if (!answer.ok) return;
        const { items: found = [] } = await answer.json();
        if (field.value === line && document.activeElement === field) offer(found.slice(0, 20));
      } catch { /* overtaken or unanswered: no list */ }
    }, 60);
  }

  // sending: the id makes a repeat harmless, so what was not answered is simply sent again
  const unsent = new Map();
  async function send(id, line) {
    const item = unsent.get(id);
    if (!item || item.busy) return;
    item.busy = true;
    try {
      const answer = await post(`/incidents/${number}/line`, { id, line });
      item.sent = true;
      if (answer?.events?.length === 0 && !/^\/(help|\?)/.test(line)) {
        drop(id);
        refuse("Nothing changed: that is so already. What you typed was not written down; send it as a note to keep it.");
        if (field.value === "") set(line);
      }
      setTimeout(() => drop(id), 4000); // the entry itself drops it sooner
    } catch (problem) {
      if (problem.unanswered || problem.status >= 500) {
        $(".entry-reason", item.node).textContent = problem.code === "read_only"
          ? "Not saved: Tocsin is read-only. It is sent again until it is; leave this page open."
          : "Not known to be saved. It is sent again until it is, and is never written twice.";
        setTimeout(() => send(id, line), 1500 + Math.random() * 2000);
      } else {
        drop(id);
        if (field.value === "") set(line);
        refuse(problem.message);
        field.focus();
      }
    } finally {
      item.busy = false;
    }
  }
  function drop(id) {
    unsent.get(id)?.node.remove();
    unsent.delete(id);
  }
  function submit() {
    const line = field.value.trim();
    if (!line) return;
    const id = uuid();
    past = [line, ...past.filter((p) => p !== line)].slice(0, 50);
    keep(pastKey, JSON.stringify(past));
    back = -1;
    set("");
    close();
    refuse("");
    const node = make("li", { class: "entry said", "data-command-id": id },
      make("span", { class: "entry-time" }, "sending"),
      make("div", { class: "entry-body" }, make("p", { class: "entry-text" }, line), make("p", { class: "entry-reason" })));
    unsent.set(id, { node, busy: false, sent: false });
    pending?.append(node);
    node.scrollIntoView({ block: "nearest" });
    send(id, line);
  }
  onChange((element) => {
    if (unsent.size === 0) return;
    for (const [id, item] of unsent) if (document.querySelector(`#timeline [data-command-id="${id}"]`)) drop(id);
      else if (item.sent && element.dataset?.handle === me()) drop(id);
  });
  onLive(() => { for (const [id, item] of unsent) if (!item.sent) send(id, $(".entry-text", item.node).textContent); });

  form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  field.addEventListener("input", () => { keep(draftKey, field.value); refuse(""); size(); ask(); back = -1; if (!field.value) delete field.dataset.dirty; });
  field.addEventListener("blur", () => setTimeout(close, 100));
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const openList = items.length > 0;
    switch (event.key) {
      case "ArrowDown":
        if (openList) { event.preventDefault(); choose((chosen + 1) % items.length); }
        else if (back >= 0) { event.preventDefault(); back--; set(back < 0 ? "" : past[back]); }
        break;
      case "ArrowUp":
        if (openList) { event.preventDefault(); choose((chosen - 1 + items.length) % items.length); }
        else if ((field.value === "" || back >= 0) && back + 1 < past.length) { event.preventDefault(); back++; set(past[back]); }
        break;
      case "Tab":
        if (openList && !event.shiftKey) { event.preventDefault(); accept(Math.max(chosen, 0)); }
        break;
      case "Enter":
        if (event.shiftKey) break;
        event.preventDefault();
        if (openList && chosen >= 0) accept(chosen);
        else submit();
        break;
      case "Escape":
        if (openList) { event.preventDefault(); event.stopPropagation(); close(); }
        else field.blur();
        break;
    }
  });

  let kept = "";
  try { kept = sessionStorage.getItem(draftKey) || ""; } catch { kept = ""; }
  if (kept) set(kept);
  document.addEventListener("tocsin:compose", (event) => { set(event.detail); field.focus(); ask(); });
}
