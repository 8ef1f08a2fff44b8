// Producing as people do it, in a real browser, on three brokers and on the embedded one.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser } from "./support/browser.js";
import { CLUSTERS, Console } from "./support/console.js";
import { eventually } from "./support/server.js";

let browser;
before(async () => { browser = await Browser.start(); });
after(async () => { await browser?.end(); });

for (const cluster of CLUSTERS) {
  test(`producing, on ${cluster}`, async (suite) => {
    const console_ = await Console.start(cluster);
    try {
      for (const [name, steps, options] of TESTS) {
        await suite.test(name, async () => {
          const topic = console_.topic(`produce-${Math.random().toString(36).slice(2, 8)}`);
          await console_.kboard(["topics", "create", topic, "-p", "3"]);
          const page = await browser.open(`${console_.url}/console/produce?topic=${topic}`, options);
          try {
            await steps(page, { console_, topic });
            assert.deepEqual(page.problems.filter((problem) => !/status of 4\d\d/.test(problem)), [], "the page complained");
          } finally {
            await page.context().close();
          }
        });
      }
    } finally {
      await console_.end();
    }
  });
}

async function consumed({ console_, topic }) {
  const lines = (await console_.kboard(["consume", "-t", topic, "--until-end"])).trim().split("\n");
  return lines.filter(Boolean).map((line) => JSON.parse(line));
}

/** Fills in a key, a value and two headers of one name, and sends it. */
async function send(page, value) {
  await page.selectOption("#key_format", "string");
  await page.fill("#key", "k");
  await page.selectOption("#value_format", "json");
  await page.fill("#value", value);
  const rows = page.locator(".header-row");
  for (const [index, text] of ["1", "2"].entries()) {
    if (await rows.count() === index) await page.click("#add-header");
    if ((await rows.count()) <= index) await page.click("#add-header");
    await rows.nth(index).locator("[name=header_name]").fill("same");
    await rows.nth(index).locator("[name=header_value]").fill(text);
  }
  await page.click("#send");
}

const SENT = async (page, context) => {
  await send(page, '{\n  "a": tru\n}');
  await page.locator('[data-error="value"]', { hasText: "line 2, column 11" }).waitFor();
  assert.equal(await page.inputValue("#value"), '{\n  "a": tru\n}', "what was typed is kept");
  await send(page, '{\n  "a": true\n}');
  const place = page.locator(".run-places tbody tr").first();
  await place.waitFor();
  const [record] = await consumed(context);
  assert.deepEqual([record.key, record.value], ["k", '{\n  "a": true\n}']);
  assert.deepEqual(record.headers, [{ key: "same", value: "1" }, { key: "same", value: "2" }]);
  const cells = await place.locator("td").allTextContents();
  assert.deepEqual(cells.slice(0, 2), [`${record.partition}`, `${record.offset}`]);
  await place.getByRole("link").click();
  await page.waitForURL(new RegExp(`/messages/${record.partition}/${record.offset}`));
};

/** Sends far more than a test waits for. */
async function startMany(page) {
  await page.fill("#value", "tick");
  await page.locator(".more summary").click();
  await page.fill("#count", "100000");
  await page.fill("#rate", "100");
  await page.click("#send");
  await page.locator('#run[data-state="running"]').waitFor();
}

/** Waits until the progress was drawn again: its figures are others. */
async function drawnAnew(page) {
  const figures = page.locator('#run [data-part="figures"]');
  const before = await figures.textContent();
  await eventually("other figures", async () => (await figures.textContent()) !== before);
}

const TESTS = [
  ["a record is checked, sent, and leads to where it is", SENT],
  ["the same without scripts", SENT, { javaScriptEnabled: false }],

  ["contents are kept for the next one, or not; headers come and go", async (page, context) => {
    await page.click("#add-header");
    await page.locator(".header-row").last().locator("[name=header_name]").fill("last");
    await page.locator(".header-row").first().getByRole("button").click();
    await page.fill("#value", "one");
    await page.click("#send");
    await page.locator(".run-places").waitFor();
    assert.equal(await page.inputValue("#value"), "one");
    await page.uncheck("#keep");
    await page.fill("#value", "two");
    await page.keyboard.press("Control+Enter");
    await eventually("the second record", async () => (await consumed(context)).length === 2);
    await eventually("an empty form", async () => (await page.inputValue("#value")) === "");
    const records = await consumed(context);
    assert.deepEqual(records.map((record) => [record.key, record.headers]), [[null, [{ key: "last", value: "" }]], [null, [{ key: "last", value: "" }]]]);
  }],

  ["many at a rate show their progress and stop when told, by a click that takes its time", async (page, context) => {
    await startMany(page);
    const { x, y, width, height } = await page.locator("#result #stop button").boundingBox();
    await page.mouse.move(x + width / 2, y + height / 2);
    await page.mouse.down();
    await drawnAnew(page);
    await page.mouse.up();
    await page.locator('#run[data-state="stopped"]').waitFor();
    assert.equal(await page.locator("#stop").count(), 0, "there is nothing left to stop");
    const count = (await consumed(context)).length;
    assert.ok(count > 0 && count < 5_000, `${count}`);
  }],

  ["the keyboard stops them, too", async (page) => {
    await startMany(page);
    await page.focus("#result #stop button");
    await drawnAnew(page);
    await page.keyboard.press("Enter");
    await page.locator('#run[data-state="stopped"]').waitFor();
  }],

  ["a message that is seen is sent again, exactly", async (page, context) => {
    const { console_, topic } = context;
    await console_.kboard(["produce", "-t", topic, "-k", "<b>'\"k", "-H", "n", "-H", "e="], "line with \t tab and \u00e4\n");
    const [{ partition, offset }] = await consumed(context);
    await page.goto(`${console_.url}/console/topics/${topic}/messages/${partition}/${offset}`);
    await page.getByRole("link", { name: /send again/i }).click();
    await page.locator("#produce").waitFor();
    await page.click("#send");
    await page.locator(".run-places").waitFor();
    const records = await consumed(context);
    assert.equal(records.length, 2);
    const parts = ({ key, value, headers }) => ({ key, value, headers });
    assert.deepEqual(parts(records[0]), parts(records[1]));
  }],

  ["lines are pasted or chosen as a file, and each wrong one is told", async (page, context) => {
    await page.getByRole("link", { name: "Lines of JSON" }).click();
    await page.fill("#lines", '{"value":"a"}\nnonsense\n{"value":null,"key":"k"}\n');
    await page.click("#send");
    const failure = page.locator(".run-failures li");
    await failure.waitFor();
    assert.match(await failure.textContent(), /2\s+column/);
    await page.setInputFiles("#file", { name: "lines.ndjson", mimeType: "application/x-ndjson", buffer: Buffer.from('{"value":"from the file"}\n') });
    await page.click("#send");
    await page.locator("#run", { hasText: "1 record" }).waitFor();
    await eventually("three records", async () => (await consumed(context)).length === 3);
  }],
];
