// The one line that writes into the room.
import { $, $$, make, me, meta, post, uuid } from "./dom.js";
import { onLive } from "./live.js";
import { now } from "./clock.js";
import { onChange } from "./morph.js";
import { startOutbox } from "./outbox.js";

// isNote is true for a line that the room takes as a note: those may be sent later.
const isNote = (line) => !line.startsWith("/") || line.startsWith("//") || /^\/note\s/i.test(line);
const doubtful = "No answer came: this may have been carried out. Look whether it was before you send it again.";
const bytes = (text) => new TextEncoder().encode(text).length;

export function startComposer() {
  const form = $("#composer");
  if (!form) return;
  const field = $("#composer-line", form);
  const list = $("#composer-list", form);
  const refusal = $("#composer-refusal", form);
  const pending = $("#pending");
  const number = form.dataset.incident;
  const adopt = startOutbox(number, pending);
  list.tabIndex = 0; // it scrolls, so a keyboard must be able to
  const draftKey = `draft/${number}`;
  const pastKey = `past/${number}`;
  const unsentKey = `unsent/${number}/${me()}`; // nobody sends what another wrote
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
    const was = items[chosen]?.text; // a newer list that has it too leaves it chosen
    items = found;
    list.textContent = "";
    if (items.length === 0) { close(); return; }
    items.forEach((item, i) => {
      list.append(make("li", { id: `completion-${i}`, role: "option", "aria-selected": "false", onpointerdown: (event) => { event.preventDefault(); accept(i); } },
        make("code", {}, item.label || item.text), make("span", {}, item.hint || "")));
    });
    list.hidden = false;
    choose(was === undefined ? -1 : items.findIndex((item) => item.text === was));
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

  // sending: in the order of writing, one at a time. The id makes a repeat harmless, so what was not answered is simply sent again.
  const unsent = new Map();
  const patience = 20_000; // an answer that takes longer is not waited for, ms
  let sending = false;
  let rest = 0;
  const later = () => 1500 + Math.random() * 2000;
  const save = () => keep(unsentKey, unsent.size ? JSON.stringify([...unsent].filter(([, item]) => !item.sent).map(([id, { line, at }]) => ({ id, line, at }))) : "");

  async function pump() {
    if (sending) return;
    clearTimeout(rest);
    sending = true;
    try {
      for (;;) {
        const [id, item] = [...unsent].find(([, x]) => !x.sent && !x.aside) ?? [];
        if (!id) return;
        if (await send(id, item)) continue;
        rest = setTimeout(pump, later());
        return;
      }
    } finally { sending = false; }
  }

  // send is true when the next one may go.
  async function send(id, item) {
    const { line } = item;
    try {
      const late = isNote(line) && (item.tries > 0 || now() - item.at > 1000);
      item.tries++;
      const answer = await post(`/incidents/${number}/line`, late ? { id, line, written_at: item.at } : { id, line }, AbortSignal.timeout(patience));
      if (answer?.queued) {
        unsent.delete(id);
        save();
        adopt(item.node, id, line, answer.written_at || item.at);
        return true;
      }
      item.sent = true;
      save();
      if (answer?.events?.length === 0 && !/^\/(help|\?)/.test(line)) {
        drop(id);
        refuse("Nothing changed: that is so already. What you typed was not written down; send it as a note to keep it.");
        if (field.value === "") set(line);
      }
      setTimeout(() => drop(id), 4000); // the entry itself drops it sooner
      return true;
    } catch (problem) {
      if (!isNote(line) && (problem.code === "unreachable" || (problem.code === "uncertain" && meta("desk") === "joined"))) { // hours later it may be wrong
        giveBack(id, item.doubt ? doubtful : problem.message);
        return true;
      }
      // Who is signed out gets the line back into the field, unless that would lose or double something.
      const held = problem.status === 401 && isNote(line) && (item.doubt || unsent.size > 1 || field.value !== "");
      const waits = problem.unanswered || problem.status === 503 || problem.status === 429 || held;
      if (!waits && problem.status < 500) {
        giveBack(id, problem.message);
        field.focus();
        return true;
      }
      item.doubt ||= problem.code !== "read_only" && !(problem.status > 0 && problem.status < 500);
      $(".entry-reason", item.node).textContent = problem.code === "read_only"
        ? "Not saved: Tocsin is read-only. It is sent again until it is; leave this page open."
        : problem.code === "not_queued" || problem.status === 401 || problem.status === 429 ? problem.message
        : "Not known to be saved. It is sent again until it is, and is never written twice.";
      if (waits) return false;
      item.aside = true; // this one alone fails: the others need not wait for it
      setTimeout(() => { item.aside = false; pump(); }, later());
      return true;
    }
  }
  function drop(id) {
    unsent.get(id)?.node.remove();
    if (unsent.delete(id)) save();
  }
  function giveBack(id, text) {
    const { line } = unsent.get(id);
    drop(id);
    if (field.value === "") set(line);
    refuse(text);
  }
  function put(id, line, at, doubt) {
    const node = make("li", { class: "entry said", "data-command-id": id },
      make("span", { class: "entry-time" }, "sending"),
      make("div", { class: "entry-body" }, make("p", { class: "entry-text" }, line), make("p", { class: "entry-reason" })));
    unsent.set(id, { node, line, at, tries: doubt ? 1 : 0, sent: false, aside: false, doubt });
    pending?.append(node);
    return node;
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
    put(id, line, Math.round(now()), false).scrollIntoView({ block: "nearest" });
    save();
    pump();
  }
  onChange((element) => {
    if (unsent.size === 0) return;
    for (const [id, item] of unsent) if (document.querySelector(`#timeline [data-command-id="${id}"]`)) drop(id);
      else if (item.sent && element.dataset?.handle === me()) drop(id);
  });
  onLive(pump);

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
  // What this page had not sent when it was left: a note goes now; a command counts when it is given.
  let left = [];
  try { left = JSON.parse(sessionStorage.getItem(unsentKey) || "[]"); } catch { left = []; }
  for (const { id, line, at } of left) {
    put(id, line, at, true);
    if (!isNote(line)) giveBack(id, doubtful);
  }
  save();
  pump();
  document.addEventListener("tocsin:compose", (event) => { set(event.detail); field.focus(); ask(); });
}
