// Keeps what is marked `data-live` as the server has it now: the page is fetched again and those parts are exchanged, so
// that everything is drawn in one place. Where one is on the page stays: focus, scrolling, what is open.

import { startCharts, drawCursors } from "./charts.js";

const EVERY = 5_000;
const TIMEOUT = 15_000;

let last = new Map();
let timer = null;
let asked = 0;
let shown = 0;

startCharts();
tellLocalTimes(document);
remember(document, last);
markLive(true);
schedule();
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) refresh();
});

function schedule() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, EVERY);
}

/** Asks for the page now; it is asked for every few seconds anyway. */
export async function refresh() {
  const number = ++asked;
  try {
    // A page that is asked for again was not visited again.
    const headers = { accept: "text/html", "x-kboard-refresh": "1" };
    const answer = await fetch(location.href, { headers, signal: AbortSignal.timeout(TIMEOUT) });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const text = await answer.text();
    // Of two that were asked for at once, the older may come last.
    if (number > shown) exchange(new DOMParser().parseFromString(text, "text/html"));
    shown = Math.max(shown, number);
    markLive(true);
  } catch {
    markLive(false);
  }
  schedule();
}

function markLive(isLive) {
  document.documentElement.classList.toggle("is-live", isLive);
  document.documentElement.classList.toggle("is-stale", !isLive);
}

/** What the server said, before scripts changed it. */
function remember(from, into) {
  for (const part of from.querySelectorAll("[data-live]")) into.set(part.id, part.innerHTML);
}

function exchange(fresh) {
  const now = new Map();
  remember(fresh, now);
  for (const part of document.querySelectorAll("[data-live]")) {
    const found = fresh.getElementById(part.id);
    if (!found || now.get(part.id) === last.get(part.id)) continue;
    const place = placeIn(part);
    tellLocalTimes(found);
    part.replaceChildren(...document.adoptNode(found).childNodes);
    restore(part, place);
    part.classList.add("is-fresh");
  }
  last = now;
  drawCursors();
}

/** Where one is in a part: the focused element, open details, how far frames are scrolled. */
function placeIn(part) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const all = focused ? [...part.querySelectorAll(focused.localName)] : [];
  return {
    name: focused?.localName,
    href: focused?.getAttribute("href"),
    label: focused?.getAttribute("aria-label"),
    at: all.indexOf(focused),
    open: [...part.querySelectorAll("details[open]")].map((details) => details.id),
    scrolled: [...part.querySelectorAll(".table-frame")].map((frame) => [frame.scrollLeft, frame.scrollTop]),
  };
}

function restore(part, place) {
  for (const id of place.open) part.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  [...part.querySelectorAll(".table-frame")].forEach((frame, number) => frame.scrollTo(...(place.scrolled[number] ?? [0, 0])));
  if (!place.name) return;
  const all = [...part.querySelectorAll(place.name)];
  const same = all.find((element) => (place.href && element.getAttribute("href") === place.href) || (place.label && element.getAttribute("aria-label") === place.label));
  (same ?? all[Math.min(place.at, all.length - 1)])?.focus({ preventScroll: true });
}

/** Times of day are UTC without scripts, and the reader's own with them. */
function tellLocalTimes(root) {
  for (const time of root.querySelectorAll("time[data-clock]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.title = `${moment.toLocaleString()} (${time.dateTime})`;
    const fraction = time.dataset.clock === "ms" ? { fractionalSecondDigits: 3 } : {};
    time.textContent = moment.toLocaleTimeString(undefined, { hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit", ...fraction });
  }
}
