// The live connection: one socket, resumed where it broke off, and the truth about how fresh the page is.
import { $, $$, meta, make } from "./dom.js";
import { heard, hms, now } from "./clock.js";
import { insert, morph, morphMain } from "./morph.js";
import { announce } from "./announce.js";

const silence = 6000;   // older than this, the page is STALE
const dead = 9000;      // older than this, an open socket is given up
const wall = () => document.body.dataset.page === "wall";

const topics = new Map(); // name -> position that is wholly here; a connection starts from it
const reached = new Map(); // name -> position of the newest frame: others of the same position may still come
const sinks = [];         // takers of sample frames
const fresh = [];         // told when the page is live again

let socket = null;
let attempt = 0;
let failures = 0;
let timer = 0;
let lastMessage = 0;      // this machine's time of the last message, 0 = none yet
let opened = 0;           // how often the socket opened
let ended = "";
let fetching = false;
let again = false;
let held = [];            // frames that came while the page was fetched
let shown = { state: "", text: "" };

export const onSamples = (f) => sinks.push(f);
export const onLive = (f) => fresh.push(f);

function show(state, text, link) {
  const place = $("#live");
  if (!place) return;
  // the place itself is asked too: a page that was fetched anew brings an empty one
  if (state === shown.state && text === shown.text && place.dataset.state === state) return;
  const before = shown.state;
  shown = { state, text };
  place.dataset.state = state;
  const words = $(".live-text", place);
  words.textContent = "";
  words.append(link ? make("a", { href: link }, text) : text);
  if (state === "live" && before !== "live") for (const f of fresh) f();
}

function judge() {
  if (ended) return;
  const quiet = Date.now() - lastMessage;
  if (lastMessage === 0) {
    if (performance.now() > silence) show("stale", `STALE since ${hms(Number(meta("now")))}`);
    return;
  }
  if (navigator.onLine === false || quiet > silence) show("stale", `STALE since ${hms(lastMessage + (now() - Date.now()))}`);
  else show("live", "LIVE");
  if (quiet > dead && socket?.readyState === WebSocket.OPEN) drop();
}

function drop() {
  const old = socket;
  socket = null;
  if (old) {
    old.onclose = old.onmessage = old.onerror = null;
    old.close();
  }
  retry();
}

function retry() {
  clearTimeout(timer);
  if (ended && !wall()) return;
  const wait = ended ? 30_000 : Math.min(2000, 200 * 2 ** attempt) * (0.75 + Math.random() / 2);
  attempt = Math.min(attempt + 1, 6);
  timer = setTimeout(connect, wait);
}

