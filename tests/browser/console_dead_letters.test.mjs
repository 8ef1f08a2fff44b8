// Dead letters as people deal with them, in a real browser, on three brokers and on the embedded one.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, leads } from "./support/browser.js";
import { CLUSTERS, Console } from "./support/console.js";
import { eventually } from "./support/server.js";

const EVIL = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`;

let browser;
before(async () => { browser = await Browser.start(); });
after(async () => { await browser?.end(); });

for (const cluster of CLUSTERS) {
  test(`dead letters, on ${cluster}`, async (suite) => {
    const console_ = await Console.start(cluster);
    try {
      for (const [name, options] of [["with scripts", {}], ["without scripts", { javaScriptEnabled: false }]]) {
        await suite.test(name, async () => {
          const topic = console_.topic(`failed-${Math.random().toString(36).slice(2, 8)}`);
          await console_.kboard(["topics", "create", topic, "-p", "2"]);
          await console_.kboard(["topics", "create", `${topic}.dlq`, "-p", "1"]);
          await console_.kboard(["produce", "-t", `${topic}.dlq`, "--json"], letters(topic));
          const page = await browser.open(`${console_.url}/console/dead-letters`, options);
          try {
            await walk(page, console_, topic);
            assert.equal(await page.evaluate("window.hacked"), undefined, "something of the data ran");
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

function letters(topic) {
  const letter = (number) => {
    const told = { topic, partition: 1, offset: number, group: EVIL, error: number % 2 ? EVIL : `no price for ${number}`, attempts: 3, timestamp: 1_700_000_000_000 };
    const headers = Object.entries(told).map(([name, value]) => ({ key: `x-dlq-${name}`, value: `${value}` }));
    return JSON.stringify({ key: `k${number}`, value: JSON.stringify({ number }), headers });
  };
  return Array.from({ length: 6 }, (_, number) => `${letter(number)}\n`).join("");
}

async function walk(page, console_, topic) {
  const row = page.locator("tbody tr", { hasText: topic });
  // A busy server may not get through all of them in the half second that each topic is given.
  await eventually("six that wait", async () => {
    const waiting = await row.locator('[data-label="Waiting"]').allTextContents();
    return waiting.join() === "6" || page.reload().then(() => false);
  });
  await leads(page, () => row.getByRole("link").click());
  assert.match(await page.locator(".page-head").textContent(), /6 waiting.*Scanned 6 of 6 offsets: complete/s);
  await leads(page, () => page.getByRole("link", { name: /no price for #/ }).click());
  assert.equal(await page.locator(".letters tbody tr").count(), 3);

  await leads(page, () => page.locator(".letters tbody a").first().click());
  assert.match(await page.locator(".history").textContent(), /Given up.*after 3 attempts/s);
  await page.fill("#value", '{"number": 100}');
  await page.getByRole("button", { name: "Send back" }).click();
  await page.locator(".notice", { hasText: `Sent back to ${topic}, partition 1` }).waitFor();

  await leads(page, () => page.getByRole("link", { name: /Send back 5/ }).click());
  assert.match(await page.getByRole("main").textContent(), /1 letter that match were sent back before/);
  await page.getByRole("button", { name: "Send back 5 letters" }).click();
  await page.locator('#run[data-state="done"]').waitFor();
  assert.match(await page.locator("#run").textContent(), /5 letters of 5/);
  const back = (await console_.kboard(["consume", "-t", topic, "--until-end"])).trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(back.length, 6);
  assert.ok(back.every(({ headers, partition }) => partition === 1 && headers.map(({ key }) => key).join() === "x-retry-count,x-retry-group"));
  assert.equal(back.filter(({ value }) => value === '{"number": 100}').length, 1);

  await page.goto(`${console_.url}/console/dead-letters/${topic}.dlq`);
  await leads(page, () => page.getByRole("link", { name: "Discard…" }).click());
  await page.fill("#confirm", `${topic}.dlq`);
  await leads(page, () => page.getByRole("button", { name: "Discard 6 letters" }).click());
  assert.match(await page.getByRole("main").textContent(), /No letter here/);
}
