// Orders as people place and watch them, in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Board } from "./support/board.js";
import { Browser } from "./support/browser.js";
import { eventually } from "./support/server.js";

const EVIL = `"'><img/src=x/onerror="window.hacked=1"><script>window.hacked=1</script>{{7*7}}`;
/** Of an id, only so much is allowed, and no space. */
const EVIL_ID = `"'><img/src=x/onerror="window.hacked=1">{{7*7}}`;

/** Settings with which nothing fails. */
const CALM = { payment_decline_above: null, payment_decline_chance: 0, payment_unavailable_chance: 0, inventory_failure_chance: 0 };

let shop;
let browser;

before(async () => {
  shop = await Board.start();
  // Every service of a server that starts begins with the switches as they are.
  await set(CALM);
  await shop.main.end();
  await shop.main.start();
  browser = await Browser.start();
});

after(async () => {
  await browser?.end();
  await shop?.end();
});

/** A test on a page of its own, which must not complain. */
function on(path, name, steps, options) {
  test(name, async () => {
    const page = await browser.open(`${shop.url}${path}`, options);
    try {
      await steps(page);
      assert.deepEqual(page.problems.filter((problem) => !/status of 4\d\d/.test(problem)), [], "the page complained");
      assert.equal(await page.evaluate("window.hacked"), undefined);
    } finally {
      await page.context().close();
    }
  });
}

async function set(switches) {
  const answer = await fetch(`${shop.url}/api/orders/switches`, { method: "PUT", body: JSON.stringify(switches) });
  assert.equal(answer.status, 200, await answer.text());
}

