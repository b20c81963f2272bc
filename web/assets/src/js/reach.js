// My routes: notifications in this browser, tests whose outcome is shown as it comes.
import { $, $$, make, post } from "./dom.js";
import { announce } from "./announce.js";

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/").padEnd(Math.ceil(text.length / 4) * 4, "=")), (c) => c.charCodeAt(0));
const iPhone = () => /iPad|iPhone|iPod/.test(navigator.userAgent) || (navigator.platform === "MacIntel" && navigator.maxTouchPoints > 1);
const alone = () => matchMedia("(display-mode: standalone)").matches || navigator.standalone === true;

// why says why this browser cannot be pushed to, or "".
function why() {
  if (!isSecureContext) return "Browsers allow notifications over https or on localhost only. Open Tocsin by its https address.";
  if (iPhone() && !alone()) return "On an iPhone or iPad notifications work from the home screen only: tap Share, Add to Home Screen, open Tocsin from there and come back to this page.";
  if (!("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window)) return "This browser knows no push notifications. Use another browser, or another route below.";
  return "";
}

async function subscription() {
  const registration = await navigator.serviceWorker.getRegistration("/");
  return registration ? registration.pushManager.getSubscription() : null;
}

function name() {
  const ua = navigator.userAgent;
  const browser = /Edg\//.test(ua) ? "Edge" : /Firefox\//.test(ua) ? "Firefox" : /Chrome\//.test(ua) ? "Chrome" : /Safari\//.test(ua) ? "Safari" : "Browser";
  const on = /iPhone/.test(ua) ? "iPhone" : /iPad/.test(ua) ? "iPad" : /Android/.test(ua) ? "Android" : /Mac OS X/.test(ua) ? "Mac" : /Windows/.test(ua) ? "Windows" : /Linux/.test(ua) ? "Linux" : "";
  return on ? `${browser}, ${on}` : browser;
}

async function state(part) {
  const says = $("[data-push-says]", part);
  const button = $("[data-push-on]", part);
  const no = why();
  button.hidden = true;
  if (no) { says.textContent = no; return; }
  if (Notification.permission === "denied") {
    says.textContent = "Notifications from this site are blocked in this browser. Allow them in its settings for this site (the sign before the address), then load this page again.";
    return;
  }
  const have = await subscription().catch(() => null);
  if (have && Notification.permission === "granted") {
    says.textContent = "Notifications are on in this browser. If it is not in the list above, add it again.";
    button.textContent = "Add this browser again";
  } else {
    says.textContent = "Press the button; the browser then asks whether Tocsin may send notifications.";
    button.textContent = "Notify me in this browser";
  }
  button.hidden = false;
}

async function on(part) {
  const says = $("[data-push-says]", part);
  const button = $("[data-push-on]", part);
  button.disabled = true;
  try {
    if (await Notification.requestPermission() !== "granted") { await state(part); return; }
    await navigator.serviceWorker.register("/sw.js", { scope: "/" });
    const registration = await navigator.serviceWorker.ready;
    const made = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(part.dataset.key) });
    const { endpoint, keys } = made.toJSON();
    await post("/api/v1/me/routes", { kind: "push", label: name(), push: { endpoint, keys } });
    location.reload();
  } catch (error) {
    says.textContent = error.name === "AbortError" || error.name === "InvalidStateError"
      ? "The push service of this browser did not answer, or it knows another Tocsin at this address. Try again; if it stays, take the site's notifications away in the browser's settings first."
      : error.message || "It did not work. Try again.";
    announce(says.textContent);
  } finally {
    button.disabled = false;
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// outcome waits for what became of a test.
async function outcome(id, since) {
  for (let i = 0; i < 40; i++) {
    await pause(i < 5 ? 400 : 1500);
    const answer = await fetch("/api/v1/me/routes", { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (!answer.ok) continue;
    const route = (await answer.json()).routes.find((r) => r.id === id);
    if (!route) return null;
    if ((route.last_at ?? 0) >= since && route.last_outcome) return route;
  }
  return undefined;
}

async function test(form) {
  const row = form.closest("[data-route]");
  const says = $("[data-route-says]", row);
  const button = $("button", form);
  const say = (...what) => says.replaceChildren(...what);
  button.disabled = true;
  says.dataset.outcome = "";
  say("Sending …");
  try {
    const { now } = await post(`/api/v1/me/routes/${row.dataset.route}/test`, {});
    const code = $("[data-route-code]", row);
    if (code) code.hidden = false;
    const r = await outcome(row.dataset.route, now);
    if (r) {
      says.dataset.outcome = r.last_outcome;
      say(make("b", {}, r.last_outcome), " ", make("span", {}, r.last_detail ?? ""));
      if (code && r.last_outcome === "sent") $("input[name=code]", code).focus();
    } else say(r === null ? "This route is gone. Load the page again." : "Nothing is known of it after a minute. Load the page again later.");
  } catch (problem) {
    says.dataset.outcome = "failed";
    say(problem.message);
  } finally {
    button.disabled = false;
    announce(says.textContent);
  }
}

export function startReach() {
  const part = $("[data-push]");
  if (!part) return;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const field of $$("[data-zone]")) if (!field.value) field.value = zone || "UTC";
  state(part);
  $("[data-push-on]", part).addEventListener("click", () => on(part));
  for (const form of $$("[data-route-test]")) form.addEventListener("submit", (event) => { event.preventDefault(); test(form); });
}
