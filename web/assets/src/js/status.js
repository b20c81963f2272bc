// The public page works without this; with it, updates come by themselves.
let wait = 500;
let last = 0;
const place = document.getElementById("live");
const say = (text) => { if (place.textContent !== text) place.textContent = text; };
const hms = (t) => new Date(t).toISOString().slice(11, 19);

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
    last = Date.now();
    let m;
    try { m = JSON.parse(event.data); } catch { return; }
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
  if (last === 0) return;
  say(Date.now() - last < 6000 && navigator.onLine ? "LIVE" : `STALE since ${hms(last)} UTC`);
}, 1000);
