// The service worker: it shows what is pushed to this browser and opens the page that it speaks of. It caches nothing.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// Only this server's own pages are ever opened.
function own(address) {
  try {
    const url = new URL(address || "/", self.location.origin);
    return url.origin === self.location.origin ? url.href : self.location.origin + "/";
  } catch {
    return self.location.origin + "/";
  }
}

function read(event) {
  try {
    return event.data?.json() ?? {};
  } catch {
    return { title: "Tocsin", body: event.data?.text() ?? "" };
  }
}

self.addEventListener("push", (event) => {
  const m = read(event);
  const actions = m.ack ? [{ action: "ack", title: "I have it / not me" }, { action: "open", title: "Open" }] : [];
  const shown = self.registration.showNotification(m.title || "Tocsin", {
    body: m.body || "",
    tag: m.tag || "tocsin",
    renotify: true,
    requireInteraction: Boolean(m.page),
    icon: "/favicon.ico",
    data: { url: own(m.url), ack: m.ack ? own(m.ack) : "" },
    actions,
  });
  // The receipt: it is told once the notification stands, and to nobody but this server.
  const told = shown.then(() => (/^\/push\/seen\/[0-9a-f]+$/.test(m.seen ?? "") ? fetch(m.seen, { method: "POST", credentials: "omit" }) : null)).catch(() => null);
  event.waitUntil(Promise.all([shown, told]));
});

self.addEventListener("notificationclick", (event) => {
  const { url, ack } = event.notification.data ?? {};
  event.notification.close();
  event.waitUntil(go((event.action === "ack" && ack) || url || self.location.origin + "/"));
});

// A page that is open already comes to the front, else one is opened.
async function go(to) {
  const open = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = open.find((c) => c.url.split("#")[0] === to.split("#")[0]);
  if (there) return there.focus();
  return self.clients.openWindow(to);
}
