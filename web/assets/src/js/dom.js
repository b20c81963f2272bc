// Small words used everywhere.
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

export const meta = (name) => $(`meta[name="${name}"]`)?.content ?? "";

export const me = () => document.body.dataset.handle ?? "";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const b = crypto.getRandomValues(new Uint8Array(16)); // randomUUID needs a secure context, a room on plain http has none
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = [...b].map((x) => x.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export const isField = (element) =>
  element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement ||
  (element instanceof HTMLInputElement && element.type !== "hidden" && element.type !== "submit") ||
  (element instanceof HTMLElement && element.isContentEditable);

// Problem is a refusal: the server's sentence, or what to do when it did not answer.
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
  get unanswered() { return this.status === 0; }
}

// position is the newest one of the log that an answer to this page told; see seen in live.js.
let told = -1;
export const position = () => told;

export async function post(url, body, signal) {
  let answer;
  try {
    answer = await fetch(url, {
      method: "POST",
      credentials: "same-origin",
      redirect: "error",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-Tocsin-CSRF": meta("csrf") },
      body: JSON.stringify(body),
      signal,
    });
  } catch {
    throw new Problem(0, "unanswered", "The server did not answer. This may have been saved; sending it again is safe.");
  }
  const at = answer.headers.get("Tocsin-Position");
  if (answer.ok && at) told = Math.max(told, Number(at) || -1);
  const text = await answer.text().catch(() => "");
  let value = {};
  try { value = text ? JSON.parse(text) : {}; } catch { /* not JSON: the status speaks */ }
  if (answer.ok) return value;
  const says = value.detail || value.title || {
    401: "Your session has ended. Sign in again; what you typed is kept.",
    403: "You may not do this. Ask an administrator for the right.",
    404: "This is gone. Load the page again.",
    429: "Too fast. Wait a moment and try again.",
  }[answer.status] || "The server could not do it. Try again in a moment.";
  throw new Problem(answer.status, value.code || String(answer.status), says);
}

export function remember(key, value) {
  try {
    if (value === null || value === "") localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch { /* private window: not remembered */ }
}
export function recall(key) {
  try { return localStorage.getItem(key) ?? ""; } catch { return ""; }
}
