// The live connection: one socket, resumed where it broke off, and the truth about how fresh the page is.
import { $, $$, meta, make, position } from "./dom.js";
import { heard, now, when } from "./clock.js";
import { insert, morph, morphMain } from "./morph.js";
import { announce } from "./announce.js";

const silence = 5000;   // nothing heard for longer: the page is STALE
const dead = 8000;      // an open socket that says nothing for longer is given up
const spread = 2000;    // over this time pages come back after a restart, so that they do not come all at once
const longest = 5000;   // and no later than this after any try that failed
const wall = () => document.body.dataset.page === "wall";

// What the page holds of each topic: {since, from, at}. since is the position that is wholly here; a connection starts
// from it. Positions of the log mean the same on every replica. A topic that counts for itself on each says who counted
// (from); to any other replica only the time counts since when it was last known to be whole (at, by performance.now()).
const topics = new Map();
const reached = new Map(); // name -> {seq, from} of the newest frame: others of the same position may still come
const sinks = [];          // takers of sample frames
const fresh = [];          // told when the page is live again
const away = [];           // told whenever the room is said to be away

let socket = null;
let attempt = 0;
let failures = 0;
let timer = 0;
let lastMessage = 0;      // this machine's time of the last message, 0 = none yet
let opened = 0;           // how often the socket opened
let restart = -1;         // when the server said it would restart: how long to stay away, ms
let ended = "";
let fetching = false;
let again = false;
let held = [];            // frames that came while the page was fetched
let shown = { state: "", text: "" };
let kept = Number(meta("kept")); // the room is away, and this is what was known of it then (unix ms); 0: it is not
let owed = kept > 0;             // the page itself was kept: it is fetched anew once the room is back

export const onSamples = (f) => sinks.push(f);
export const onLive = (f) => fresh.push(f);
export const onKept = (f) => away.push(f);

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
  if (state === "stale" || state === "back") document.body.dataset.stale = text; // paper says it too
  else delete document.body.dataset.stale;
  if (state === "live" && before !== "live") for (const f of fresh) f();
}

// judge says the truth in the corner: LIVE only while the socket is open and heard, and what is heard is the room itself.
function judge() {
  if (ended) return;
  const quiet = Date.now() - lastMessage;
  const since = () => when(lastMessage ? lastMessage + (now() - Date.now()) : Number(meta("now")));
  const stale = offline() || quiet > silence;
  if (kept) show("stale", `STALE since ${when(kept)}`);
  else if (lastMessage === 0) {
    if (performance.now() > silence) show("stale", `STALE since ${since()}`);
  } else if (stale) show("stale", `STALE since ${since()}`);
  else if (socket?.readyState !== WebSocket.OPEN) show("back", `RECONNECTING since ${since()}`);
  else if ($("#read-only")?.dataset.on === "true") show("held", "READ-ONLY");
  else show("live", "LIVE");
  if (lastMessage && quiet > dead && socket?.readyState === WebSocket.OPEN) drop();
}

// offline: a room in this computer, or kept by it, needs no network.
const offline = () => navigator.onLine === false && !meta("desk");

function drop() {
  const old = socket;
  socket = null;
  if (old) {
    old.onclose = old.onmessage = old.onerror = null;
    old.close();
  }
  retry();
}

// retry comes back at a time of this page's own: a herd would hit the replicas that are left.
function retry() {
  clearTimeout(timer);
  if (ended && !wall()) return;
  let wait = attempt === 0 ? Math.random() * spread : (0.5 + Math.random() / 2) * Math.min(longest, 500 * 2 ** attempt);
  if (ended) wait = 30_000;
  else if (restart >= 0) wait = restart;
  restart = -1;
  attempt = Math.min(attempt + 1, 6);
  timer = setTimeout(connect, wait);
  judge();
}