/** Places an order as a program would; its id. */
async function place(userId, items = [{ productId: "mug", quantity: 1, price: 12.5 }], url = shop.url) {
  const body = JSON.stringify({ userId, items });
  const answer = await fetch(`${url}/api/orders`, { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal(answer.status, 202, await answer.clone().text());
  return (await answer.json()).orderId;
}

/** The order, once the API says so of it. */
const orderThat = (what, id, holds) => eventually(`order ${id} that is ${what}`, async () => {
  const answer = await fetch(`${shop.url}/api/orders/${encodeURIComponent(id)}`);
  const order = answer.ok ? await answer.json() : null;
  return order && holds(order) && order;
});

const ended = (id) => orderThat("ended", id, ({ status }) => status === "COMPLETED" || status === "CANCELLED");
const customer = (() => { let count = 0; return (name) => `${name}-${process.pid}-${count++}`; })();
/** A step of the picture that is shown, in this state. */
const step = (page, name, state) => page.locator(`.saga-wide [data-step="${name}"][data-state="${state}"]`).waitFor({ state: "attached" });
const ids = (page) => page.locator("#orders tr").evaluateAll((rows) => rows.map((row) => row.dataset.id));
const row = (page, id) => page.locator(`#orders tr[data-id="${id}"]`);

/** Fills the form and sends it. */
async function order(page, name, quantities) {
  for (const [product, quantity] of Object.entries(quantities)) await page.fill(`#quantity-${product}`, `${quantity}`);
  await page.fill("#customer", name);
  await page.getByRole("button", { name: "Place order" }).click();
}

on("/orders", "a shop without orders says what to do", async (page) => {
  await page.getByText("No orders yet").waitFor();
  await page.getByRole("link", { name: "Place the first one" }).click();
  assert.equal(new URL(page.url()).pathname, "/orders/new");
});

on("/orders/new", "an order is put together, placed, and goes on by itself", async (page) => {
  assert.equal(await page.textContent("#total"), "$0.00");
  await page.fill("#quantity-mug", "2");
  await page.fill("#quantity-laptop", "1");
  assert.equal(await page.textContent("#total"), "$1,324.00");
  await page.press("#quantity-mug", "ArrowDown");
  assert.equal(await page.textContent("#total"), "$1,311.50");
  await page.getByRole("button", { name: "Place order" }).click();
  assert.match(await page.textContent("#error"), /who orders/);
  assert.equal(await page.inputValue("#quantity-laptop"), "1", "what was typed is kept");
  assert.equal(await page.textContent("#total"), "$1,311.50");

  const name = customer("ada");
  await page.fill("#customer", name);
  await page.getByRole("button", { name: "Place order" }).click();
  await page.waitForURL(/\/orders\/[0-9a-f-]{36}$/);
  // It may come as one that isn't known yet.
  await page.waitForSelector("#saga");
  for (const name of ["placed", "payment", "inventory", "outcome", "notification"]) await step(page, name, "done");
  for (const name of ["refund", "release"]) await step(page, name, "skipped");
  await page.locator("#what .badge", { hasText: "Completed" }).waitFor();
  assert.match(await page.textContent("#what"), /\$1,311\.50 for 2 pieces/);
  await page.locator("#timeline [data-event=notification]").waitFor();
  const events = await page.locator("#timeline li").evaluateAll((items) => items.map((item) => item.dataset.event));
  assert.deepEqual([events.at(0), events.at(-2), events.at(-1)], ["OrderPlaced", "OrderCompleted", "notification"]);
  assert.deepEqual(new Set(events.slice(1, 3)), new Set(["PaymentAuthorized", "InventoryReserved"]));
  assert.match(await page.textContent("#items"), /Laptop, 14 inch.*\$1,299\.00/s);

  await page.locator("#timeline a").first().click();
  await page.waitForURL(/\/console\/topics\/.*orders\.v1\/messages\/\d+\/\d+$/);
  assert.match(await page.textContent("main"), new RegExp(name));
});

on("/orders/new", "what can't be ordered is refused with the reason, and kept", async (page) => {
  for (const [name, quantities, reason, field] of [
    ["ada", {}, /Nothing is ordered/, null],
    ["ada", { mug: "1.5" }, /Coffee mug: the quantity must be a whole number/, "quantity-mug"],
    ["Ada Lovelace", { mug: "1" }, /customer's name may hold only visible/, "customer"],
  ]) {
    await order(page, name, quantities);
    await page.locator("#error", { hasText: reason }).waitFor();
    assert.equal(await page.inputValue("#customer"), name);
    if (field) assert.equal(await page.getAttribute(`#${field}`, "aria-invalid"), "true", field);
  }
});

test("an order is seen step by step, as each service comes", async () => {
  const slow = await Board.start({ args: ["--no-consumers"] });
  const switches = await fetch(`${slow.url}/api/orders/switches`, { method: "PUT", body: JSON.stringify(CALM) });
  assert.equal(switches.status, 200);
  const page = await browser.open(`${slow.url}/orders/new`);
  try {
    await order(page, "grace", { mug: 1 });
    await page.getByText("This order is not known yet").waitFor();
    await slow.consume("order-saga");
    await step(page, "placed", "done");
    await step(page, "payment", "waiting");
    await step(page, "inventory", "waiting");
    await step(page, "notification", "later");
    await page.waitForSelector('#connection[data-state="live"]');
    await slow.consume("payment-service");
    await step(page, "payment", "done");
    await step(page, "inventory", "waiting");
    await page.locator("#what .badge", { hasText: "Paid" }).waitFor();
    assert.equal(await page.locator("#timeline li").count(), 2);
    await slow.consume("inventory-service");
    await step(page, "inventory", "done");
    await step(page, "outcome", "done");
    await step(page, "notification", "waiting");
    await slow.consume("notification-service");
    await step(page, "notification", "done");
    await page.locator("#timeline", { hasText: "is complete" }).waitFor();
    assert.deepEqual(page.problems.filter((problem) => !/status of 404/.test(problem)), []);
  } finally {
    await page.context().close();
    await slow.end();
  }
});

on("/orders", "orders arrive on top and go on where they are", async (page) => {
  const id = await place(customer("live"));
  await row(page, id).waitFor();
  assert.equal((await ids(page))[0], id);
  await row(page, id).getByText("Completed").waitFor();
  assert.match(await row(page, id).textContent(), /\$12\.50/);
});

on("/orders", "random orders fill the list, which is filtered and paged", async (page) => {
  await page.getByRole("link", { name: "New order" }).first().click();
  await page.getByRole("button", { name: "Place 100" }).click();
  await page.getByText("100 random orders were placed").waitFor();
  await eventually("all of them, ended", async () => {
    const ask = async (query) => (await (await fetch(`${shop.url}/api/orders?limit=200&${query}`)).json()).orders.length;
    return (await ask("")) > 100 && (await ask("")) === (await ask("status=COMPLETED")) + (await ask("status=CANCELLED"));
  });

  await page.goto(`${shop.url}/orders`);
  const first = await ids(page);
  assert.equal(first.length, 50);
  await page.getByRole("link", { name: "Older orders" }).click();
  await page.waitForURL(/before=/);
  const second = await ids(page);
  assert.equal(new Set([...first, ...second]).size, 100, "pages go on where the last one ended");
  await page.getByRole("link", { name: "Back to the newest" }).click();
  await page.waitForURL((url) => !url.search.includes("before"));

  await page.selectOption("#status", "CANCELLED");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.waitForURL(/status=CANCELLED/);
  const cancelled = await page.locator("#orders .badge").allTextContents();
  assert.ok(cancelled.every((text) => text.includes("Cancelled")), `${cancelled}`);

  const name = customer("filtered");
  const [one, other] = [await place(name), await place(customer("other"))];
  await Promise.all([ended(one), ended(other)]);
  await page.goto(`${shop.url}/orders`);
  await page.fill("#customer", name);
  await page.getByRole("button", { name: "Filter" }).click();
  await page.waitForURL(/customer=filtered/);
  assert.deepEqual(await ids(page), [one]);
  // Live, too, only what is wanted arrives.
  await page.waitForSelector('#connection[data-state="live"]');
  await ended(await place(customer("other")));
  const next = await place(name);
  await row(page, next).waitFor();
  assert.deepEqual(await ids(page), [next, one]);
  await page.getByRole("link", { name: "All orders" }).click();
  await page.waitForURL((url) => url.search === "");
  assert.equal((await ids(page)).length, 50);
});

on("/orders", "what is read further down stays where it is", async (page) => {
  const read = page.locator("#orders tr").nth(30);
  await read.scrollIntoViewIfNeeded();
  const [id, top] = await read.evaluate((row) => [row.dataset.id, row.getBoundingClientRect().top]);
  assert.ok(await page.evaluate("scrollY > 200"));
  // By then the page knows that one reads further down.
  await page.evaluate(() => new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen))));
  const name = customer("above");
  await place(name);
  await place(name);
  const pill = page.getByRole("button", { name: "2 new orders" });
  await pill.waitFor();
  assert.equal(await row(page, id).evaluate((row) => row.getBoundingClientRect().top), top);
  await pill.click();
  await page.waitForFunction((name) => [...document.querySelectorAll("#orders tr")].slice(0, 2).every((row) => row.textContent.includes(name)), name);
});

