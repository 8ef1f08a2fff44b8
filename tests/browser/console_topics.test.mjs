// Topics as people look at and change them, in a real browser, on three brokers and on the embedded one.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, leads } from "./support/browser.js";
import { CLUSTERS, Console } from "./support/console.js";
import { eventually } from "./support/server.js";

let browser;
before(async () => { browser = await Browser.start(); });
after(async () => { await browser?.end(); });

for (const cluster of CLUSTERS) {
  test(`topics, on ${cluster}`, async (suite) => {
    const console_ = await Console.start(cluster);
    try {
      for (const [name, steps, options] of TESTS) {
        await suite.test(name, async () => {
          const page = await browser.open(`${console_.url}/console/topics`, options);
          try {
            await steps(page, console_);
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

/** Follows a link, or sends a form, to the page that comes then. */
const follow = (page, name) => leads(page, () => page.getByRole("link", { name }).first().click());
const send = (within, name) => leads(within.page?.() ?? within, () => within.getByRole("button", { name }).click());

const names = (page) => page.locator("tbody th[scope=row] a").allTextContents();

/** Creates a topic by the form, from the list. */
async function create(page, name, fields = {}) {
  await follow(page, "Create topic");
  await page.fill("#name", name);
  for (const [field, value] of Object.entries(fields)) await page.fill(`#${field}`, value);
  await send(page, "Create topic");
}

const WALK = async (page, console_) => {
  const topic = console_.topic(`walk-${Math.random().toString(36).slice(2, 8)}`);
  await create(page, "no spaces");
  assert.match(await page.locator("#name-hint").textContent(), /characters other than/);
  assert.equal(await page.inputValue("#name"), "no spaces", "what was typed is kept");
  await page.fill("#name", topic);
  await page.fill("#partitions", "2");
  await page.fill("#retention", "2d");
  await send(page, "Create topic");
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), topic);
  assert.match(await page.locator(".notice").textContent(), /was created/);
  await page.reload();
  assert.equal(await page.locator(".notice").count(), 0, "a notice is shown once");

  await follow(page, "Settings");
  const retention = page.locator('[id="retention.ms"]');
  assert.match(await retention.textContent(), /2d/);
  assert.match(await retention.textContent(), /default: 604800000 \(7d\)/);
  await retention.locator("input[name=value]").fill("nonsense");
  await send(retention, "Save");
  assert.equal(await page.locator('[id="retention.ms"] [role=alert]').count(), 1, "the broker’s objection is at the setting");
  assert.equal(await page.locator('[id="retention.ms"] input[name=value]').inputValue(), "nonsense");
  await send(retention, "Back to the default");
  assert.match(await page.locator(".notice").textContent(), /follows the brokers’ default/);

  await page.locator(".menu summary").click();
  await follow(page, "Add partitions");
  await page.fill("#total", "1");
  await send(page, "Add partitions");
  assert.match(await page.locator("#total-error").textContent(), /can't take any away/);
  await page.fill("#total", "4");
  await send(page, "Add partitions");
  assert.equal(await page.locator("section[aria-labelledby=partitions] tbody tr").count(), 4);

  await console_.kboard(["produce", "-t", topic, "-p", "3"], "a\nb\nc\n");
  await page.locator(".menu summary").click();
  await follow(page, "Clear records");
  await page.selectOption("#partition", "3");
  await send(page, "See what would go");
  assert.match(await page.locator(".preview").textContent(), /3 offsets would be deleted/);
  await page.fill("#confirm", "something else");
  await send(page, "Delete 3 offsets");
  assert.match(await page.locator("form [role=alert]").textContent(), /to confirm/);
  await page.fill("#confirm", topic);
  await send(page, "Delete 3 offsets");
  assert.match(await page.locator(".notice").textContent(), /3 offsets/);

  await page.locator(".menu summary").click();
  await follow(page, "Delete topic");
  await page.fill("#confirm", topic);
  await send(page, "Delete it");
  assert.equal(new URL(page.url()).pathname, "/console/topics");
  assert.ok(!(await names(page)).includes(topic));
};

const TESTS = [
  ["a topic is made, changed, cleared and deleted", WALK],
  ["the same without scripts", WALK, { javaScriptEnabled: false }],

  ["one made elsewhere shows on the next load; the list is sorted by any column and back leads back", async (page, console_) => {
    const [few, many] = [console_.topic("s-few"), console_.topic("s-many")];
    await console_.kboard(["topics", "create", few, "-p", "1"]);
    await console_.kboard(["topics", "create", many, "-p", "7"]);
    await page.keyboard.press("/");
    await page.keyboard.type(console_.topic("S-").toUpperCase());
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=/);
    assert.deepEqual(await names(page), [few, many]);
    await follow(page, "Partitions");
    assert.match(page.url(), /sort=partitions/);
    assert.deepEqual(await names(page), [many, few]);
    assert.equal(await page.locator('th[aria-sort="descending"]').textContent(), "Partitions");
    await page.goBack();
    assert.deepEqual(await names(page), [few, many]);
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/s-many/);
  }],

  ["selected topics are deleted together, with one confirmation", async (page, console_) => {
    const topics = [1, 2, 3].map((number) => console_.topic(`bulk-${number}`));
    await console_.kboard(["topics", "create", ...topics]);
    await page.goto(`${console_.url}/console/topics?q=${console_.topic("bulk-")}`);
    assert.ok(await page.locator("#delete-selected").isDisabled());
    await page.check("#pick-all");
    await page.uncheck(`input[value="${topics[1]}"]`);
    assert.equal(await page.locator("#delete-selected").textContent(), "Delete 2 selected…");
    await leads(page, () => page.click("#delete-selected"));
    await page.fill("#confirm", "delete 2 topics");
    await send(page, "Delete them");
    await page.goto(`${console_.url}/console/topics?q=${console_.topic("bulk-")}`);
    assert.deepEqual(await names(page), [topics[1]]);
  }],

  ["an empty list and an unknown topic say what to do", async (page, console_) => {
    await page.goto(`${console_.url}/console/topics?q=nothing-is-called-so`);
    assert.match(await page.getByRole("main").textContent(), /No topic matches/);
    const answer = await page.goto(`${console_.url}/console/topics/nothing-is-called-so`);
    assert.equal(answer.status(), 404);
    assert.match(await page.getByRole("main").textContent(), /there is no topic/);
  }],

  ["a leaderless or lagging partition would be named: the state column is there", async (page, console_) => {
    const topic = console_.topic("state");
    await console_.kboard(["topics", "create", topic]);
    await page.goto(`${console_.url}/console/topics?q=${topic}&problems=true`);
    assert.match(await page.getByRole("main").textContent(), /No topic matches/);
    await eventually("a rate", async () => {
      const { topics } = await console_.get(`/topics?q=${topic}`);
      return topics[0]?.rate !== null;
    });
  }],
];
