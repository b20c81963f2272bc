// Charts: points from /charts/<id>, then live samples. Nothing is drawn that is not known.
import uPlot from "uplot";
import { $, $$ } from "./dom.js";
import { now, tick } from "./clock.js";
import { onLive, onSamples } from "./live.js";
import { onChange } from "./morph.js";

const drawn = new Map(); // id -> { figure, plot, t, names, values, window }

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const wall = () => document.body.dataset.page === "wall";
const ms = (t) => (t < 1e11 ? t * 1000 : t);

function text(v) {
  if (v === null || v === undefined || !Number.isFinite(v)) return "–";
  const a = Math.abs(v);
  if (a >= 1e9) return `${(v / 1e9).toPrecision(3)} G`;
  if (a >= 1e6) return `${(v / 1e6).toPrecision(3)} M`;
  if (a >= 1e4) return Math.round(v).toLocaleString("en").replace(/,/g, "\u202f");
  if (a < 0.0005) return "0"; // what is left of a subtraction is not a figure
  if (a >= 100 || Number.isInteger(v)) return String(Math.round(v * 10) / 10);
  return String(Number(v.toPrecision(3)));
}

function hhmm(seconds) {
  const d = new Date(seconds * 1000);
  return `${String(d.getUTCHours()).padStart(2, "0")}:${String(d.getUTCMinutes()).padStart(2, "0")}`;
}

// until is where the time axis ends: with a forecast it leaves room for the fan, never more than half as much again as the past has.
function until(chart) {
  const t = now();
  const { ahead } = chart;
  if (!ahead) return t;
  const far = ahead.high || (ahead.median ? 2 * ahead.median - ahead.now : 0);
  return t + Math.min(Math.max((far - t) * 1.1, chart.window * 0.15), chart.window * 1.5);
}

