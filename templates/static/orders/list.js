// The list of orders, as it goes: rows change where they are, and new ones go in on top while the reader is there. While
// they read further down nothing moves under their eyes: orders wait, and a pill says how many.

import { keepOpen } from "../connection.js";
import { Stream } from "../stream.js";
import { plural } from "../text.js";
import { exactTime, isoTime, relativeTime } from "../time.js";

/** The most rows of the page, and the most orders that wait. */
const MAX_SHOWN = 300;
/** More than this many at once would be a flicker, not an arrival. */
const MAX_ANIMATED = 6;
const TICK = 15_000;
/** How often a screen reader is told what arrived, summed up. */
const ANNOUNCE_EVERY = 4_000;
/** How an order may go on from here: an older word is not believed. */
const RANKS = { PENDING: 0, PAYMENT_AUTHORIZED: 1, INVENTORY_RESERVED: 1, PAYMENT_DECLINED: 2, INVENTORY_REJECTED: 2, COMPLETED: 3, CANCELLED: 3 };

const byId = (id) => document.getElementById(id);
const list = byId("orders");
const pill = byId("new-orders");
const announcer = byId("announcer");
const wanted = { status: list.dataset.status, customer: list.dataset.customer };
const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });

const rows = new Map(); // id → tr, for what is shown
let told = new Map(); // id → the last that was told of it, until the next frame
const waiting = new Map(); // id → an order that isn't shown yet
let isAtTop = true;
let frame = 0;
let arrived = 0;
let announcing = 0;

for (const row of list.rows) adopt(row);
tick();
setInterval(() => { if (!document.hidden) tick(); }, TICK);
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });

if (!("older" in list.dataset)) goLive();
document.documentElement.dataset.ready = "true";

function goLive() {
  const last = byId("list-top");
  new IntersectionObserver(([entry]) => {
    // Not visible also means "further down": only above the view counts as away.
    isAtTop = entry.isIntersecting || entry.boundingClientRect.top > 0;
    if (isAtTop) schedule();
  }, { rootMargin: "-56px 0px 0px" }).observe(last);
  pill.addEventListener("click", () => {
    isAtTop = true;
    insert();
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    last.scrollIntoView({ block: "center", behavior: calm ? "instant" : "smooth" });
    list.querySelector(".order-link")?.focus({ preventScroll: true });
  });

  const stream = new Stream("/api/orders/stream", list.dataset.lastEventId);
  stream.onMessage = receive;
  // Of what happened before the window, the list itself tells.
  stream.onReset = (orders) => { orders.forEach(receive); catchUp(); };
  keepOpen(stream);
}

/** The newest orders, after more has happened than the stream could tell. */
async function catchUp() {
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
  const answer = await fetch(`/api/orders?${query}`).then((answer) => (answer.ok ? answer.json() : null), () => null);
  for (const order of answer?.orders ?? []) receive({ ...order, placedAt: Date.parse(order.placedAt) });
}

function receive(order) {
  if (!isOrder(order)) return;
  const known = told.get(order.orderId);
  if (known && RANKS[known.status] > RANKS[order.status]) return;
  told.set(order.orderId, order);
  schedule();
}

function isOrder(value) {
  return typeof value?.orderId === "string" && typeof value.userId === "string" && Object.hasOwn(RANKS, value.status) &&
    Number.isFinite(value.total) && Number.isFinite(value.placedAt);
}

function schedule() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    const orders = [...told.values()];
    told = new Map();
    for (const order of orders) take(order);
    if (isAtTop) insert();
    else showPill();
  });
}

/** Changes the row of an order that is shown; any other waits, if it is wanted here. */
function take(order) {
  const row = rows.get(order.orderId);
  if (row) return setStatus(row, order.status);
  const before = waiting.get(order.orderId);
  if (before && RANKS[before.status] > RANKS[order.status]) return;
  waiting.delete(order.orderId);
  if (isWanted(order)) waiting.set(order.orderId, order);
  if (waiting.size > MAX_SHOWN) waiting.delete(waiting.keys().next().value);
}

/** Whether an order belongs on this page: by the filter, and not below its end, where older pages begin. Of orders that were
    placed at the same moment, those with the greater ids come first. */
function isWanted({ orderId, status, userId, placedAt }) {
  if ((wanted.status && status !== wanted.status) || (wanted.customer && userId !== wanted.customer)) return false;
  const last = list.rows[list.rows.length - 1];
  const isFull = "more" in list.dataset || list.rows.length >= MAX_SHOWN;
  if (!isFull || !last) return true;
  const end = placedAtOf(last);
  return placedAt > end || (placedAt === end && orderId > last.dataset.id);
}

function insert() {
  const orders = [...waiting.values()].sort((one, other) => other.placedAt - one.placedAt);
  waiting.clear();
  showPill();
  if (orders.length === 0) return;
  let before = list.rows[0];
  for (const order of orders) {
    while (before && placedAtOf(before) > order.placedAt) before = before.nextElementSibling;
    const row = create(order);
    row.classList.toggle("arriving", orders.length <= MAX_ANIMATED);
    list.insertBefore(row, before ?? null);
  }
  while (list.rows.length > MAX_SHOWN) {
    const last = list.rows[list.rows.length - 1];
    rows.delete(last.dataset.id);
    last.remove();
    list.dataset.more = "";
  }
  byId("orders-card").hidden = false;
  byId("nothing").hidden = true;
  announce(orders.length);
}

function showPill() {
  pill.hidden = waiting.size === 0;
  if (waiting.size > 0) pill.textContent = plural(waiting.size, "new order");
}

function announce(count) {
  arrived += count;
  announcing ||= setTimeout(() => {
    announcer.textContent = plural(arrived, "new order");
    [arrived, announcing] = [0, 0];
  }, ANNOUNCE_EVERY);
}

function create({ orderId, status, userId, total, placedAt }) {
  const row = byId("order-template").content.firstElementChild.cloneNode(true);
  row.dataset.id = orderId;
  const link = row.querySelector(".order-link");
  link.href = `/orders/${encodeURIComponent(orderId)}`;
  link.title = orderId;
  link.textContent = [...orderId].slice(-12).join("");
  const customer = row.querySelector(".order-customer");
  customer.href = `/orders?${new URLSearchParams({ customer: userId })}`;
  customer.textContent = userId;
  row.querySelector(".order-total").textContent = money.format(total);
  const time = row.querySelector(".order-time");
  time.dateTime = isoTime(placedAt);
  time.textContent = relativeTime(placedAt);
  setStatus(row, status);
  adopt(row);
  return row;
}

function setStatus(row, status) {
  const cell = row.querySelector(".order-status");
  const now = cell.firstElementChild.dataset.status;
  if (now === status || RANKS[now] > RANKS[status]) return;
  const badge = byId("badges").content.querySelector(`[data-status="${status}"]`);
  cell.replaceChildren(badge.cloneNode(true));
}

/** The reader's time zone is known only here. */
function adopt(row) {
  row.querySelector(".order-time").title = exactTime(placedAtOf(row));
  rows.set(row.dataset.id, row);
}

function tick(now = Date.now()) {
  for (const row of list.rows) {
    const time = row.querySelector(".order-time");
    const text = relativeTime(placedAtOf(row), now);
    if (time.textContent !== text) time.textContent = text;
  }
}

function placedAtOf(row) {
  return Date.parse(row.querySelector(".order-time").dateTime);
}