on("/orders", "hostile names are text, on the page as it comes and as it goes on", async (page) => {
  const id = await place(EVIL_ID, [{ productId: "x", quantity: 2, price: 1, name: EVIL }]);
  await row(page, id).waitFor();
  assert.equal(await row(page, id).locator(".order-customer").textContent(), EVIL_ID);
  await ended(id);
  await page.reload();
  assert.equal(await row(page, id).locator(".order-customer").textContent(), EVIL_ID);
  await row(page, id).locator(".order-customer").click();
  await page.waitForURL(/customer=/);
  assert.deepEqual(await ids(page), [id]);
  assert.equal(await page.inputValue("#customer"), EVIL_ID);
  await row(page, id).locator(".order-link").click();
  await page.waitForSelector("#saga");
  assert.match(await page.textContent("#what"), /\{\{7\*7\}\}/);
  assert.equal(await page.locator("#items .name").first().textContent(), EVIL);
  await page.goto(`${shop.url}/orders/${encodeURIComponent(EVIL)}`);
  assert.equal(await page.locator(".unknown-id").textContent(), EVIL);
});

on("/orders/analytics", "what was ordered is counted, and comes by itself", async (page) => {
  const count = () => page.locator("#top li", { hasText: "Desk lamp" }).locator(".share-value").textContent().catch(() => "0");
  const before = Number((await page.locator("#top li", { hasText: "Desk lamp" }).count()) ? await count() : 0);
  const placed = await page.locator("#figures dd").first().textContent();
  await ended(await place(customer("lamp"), [{ productId: "lamp", quantity: 1_000, price: 59.9, name: "Desk lamp" }]));
  await page.locator("#top li", { hasText: "Desk lamp" }).getByText((before + 1_000).toLocaleString("en"), { exact: true }).waitFor();
  assert.notEqual(await page.locator("#figures dd").first().textContent(), placed);
  assert.match(await page.locator("#states li").first().textContent(), /Completed/);
  assert.match(await page.locator("#conversion").textContent(), /of orders placed|more by programs/);
  const views = Number((await page.locator("#conversion .share-value").first().textContent()).replaceAll(",", ""));
  assert.ok(views > 5, `${views} page views`);
  await page.locator("#chart-placed [data-chart]").focus();
  await page.keyboard.press("End");
  assert.match(await page.locator("#chart-placed .chart-tip").textContent(), /Placed/);
  await page.getByRole("link", { name: "Last 60 minutes" }).click();
  await page.waitForURL(/minutes=60/);
  assert.match(await page.locator("#chart-revenue .chart-times").textContent(), /60 min ago/);
  assert.match(await page.locator("#chart-revenue .chart-marks").textContent(), /\$/);
});

/** Places orders until one ends so. */
const untilOne = (status) => eventually(`an order that ends ${status}`, async () => {
  const id = await place(customer("switched"));
  return (await ended(id)).status === status && id;
}, 60_000);