// fan draws the bound, and from the newest value the times at which it is reached 8 times of 10, the likeliest as a dashed line.
function fan(chart, u, font, size) {
  const { ahead } = chart;
  if (!ahead) return;
  const { ctx, bbox } = u;
  const x = (t) => u.valToPos(t / 1000, "x", true);
  const y = (v) => u.valToPos(v, "y", true);
  const end = chart.end * 1000;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const ratio = devicePixelRatio || 1;
  ctx.lineWidth = ratio;
  ctx.strokeStyle = css("--ink-2");
  ctx.setLineDash([4 * ratio, 4 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y(ahead.bound));
  ctx.lineTo(bbox.left + bbox.width, y(ahead.bound));
  ctx.stroke();
  if (ahead.low) {
    const corners = [[ahead.now, ahead.value], [ahead.low, ahead.bound]];
    if (ahead.high) corners.push([ahead.high, ahead.bound]);
    else corners.push([Math.max(end, ahead.low), ahead.bound], [Math.max(end, ahead.low), ahead.value]); // it may also never come to it
    ctx.fillStyle = css("--ink");
    ctx.globalAlpha = 0.14;
    ctx.beginPath();
    corners.forEach(([t, v], i) => (i ? ctx.lineTo(x(t), y(v)) : ctx.moveTo(x(t), y(v))));
    ctx.closePath();
    ctx.fill();
    ctx.globalAlpha = 1;
  }
  if (ahead.median) {
    ctx.strokeStyle = css("--ink");
    ctx.setLineDash([2 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x(ahead.now), y(ahead.value));
    ctx.lineTo(x(ahead.median), y(ahead.bound));
    ctx.stroke();
  }
  ctx.font = font.replace(/^\d+/, String(Math.round(size * ratio)));
  ctx.fillStyle = css("--ink-2");
  ctx.textAlign = "left";
  const below = y(ahead.bound) - size * 1.6 * ratio < bbox.top;
  ctx.textBaseline = below ? "top" : "bottom";
  ctx.fillText(`bound ${text(ahead.bound)}`, bbox.left + size * 0.5 * ratio, y(ahead.bound) + (below ? 3 : -3) * ratio);
  ctx.restore();
}

function options(chart, box) {
  const scale = wall() ? parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 : 1;
  const size = wall() ? Math.round(28 * scale) : 12;
  const font = `${size}px Inter, sans-serif`;
  const low = Number(chart.figure.dataset.low);
  const high = Number(chart.figure.dataset.high);
  const severity = getComputedStyle(chart.figure).getPropertyValue("--sev").trim();
  const inks = [wall() && severity ? severity : css("--ink"), css("--ink-3"), css("--sev4"), css("--ink-2")];
  const axis = { stroke: css("--ink-3"), font, ticks: { show: false } };
  if (wall()) axis.stroke = css("--ink-2");
  return {
    width: Math.max(box.clientWidth, 80),
    height: Math.max(box.clientHeight, 60),
    cursor: { show: !wall(), y: false, points: { size: 6 } },
    legend: { show: false },
    padding: [size * 0.75, size, 0, 0],
    scales: {
      x: { time: true, range: () => { chart.end = until(chart) / 1000; return [(now() - chart.window) / 1000, chart.end]; } },
      y: { range: (_, min, max) => {
        if (!Number.isFinite(min) || !Number.isFinite(max)) return [0, 1];
        const bottom = Math.min(0, min, chart.ahead?.bound ?? 0);
        const top = Math.max(max, high > low ? high : max, chart.ahead?.bound ?? max);
        return [bottom, top === bottom ? bottom + 1 : top + (top - bottom) * 0.08];
      } },
    },
    axes: [
      { ...axis, grid: { show: false }, gap: size * 0.5, size: size * 2, space: size * 8, values: (_, list) => list.map(hhmm) },
      { ...axis, grid: { stroke: css("--line-soft"), width: 1 }, size: size * 4.2, space: size * 1.6, values: (_, list) => list.map(text) },
    ],
    series: [{}, ...chart.names.map((name, i) => ({ label: name, stroke: inks[i % inks.length], width: (i === 0 ? 1.5 : 1) * (wall() ? 2 * scale : 1), points: { show: false }, spanGaps: false }))],
    hooks: {
      drawClear: [(u) => {
        if (!(high > low)) return;
        const { ctx } = u;
        const top = u.valToPos(high, "y", true);
        const bottom = u.valToPos(low, "y", true);
        ctx.save();
        ctx.fillStyle = css("--lifted");
        ctx.fillRect(u.bbox.left, top, u.bbox.width, bottom - top);
        ctx.restore();
      }],
      draw: [(u) => fan(chart, u, font, size)],
      setCursor: [(u) => {
        const out = $("[data-last]", chart.figure);
        if (!out) return;
        if (u.cursor.idx === null || u.cursor.idx === undefined || u.cursor.left < 0) { last(chart); return; }
        out.textContent = text(u.data[1]?.[u.cursor.idx]);
      }],
    },
  };
}

function last(chart) {
  const out = $("[data-last]", chart.figure);
  if (!out || chart.t.length === 0) return;
  const v = chart.values[0]?.[chart.t.length - 1];
  out.textContent = text(v);
  const age = $(".chart-last .age", chart.figure);
  if (age) {
    const t = chart.t[chart.t.length - 1];
    age.dataset.t = String(t);
    age.dataset.as = "age";
    age.classList.remove("none");
    tick(chart.figure);
  }
}

function points(chart) { return [chart.t.map((t) => t / 1000), ...chart.values]; }

function draw(chart) {
  const box = $(".plot", chart.figure);
  if (!box) return;
  if (chart.t.length === 0) { box.dataset.empty = "no samples yet"; return; }
  delete box.dataset.empty;
  if (!chart.plot || chart.plot.root.parentNode !== box || chart.plot.series.length !== chart.names.length + 1) {
    chart.plot?.destroy();
    box.textContent = "";
    chart.plot = new uPlot(options(chart, box), points(chart), box);
    chart.plot.root.setAttribute("aria-hidden", "true");
  } else chart.plot.setData(points(chart));
  last(chart);
}

function merge(chart, t, series) {
  const index = new Map(chart.t.map((x, i) => [x, i]));
  for (const s of series) if (!chart.names.includes(s.name)) { chart.names.push(s.name); chart.values.push(chart.t.map(() => null)); }
  t.forEach((raw, i) => {
    const at = ms(raw);
    let where = index.get(at);
    if (where === undefined) {
      where = chart.t.length;
      while (where > 0 && chart.t[where - 1] > at) where--;
      chart.t.splice(where, 0, at);
      for (const values of chart.values) values.splice(where, 0, null);
      if (where === chart.t.length - 1) index.set(at, where);
      else { index.clear(); chart.t.forEach((x, n) => index.set(x, n)); }
    }
    for (const s of series) {
      const v = s.values[i];
      if (v !== null && v !== undefined) chart.values[chart.names.indexOf(s.name)][where] = Number(v);
    }
  });
  const from = now() - chart.window * 1.1;
  let cut = 0;
  while (cut < chart.t.length && chart.t[cut] < from) cut++;
  if (cut) { chart.t.splice(0, cut); for (const values of chart.values) values.splice(0, cut); }
}

async function load(chart) {
  try {
    const answer = await fetch(`/charts/${chart.id.split("/").map(encodeURIComponent).join("/")}?window=${chart.window}`, { credentials: "same-origin" });
    if (answer.status === 404 && chart.ahead) { // the figure is not near its bound any more
      chart.ahead = null;
      const says = $(".chart-says", chart.figure);
      if (says) says.textContent = "Nothing is forecast of it any more.";
      draw(chart);
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const { t = [], series = [], ahead } = await answer.json();
    chart.ahead = ahead;
    if (ahead) { chart.t = []; chart.values = chart.names.map(() => []); } // it comes whole each time
    merge(chart, t, series);
    draw(chart);
    const says = ahead && $(".chart-says", chart.figure);
    if (says) says.textContent = ahead.sentence;
  } catch {
    if (chart.t.length === 0) { const box = $(".plot", chart.figure); if (box) box.dataset.empty = "no samples"; }
  }
}

const sizes = typeof ResizeObserver === "undefined" ? null : new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const chart = drawn.get(target.closest("[data-chart]")?.dataset.chart);
    if (chart?.plot && target.clientWidth > 0) chart.plot.setSize({ width: target.clientWidth, height: Math.max(target.clientHeight, 40) });
  }
});