function connect() {
  clearTimeout(timer);
  if (socket) return;
  const url = new URL("/live", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  for (const [name, { since, from, at }] of topics) {
    url.searchParams.append("topic", name);
    url.searchParams.append("since", String(since));
    if (!from) continue;
    url.searchParams.set("from", from);
    url.searchParams.set("ago", String(Math.ceil(performance.now() - at)));
  }
  const mine = new WebSocket(url);
  socket = mine;
  let open = false;
  mine.onopen = () => {
    open = true;
    failures = 0;
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
  mine.onclose = (event) => {
    if (socket !== mine) return;
    socket = null;
    if (event.code === 1012 && restart < 0) restart = kept ? 0 : Math.random() * spread;
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
  if (message.type !== "kept") heard(message.at); // that one is not the server's
  switch (message.type) {
    case "kept":
      attempt = 0;
      kept = Number(message.since) || kept || Number(meta("now"));
      for (const f of away) f();
      return;
    case "hello":
      attempt = 0;
      kept = 0;
      if (owed) { owed = false; refetch(); }
      if (ended) { ended = ""; refetch(); }
      if (message.build && meta("build") && message.build !== meta("build")) renewed();
      return;
    case "beat": { // all that was published before it has come: what the page holds is whole as of now
      const at = performance.now();
      for (const [name, hold] of topics) {
        const top = reached.get(name);
        topics.set(name, { since: top ? (top.from === hold.from ? Math.max(hold.since, top.seq) : top.seq) : hold.since, from: top?.from ?? hold.from, at });
      }
      return;
    }
    case "bye":
      restart = Math.min(Math.max(0, Number(message.retry_ms) || 0), spread);
      return;
    case "resync":
      refetch();
      return;
    case "end":
      if (message.topic) { // one of several: the page says by itself what may still be seen
        topics.delete(message.topic);
        reached.delete(message.topic);
        refetch();
      } else end(message.reason);
      return;
  }
  if (message.samples) {
    for (const f of sinks) f(String(message.key).replace(/^samples\//, ""), message.samples);
    return;
  }
  if (fetching) { held.push(message); return; }
  apply(message);
}

// older: the frame shows less than the page holds already. A frame without a position shows none, and positions that
// two replicas counted for themselves cannot be compared: then the newer message counts.
function older(frame) {
  const hold = topics.get(frame.topic);
  return Boolean(hold) && Number.isFinite(frame.seq) && (frame.from ?? "") === hold.from && frame.seq < hold.since;
}

function apply(frame) {
  if (older(frame)) return;
  if (frame.topic && Number.isFinite(frame.seq) && topics.has(frame.topic)) {
    const from = frame.from ?? "";
    const before = reached.get(frame.topic);
    if (!before || before.from !== from) reached.set(frame.topic, { seq: frame.seq, from });
    else if (frame.seq > before.seq) { // with a newer one come, all of the one before are here
      const hold = topics.get(frame.topic);
      if (hold.from !== from || before.seq > hold.since) topics.set(frame.topic, { since: before.seq, from, at: hold.at });
      reached.set(frame.topic, { seq: frame.seq, from });
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

// seen is the newest position of the log that this page knows of, so that no replica answers with less.
function seen() {
  let top = position();
  for (const [name, { since, from }] of topics) if (!from) top = Math.max(top, since, reached.get(name)?.seq ?? -1);
  return top;
}

// behind: a page came from a replica that had less than what is here.
const behind = (page) => $$('meta[name="topic"]', page).some((m) => !m.dataset.from && Number(m.dataset.since) < (topics.get(m.content)?.since ?? -1));

// refetch brings the whole page up to date; frames that come meanwhile are applied afterwards.
export async function refetch() {
  if (fetching) { again = true; return; }
  fetching = true;
  let old = 0;
  for (let wait = 200; ; wait = Math.min(wait * 2, 2000) * (0.75 + Math.random() / 2)) {
    try {
      const at = performance.now();
      const answer = await fetch(location.pathname + location.search, { credentials: "same-origin", headers: { Accept: "text/html", "Tocsin-Position": String(seen()) }, cache: "no-store" });
      if (answer.status === 401 || answer.status === 403 || (answer.redirected && new URL(answer.url).pathname === "/signin")) { end("Your session has ended."); break; }
      if (!answer.ok) throw new Error(String(answer.status));
      if (answer.headers.has("Tocsin-Kept")) { owed = true; break; } // no newer than what is here
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (behind(page) && ++old <= 3) throw new Error("older than what is here"); // then the log itself is an older one
      const build = $('meta[name="build"]', page)?.content;
      if (build && meta("build") && build !== meta("build")) renewed();
      const banner = $("#read-only", page);
      if (banner && !$("#main #read-only")) morph($("#read-only"), banner.outerHTML);
      const main = $("#main", page);
      if (main) morphMain(main);
      const had = held;
      held = [];
      for (const m of $$('meta[name="topic"]', page)) {
        const since = Number(m.dataset.since);
        const from = m.dataset.from ?? "";
        const top = reached.get(m.content);
        topics.set(m.content, { since, from, at });
        if (!top || top.from !== from || top.seq < since) reached.set(m.content, { seq: since, from });
      }
      for (const frame of had) apply(frame);
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

// tidy takes the position that a form led here with out of the address: it has been waited for.
function tidy() {
  const url = new URL(location.href);
  if (!url.searchParams.has("since")) return;
  url.searchParams.delete("since");
  history.replaceState(history.state, "", url);
}

export function startLive() {
  tidy();
  for (const m of $$('meta[name="topic"]')) {
    const hold = { since: Number(m.dataset.since), from: m.dataset.from ?? "", at: 0 }; // rendered after the navigation began
    topics.set(m.content, hold);
    reached.set(m.content, { seq: hold.since, from: hold.from });
  }
  if (topics.size === 0) {
    if (kept) show("stale", `STALE since ${when(kept)}`);
    return;
  }
  if (kept) judge();
  connect();
  setInterval(judge, 500);
  addEventListener("offline", judge);
  addEventListener("online", () => { attempt = 0; if (socket?.readyState !== WebSocket.OPEN) drop(); judge(); });
  document.addEventListener("visibilitychange", () => {
    judge();
    if (!document.hidden && !socket) { attempt = 0; retry(); }
  });
  addEventListener("pagehide", () => { const s = socket; socket = null; if (s) { s.onclose = null; s.close(1000); } });
  addEventListener("pageshow", (event) => { if (event.persisted) { refetch(); if (!socket) connect(); } });
}
