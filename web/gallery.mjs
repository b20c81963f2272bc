// Looks at every page of the gallery in Chromium: pictures, console errors, policy violations, axe-core findings.
// Usage: go run ./views/gallery -addr 127.0.0.1:8099 & node web/gallery.mjs [--url http://127.0.0.1:8099] [--out DIR] [--only NAME,NAME] [--size WxH] [--media print] [--eval JS] [--no-axe]
import { spawn } from "node:child_process";
import { mkdtemp, mkdir, readFile, writeFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: flags } = parseArgs({ options: {
  url: { type: "string", default: "http://127.0.0.1:8099" }, out: { type: "string", default: "" },
  only: { type: "string", default: "" }, size: { type: "string", default: "" }, "no-axe": { type: "boolean", default: false },
  eval: { type: "string", default: "" }, media: { type: "string", default: "" },
} });
const here = dirname(fileURLToPath(import.meta.url));
const axe = await readFile(join(here, "node_modules/axe-core/axe.min.js"), "utf8");
const profile = await mkdtemp(join(tmpdir(), "gallery-"));

// A browser spoken to over a pipe: messages end with a zero byte.
const chrome = spawn(process.env.CHROMIUM ?? "/usr/bin/chromium", ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
let next = 1;
const waiting = new Map();
const handlers = [];
let buffer = Buffer.alloc(0);
chrome.stdio[4].on("data", (chunk) => {
  buffer = Buffer.concat([buffer, chunk]);
  for (let end; (end = buffer.indexOf(0)) >= 0;) {
    const message = JSON.parse(buffer.subarray(0, end).toString());
    buffer = buffer.subarray(end + 1);
    if (message.id) { const w = waiting.get(message.id); waiting.delete(message.id); message.error ? w.bad(new Error(message.error.message)) : w.ok(message.result); }
    else for (const f of handlers) f(message);
  }
});
const send = (method, params = {}, sessionId) => new Promise((ok, bad) => {
  waiting.set(next, { ok, bad });
  chrome.stdio[3].write(JSON.stringify({ id: next++, method, params, sessionId }) + "\0");
});

const names = flags.only ? flags.only.split(",") : [...(await (await fetch(`${flags.url}/gallery`)).text()).matchAll(/href="\/gallery\/([^"]+)"/g)].map((m) => m[1]);
const sizes = (name) => {
  if (flags.size) return [flags.size.split("x").map(Number)];
  if (/^wall(-|$)/.test(name)) return [[1920, 1080]];
  if (name.startsWith("status") || name.startsWith("page-")) return [[390, 844]];
  if (name.startsWith("room") || name === "board-busy" || name === "signin") return [[1440, 900], [390, 844]];
  return [[1440, 900]];
};

let faults = 0;
for (const name of names) {
  for (const [width, height] of sizes(name)) {
    const { targetId } = await send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
    const said = [];
    const listen = (m) => {
      if (m.sessionId !== sessionId) return;
      if (m.method === "Runtime.exceptionThrown") said.push(`exception: ${m.params.exceptionDetails.exception?.description ?? m.params.exceptionDetails.text}`);
      if (m.method === "Log.entryAdded" && m.params.entry.level === "error") said.push(`console: ${m.params.entry.text} ${m.params.entry.url ?? ""}`);
      if (m.method === "Runtime.consoleAPICalled" && m.params.type === "error") said.push(`console: ${m.params.args.map((a) => a.value).join(" ")}`);
    };
    handlers.push(listen);
    for (const domain of ["Page", "Runtime", "Log"]) await send(`${domain}.enable`, {}, sessionId);
    await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 700 }, sessionId);
    if (flags.media) await send("Emulation.setEmulatedMedia", { media: flags.media }, sessionId);
    const loaded = new Promise((done) => handlers.push((m) => { if (m.sessionId === sessionId && m.method === "Page.loadEventFired") done(); }));
    await send("Page.navigate", { url: `${flags.url}/gallery/${name}` }, sessionId);
    await loaded;
    await send("Runtime.evaluate", { expression: "document.fonts.ready.then(() => new Promise((done) => setTimeout(done, 500)))", awaitPromise: true }, sessionId);
    if (flags.eval) {
      const { result } = await send("Runtime.evaluate", { expression: flags.eval, awaitPromise: true, returnByValue: true }, sessionId);
      console.log(name, width, JSON.stringify(result.value));
      await new Promise((done) => setTimeout(done, 300));
    }
    if (flags.out) {
      await mkdir(flags.out, { recursive: true });
      const { data } = await send("Page.captureScreenshot", { format: "png" }, sessionId);
      await writeFile(join(flags.out, `${name}-${width}.png`), Buffer.from(data, "base64"));
    }
    const { result: wide } = await send("Runtime.evaluate", { expression: "document.documentElement.scrollWidth - innerWidth", returnByValue: true }, sessionId);
    if (wide.value > 0) said.push(`the page is ${wide.value} px wider than the screen`);
    if (!flags["no-axe"]) {
      await send("Page.setBypassCSP", { enabled: true }, sessionId);
      await send("Runtime.evaluate", { expression: axe }, sessionId);
      const { result } = await send("Runtime.evaluate", { expression: "axe.run().then((r) => JSON.stringify(r.violations.map((v) => ({ id: v.id, help: v.help, nodes: v.nodes.map((n) => n.target.join(' ') + ' | ' + (n.any[0]?.message ?? n.all[0]?.message ?? n.none[0]?.message ?? '')) }))))", awaitPromise: true, returnByValue: true }, sessionId);
      for (const v of JSON.parse(result.value ?? "[]")) said.push(`axe ${v.id}: ${v.help} (${v.nodes.length})\n      ${v.nodes.slice(0, 4).join("\n      ")}`);
    }
    if (said.length) { faults += said.length; console.log(`${name} ${width}x${height}\n    ${said.join("\n    ")}`); }
    handlers.length = 0;
    await send("Target.closeTarget", { targetId });
  }
}
console.log(faults ? `${faults} findings` : "no findings");
chrome.kill();
await new Promise((done) => chrome.on("exit", done));
await rm(profile, { recursive: true, force: true });
process.exit(faults ? 1 : 0);