function scan() {
  const seen = new Set();
  for (const figure of $$("[data-chart]")) {
    const id = figure.dataset.chart;
    seen.add(id);
    const known = drawn.get(id);
    if (known) {
      known.figure = figure;
      if (known.plot && !figure.contains(known.plot.root)) { known.plot.destroy(); known.plot = null; draw(known); sizes?.observe($(".plot", figure)); }
      else last(known);
      continue;
    }
    const chart = { id, figure, plot: null, t: [], names: [], values: [], window: Number(figure.dataset.window) || 3600_000 };
    drawn.set(id, chart);
    sizes?.observe($(".plot", figure));
    load(chart);
  }
  for (const [id, chart] of drawn) if (!seen.has(id)) { chart.plot?.destroy(); drawn.delete(id); }
}

// soon draws at the next frame, however many points come before it.
const due = new Set();
function soon(chart) {
  if (due.size === 0) requestAnimationFrame(() => { const all = [...due]; due.clear(); for (const c of all) if (drawn.get(c.id) === c) draw(c); });
  due.add(chart);
}

export function startCharts() {
  scan();
  onChange((element) => { if (element.querySelector?.("[data-chart]") || drawn.size) scan(); });
  onSamples((id, samples) => {
    const chart = drawn.get(id);
    if (!chart) return;
    merge(chart, samples.t ?? [], samples.series ?? []);
    soon(chart);
  });
  let first = true;
  onLive(() => { if (first) { first = false; return; } for (const chart of drawn.values()) load(chart); });
  setInterval(() => { for (const chart of drawn.values()) if (chart.ahead && !document.hidden) load(chart); }, 60_000); // as often as it is looked at
  setInterval(() => { for (const chart of drawn.values()) if (chart.plot && chart.t.length) chart.plot.setData(points(chart)); }, 5000); // the time axis moves on
  document.fonts?.ready.then(() => { for (const chart of drawn.values()) chart.plot?.redraw(false, true); });
}
