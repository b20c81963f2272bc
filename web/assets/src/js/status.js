// The public page works without this; with it, updates come by themselves.
let wait = 500;
let last = 0;
let kept = Number(document.querySelector('meta[name="kept"]')?.content); // the server is away, and this is as of then; 0: it is not
const place = document.getElementById("live");
const say = (text) => { if (place.textContent !== text) place.textContent = text; };
function when(t) {
  const [day, time] = new Date(t).toISOString().split("T");
  return `${day === new Date().toISOString().slice(0, 10) ? "" : `${day} `}${time.slice(0, 8)} UTC`;
}

// A cache before the server may still have the page from before the change; it
// asks behind the first answer, so the page is asked for again a little later.
async function refetch(seq, again = 2) {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (again > 0 && Number(page.body.dataset.since) < seq) setTimeout(refetch, 6000, seq, again - 1);
    if (Number(page.body.dataset.since) < Number(document.body.dataset.since)) return;
    put(page.getElementById("status"));
    document.body.dataset.since = page.body.dataset.since;
    document.title = page.title;
  } catch { /* the next connection brings it */ }
}

function put(fresh) {
  const old = document.getElementById("status");
  if (!fresh || !old) return;
  const open = [...old.querySelectorAll("details")].map((d) => d.open);
  old.replaceWith(document.adoptNode(fresh));
  fresh.querySelectorAll("details").forEach((d, i) => { d.open = Boolean(open[i]); });
}

function connect() {
  const url = new URL("/status/live", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const audience = location.pathname.match(/^\/status\/([^/]+)/)?.[1];
  if (audience) url.searchParams.set("audience", audience);
  url.searchParams.set("since", document.body.dataset.since || "-1");
  if (document.body.dataset.audience) url.searchParams.set("audience", document.body.dataset.audience);
  const socket = new WebSocket(url);
  socket.onopen = () => { wait = 500; };
  socket.onmessage = (event) => {
    let m;
    try { m = JSON.parse(event.data); } catch { return; }
    if (m.type === "kept") { kept = Number(m.since) || kept || last || Date.now(); return; }
    if (m.type === "hello") kept = 0;
    if (!kept) last = Date.now();
    if (m.type === "resync") refetch(m.seq);
    else if (m.html && m.key === "status") {
      put(new DOMParser().parseFromString(m.html, "text/html").getElementById("status"));
      document.body.dataset.since = m.seq;
    }
  };
  socket.onclose = () => {
    setTimeout(connect, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, 15_000);
  };
}

connect();
setInterval(() => {
  if (kept) say(`STALE since ${when(kept)}`);
  else if (last > 0) say(Date.now() - last < 6000 && (navigator.onLine || document.querySelector('meta[name="desk"]')) ? "LIVE" : `STALE since ${when(last)}`);
}, 1000);