const SWITCH = async (page) => {
  await page.fill("#payment_decline_above", "-5");
  await page.fill("#seed", "17");
  await page.getByRole("button", { name: "Save" }).click();
  assert.match(await page.locator("#payment_decline_above-hint").textContent(), /must be an amount/);
  assert.equal(await page.inputValue("#payment_decline_above"), "-5", "what was typed is kept");
  assert.equal(await page.inputValue("#seed"), "17");
  await page.fill("#payment_decline_above", "10");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved").waitFor();
  assert.match(await page.locator(".in-force").textContent(), /Declined above\$10\.00/);
  assert.equal(await page.inputValue("#seed"), "17");

  const id = await untilOne("CANCELLED");
  await page.goto(`${shop.url}/orders/${id}`);
  assert.match(await page.textContent("#reason"), /Cancelled: the payment was declined: the amount of 12\.50 is above the limit of 10\.00/);
  await orderThat("released", id, ({ inventory }) => inventory.released || !inventory.reserved);
  await page.reload();
  await step(page, "payment", "failed");
  await step(page, "outcome", "failed");
  assert.match(await page.locator(".saga-wide title").textContent(), /Payment: declined;.*Outcome: cancelled/);

  await page.goto(`${shop.url}/orders/switches`);
  await page.getByRole("button", { name: "Nothing fails" }).click();
  await page.getByText("Saved").waitFor();
  assert.match(await page.locator(".in-force").textContent(), /Declined abovenever/);
  await untilOne("COMPLETED");
};

on("/orders/switches", "switches change what becomes of orders, and what was done is undone", SWITCH);
test("the same without scripts", async () => {
  const page = await browser.open(`${shop.url}/orders/switches`, { javaScriptEnabled: false });
  await SWITCH(page);
  await page.context().close();
});

on("/orders/switches", "what is not in stock is said, and the payment goes back", async (page) => {
  await page.fill("#stock", "rare 1\ngone 0");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved").waitFor();
  // Once one of them can't be had, the service knows of both.
  await eventually("an order that is rejected", async () => {
    const id = await place(customer("gone"), [{ productId: "gone", quantity: 1, price: 5 }]);
    return (await ended(id)).status === "CANCELLED";
  }, 60_000);
  const id = await place(customer("rare"), [{ productId: "rare", quantity: 2, price: 5, name: "A rare thing" }]);
  await ended(id);
  await page.goto(`${shop.url}/orders/${id}`);
  await step(page, "inventory", "failed");
  assert.match(await page.textContent("#reason"), /not enough in stock: rare/);
  assert.match(await page.textContent("#items"), /only 1 in stock/);
  // Whichever of the two came first: what was paid goes back.
  await orderThat("refunded", id, ({ payment }) => payment.refunded || !payment.authorized);
  await page.getByRole("link", { name: "Failure switches" }).click();
  await page.getByRole("button", { name: "Nothing fails" }).click();
  await page.getByText("Saved").waitFor();
});

test("an order is placed and watched without scripts", async () => {
  const page = await browser.open(`${shop.url}/orders/new`, { javaScriptEnabled: false });
  const name = customer("plain");
  await order(page, name, { pen: 2 });
  const id = new URL(page.url()).pathname.split("/").at(-1);
  await orderThat("told", id, ({ notification }) => notification);
  await page.reload();
  await step(page, "notification", "done");
  await page.getByRole("link", { name: "Orders", exact: true }).first().click();
  assert.match(await row(page, id).textContent(), /Completed/);
  await page.getByRole("link", { name: "Analytics" }).click();
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Analytics");
  await page.context().close();
});

on("/orders?status=NONSENSE", "an address that makes no sense says so", async (page) => {
  assert.match(await page.locator(".problem").textContent(), /status must be one of/);
  assert.equal((await fetch(`${shop.url}/orders?before=x`)).status, 400);
});

test("another site's page can't act", async () => {
  for (const path of ["/orders", "/orders/random", "/orders/switches"]) {
    const headers = { origin: "http://elsewhere.example", "content-type": "application/x-www-form-urlencoded" };
    const body = "count=10&preset=usual&customer=ada&quantity-mug=1";
    assert.equal((await fetch(`${shop.url}${path}`, { method: "POST", headers, body, redirect: "manual" })).status, 403, path);
  }
});

for (const width of [390, 640, 1280]) {
  test(`nothing sticks out at ${width} pixels`, async () => {
    const id = await place("x".repeat(64), [{ productId: "y".repeat(64), quantity: 10_000, price: 1_000, name: "Z".repeat(300) }]);
    await ended(id);
    const page = await browser.open(`${shop.url}/orders`, { viewport: { width, height: 800 } });
    for (const path of ["/orders", "/orders/new", `/orders/${id}`, "/orders/analytics", "/orders/switches", "/orders/unknown"]) {
      await page.goto(`${shop.url}${path}`);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(beyond, 0, path);
    }
    await page.context().close();
  });
}
