// Reads a chart's values where the pointer is, or with the arrow keys. The chart itself is drawn by the server.

// By chart, since the parts of a page are exchanged under it: the moment that is looked at.
const looked = new Map();

export function startCharts() {
  document.addEventListener("pointermove", (event) => {
    const plot = event.target.closest?.("[data-chart]");
    for (const key of looked.keys()) if (key !== keyOf(plot) && !isFocused(key)) forget(key);
    if (plot) look(plot, timeAt(plot, event.clientX));
  });
  document.addEventListener("pointerleave", () => [...looked.keys()].forEach(forget));
  document.addEventListener("focusin", (event) => {
    const plot = event.target.closest?.("[data-chart]");
    if (plot && plot.matches(":focus-visible") && !looked.has(keyOf(plot))) look(plot, Infinity);
  });
  document.addEventListener("focusout", (event) => {
    const plot = event.target.closest?.("[data-chart]");
    // A part that is exchanged loses its focus for a moment, and gets it back.
    if (plot?.isConnected && event.relatedTarget) forget(keyOf(plot));
  });
  document.addEventListener("keydown", (event) => {
    const plot = event.target.closest?.("[data-chart]");
    if (!plot) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") forget(keyOf(plot));
    if (step === undefined) return;
    event.preventDefault();
    const { times } = dataOf(plot);
    const at = nearest(times, looked.get(keyOf(plot)) ?? Infinity);
    look(plot, times[Math.min(Math.max(at + step, 0), times.length - 1)]);
  });
}

/** Draws the cursors again, after the page was exchanged under them. */
export function drawCursors() {
  for (const [key, time] of looked) {
    const plot = document.getElementById(key)?.querySelector("[data-chart]");
    if (plot) look(plot, time);
    else looked.delete(key);
  }
}

const keyOf = (plot) => plot?.closest("figure").id;
const dataOf = (plot) => JSON.parse(plot.dataset.chart);
const isFocused = (key) => document.activeElement?.matches?.("[data-chart]:focus-visible") && keyOf(document.activeElement) === key;

function timeAt(plot, clientX) {
  const { left, width } = plot.getBoundingClientRect();
  const { times, span, breadth } = dataOf(plot);
  return times.at(-1) + breadth / 2 - span * (1 - (clientX - left) / width);
}

function nearest(times, time) {
  let best = times.length - 1;
  for (let at = 0; at < times.length; at++) if (Math.abs(times[at] - time) < Math.abs(times[best] - time)) best = at;
  return best;
}

function forget(key) {
  looked.delete(key);
  document.getElementById(key)?.querySelectorAll(".chart-cursor, .chart-tip").forEach((part) => part.remove());
}

function look(plot, time) {
  const data = dataOf(plot);
  const at = nearest(data.times, time);
  looked.set(keyOf(plot), time === Infinity ? Infinity : data.times[at]);
  const share = 1 - (data.times.at(-1) - data.times[at] + data.breadth / 2) / data.span;
  const cursor = plot.querySelector(".chart-cursor") ?? append(plot, "div", "chart-cursor");
  cursor.style.left = `${share * 100}%`;
  const tip = plot.querySelector(".chart-tip") ?? append(plot, "div", "chart-tip");
  tip.setAttribute("role", "status");
  tip.replaceChildren(when(data.times[at]), values(data, at));
  const [half, gap] = [share > 0.5, "0.6rem"];
  tip.style.right = half ? `calc(${(1 - share) * 100}% + ${gap})` : "auto";
  tip.style.left = half ? "auto" : `calc(${share * 100}% + ${gap})`;
}

function append(to, name, className) {
  const part = Object.assign(document.createElement(name), { className });
  to.append(part);
  return part;
}

function when(time) {
  return Object.assign(document.createElement("b"), { textContent: new Date(time).toLocaleTimeString(undefined, { hour12: false }) });
}

function values({ unit, lines }, at) {
  const list = document.createElement("dl");
  lines.forEach(([name, values], number) => {
    const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    swatch.setAttribute("class", `swatch hue-${number + 1}`);
    swatch.setAttribute("viewBox", "0 0 10 10");
    swatch.setAttribute("aria-hidden", "true");
    const square = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of [["width", 10], ["height", 10], ["rx", 2.5]]) square.setAttribute(key, value);
    swatch.append(square);
    const term = Object.assign(document.createElement("dt"), { textContent: name });
    const value = Object.assign(document.createElement("dd"), { textContent: say(unit, values[at]) });
    list.append(swatch, term, value);
  });
  return list;
}

/** As the server says it: see web/human.rs. */
function say(unit, value) {
  if (value === null || value === undefined) return "–";
  const count = (number) => Math.round(number).toLocaleString("en");
  if (unit === "records" || unit === "count") return count(value);
  if (unit === "money") return (value / 100).toLocaleString("en", { style: "currency", currency: "USD" }).replace("-", "−");
  if (unit === "rate") return value === 0 ? "0" : value < 10 ? `${value.toFixed(1)}/s` : `${count(value)}/s`;
  if (value === 0) return "0";
  if (value < 10) return `${value.toFixed(1)}s`;
  const units = [["d", 86_400, Infinity], ["h", 3_600, 24], ["m", 60, 60], ["s", 1, 60]];
  const parts = units.map(([name, size, most]) => [name, Math.floor(value / size) % most]).filter(([, number], at, all) => {
    const first = all.findIndex(([, number]) => number > 0);
    return number > 0 && at < first + 2;
  });
  return parts.map(([name, number]) => `${number}${name}`).join(" ");
}