function connect() {
  clearTimeout(timer);
  if (socket) return;
  const url = new URL("/live", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  for (const [name, since] of topics) {
    url.searchParams.append("topic", name);
    url.searchParams.append("since", String(since));
  }
  const mine = new WebSocket(url);
  socket = mine;
  let open = false;
  mine.onopen = () => {
    open = true;
    attempt = failures = 0;
    opened++;
    if (opened > 1 && wall()) refetch(); // also finds out about a new build
  };
  mine.onmessage = (event) => {
    lastMessage = Date.now();
    let message;
    try { message = JSON.parse(event.data); } catch { return; }
    take(message);
    judge();
  };
  mine.onclose = () => {
    if (socket !== mine) return;
    socket = null;
    if (!open && ++failures % 3 === 0) probe();
    retry();
  };
}

// probe finds out whether the session ended: a socket cannot tell.
async function probe() {
  try {
    const answer = await fetch(location.pathname + location.search, { credentials: "same-origin", headers: { Accept: "text/html" } });
    if (answer.status === 401 || answer.status === 403 || (answer.redirected && new URL(answer.url).pathname === "/signin")) end("Your session has ended.");
  } catch { /* the server is away: go on trying */ }
}

function end(reason) {
  ended = reason || "ended";
  const next = encodeURIComponent(location.pathname + location.search);
  show("end", wall() ? "KEY REVOKED" : "SIGNED OUT: sign in", wall() ? "" : `/signin?next=${next}`);
  announce(`${reason || "The session has ended."} Sign in again.`);
}

function take(message) {
  heard(message.at);
  switch (message.type) {
    case "hello":
      if (ended) { ended = ""; refetch(); }
      if (message.build && meta("build") && message.build !== meta("build")) renewed();
      return;
    case "beat": // all that was published before it has come
      for (const [name, seq] of reached) topics.set(name, Math.max(topics.get(name) ?? -1, seq));
      return;
    case "resync":
      refetch();
      return;
    case "end":
      end(message.reason);
      return;
  }
  if (message.samples) {
    for (const f of sinks) f(String(message.key).replace(/^samples\//, ""), message.samples);
    return;
  }
  if (fetching) { held.push(message); return; }
  apply(message);
}

function apply(frame) {
  if (frame.topic && Number.isFinite(frame.seq)) {
    const before = reached.get(frame.topic);
    if (before === undefined || frame.seq > before) {
      if (before !== undefined) topics.set(frame.topic, Math.max(topics.get(frame.topic) ?? -1, before));
      reached.set(frame.topic, frame.seq);
    }
  }
  if (!frame.key || typeof frame.html !== "string") return;
  if (frame.into) {
    const list = document.getElementById(frame.into);
    if (list) insert(list, frame.key, frame.html, frame.place);
    return;
  }
  const element = document.getElementById(frame.key);
  if (element) morph(element, frame.html);
}

// refetch brings the whole page up to date; frames that come meanwhile are applied afterwards.
export async function refetch() {
  if (fetching) { again = true; return; }
  fetching = true;
  for (let wait = 200; ; wait = Math.min(wait * 2, 2000)) {
    try {
      const answer = await fetch(location.pathname + location.search, { credentials: "same-origin", headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.status === 401 || answer.status === 403 || (answer.redirected && new URL(answer.url).pathname === "/signin")) { end("Your session has ended."); break; }
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const build = $('meta[name="build"]', page)?.content;
      if (build && meta("build") && build !== meta("build")) renewed();
      const main = $("#main", page);
      if (main) morphMain(main);
      const had = held;
      held = [];
      for (const m of $$('meta[name="topic"]', page)) {
        const since = Number(m.dataset.since);
        const name = m.content;
        topics.set(name, since);
        reached.set(name, Math.max(reached.get(name) ?? -1, since));
        for (const frame of had) if (frame.topic === name && frame.seq >= since) apply(frame);
      }
      const title = $("title", page)?.textContent;
      if (title) document.title = title;
      break;
    } catch {
      await new Promise((done) => setTimeout(done, wait));
      if (ended) break;
    }
  }
  fetching = false;
  const left = held;
  held = [];
  for (const frame of left) apply(frame);
  if (again) { again = false; refetch(); }
}

let told = false;
function renewed() {
  if (wall()) { location.reload(); return; }
  if (told) return;
  told = true;
  document.dispatchEvent(new CustomEvent("tocsin:toast", { detail: { text: "Tocsin was updated.", verb: "Reload", act: () => location.reload() } }));
}

export function startLive() {
  for (const m of $$('meta[name="topic"]')) topics.set(m.content, Number(m.dataset.since));
  if (topics.size === 0) return;
  connect();
  setInterval(judge, 500);
  addEventListener("offline", judge);
  addEventListener("online", () => { attempt = 0; if (socket?.readyState !== WebSocket.OPEN) { drop(); } judge(); });
  document.addEventListener("visibilitychange", () => {
    judge();
    if (!document.hidden && !socket) { attempt = 0; retry(); }
  });
  addEventListener("pagehide", () => { const s = socket; socket = null; if (s) { s.onclose = null; s.close(1000); } });
  addEventListener("pageshow", (event) => { if (event.persisted) { refetch(); if (!socket) connect(); } });
}
