// The page under axe-core, in the states and themes people meet it in.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { Board } from "./support/board.js";
import { Browser, message, write } from "./support/browser.js";

const axe = createRequire(import.meta.url)("axe-core");

let board;
let browser;

before(async () => {
  board = await Board.start();
  browser = await Browser.start();
});

after(async () => {
  await browser?.end();
  await board?.end();
});

/** What axe finds wrong, in lines that name the rule and the place. */
async function violations(page) {
  await page.evaluate(axe.source);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.target} (${found.help})`));
}

const views = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["on a phone", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }],
  ["in forced colours", { forcedColors: "active" }],
];

for (const [name, options] of views) {
  test(`${name}: empty, filled, and with an error`, async () => {
    const page = await browser.open(board.url, { reducedMotion: "reduce", ...options });
    assert.deepEqual(await violations(page), [], "as opened");
    await write(page, `Seen ${name}`);
    await message(page, `Seen ${name}`).waitFor();
    assert.deepEqual(await violations(page), [], "with messages");
    await page.fill("#content", "   ");
    await page.click("#post");
    await page.waitForSelector("#composer-error:not([hidden])");
    assert.deepEqual(await violations(page), [], "with an error shown");
    await page.context().close();
  });
}

for (const [name, options] of views) {
  test(`${name}: the pages of the orders`, async () => {
    const page = await browser.open(`${board.url}/orders/new`, { reducedMotion: "reduce", ...options });
    await page.getByRole("button", { name: "Place order" }).click();
    await page.locator("#error").waitFor();
    assert.deepEqual(await violations(page), [], "a form that was refused");
    await page.fill("#quantity-desk", "20"); // more than the bank allows: what was done is undone
    await page.fill("#customer", "ada");
    await page.getByRole("button", { name: "Place order" }).click();
    await page.locator("#reason .problem").waitFor();
    assert.deepEqual(await violations(page), [], "an order that was cancelled");
    await page.goto(`${board.url}/orders/new`);
    await page.getByRole("button", { name: "Place 10 random orders" }).click();
    await page.locator(".notice").waitFor();
    await page.goto(`${board.url}/orders`);
    await page.locator("#orders tr", { has: page.locator('[data-status="COMPLETED"]') }).first().hover();
    assert.deepEqual(await violations(page), [], "a row under the pointer");
    for (const path of ["/orders", "/orders?customer=nobody", "/orders?status=NONSENSE", "/orders/nowhere", "/orders/analytics", "/orders/switches"]) {
      await page.goto(`${board.url}${path}`);
      await page.waitForSelector('html[data-ready="true"]');
      assert.deepEqual(await violations(page), [], path);
    }
    await page.fill("#seed", "x");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".problem").waitFor();
    assert.deepEqual(await violations(page), [], "switches that were refused");
    await page.context().close();
  });
}

test("language, title, landmarks and names are there", async () => {
  const page = await browser.open(board.url);
  assert.equal(await page.getAttribute("html", "lang"), "en");
  assert.match(await page.title(), /board/i);
  assert.equal(await page.getByRole("main").count(), 1);
  assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1);
  for (const [role, label] of [["textbox", "Message"], ["textbox", "Your name"], ["button", "Post"]]) {
    assert.equal(await page.getByRole(role, { name: label, exact: true }).count(), 1, `${role} "${label}"`);
  }
  assert.ok((await page.getByRole("status").count()) > 0);
  await page.context().close();
});
