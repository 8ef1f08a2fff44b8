// Messages as people look at them, in a real browser, on three brokers and on the embedded one.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";

import { Browser, leads } from "./support/browser.js";
import { CLUSTERS, Console } from "./support/console.js";
import { eventually } from "./support/server.js";

const EVIL = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`;

let browser;
before(async () => { browser = await Browser.start(); });
after(async () => { await browser?.end(); });

for (const cluster of CLUSTERS) {
  test(`messages, on ${cluster}`, async (suite) => {
    const console_ = await Console.start(cluster);
    try {
      const topic = console_.topic("orders");
      await console_.kboard(["topics", "create", topic, "--partitions", "3"]);
      await console_.kboard(["produce", "-t", topic, "--key-separator", "|", "-H", "kind=paid"], numbered(0, 3000));
      const address = `${console_.url}/console/topics/${encodeURIComponent(topic)}/messages`;
      const context = { console_, topic, address };
      for (const [name, steps, options] of TESTS) {
        await suite.test(name, async () => {
          const page = await browser.open(address, options);
          try {
            await steps(page, context);
            assert.equal(await page.evaluate("window.hacked"), undefined, "something of the data ran");
            assert.deepEqual(page.problems, [], "the page complained");
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

function numbered(from, to) {
  let lines = "";
  for (let n = from; n < to; n++) lines += `key-${n}|${JSON.stringify({ n, level: n % 10 ? "INFO" : "ERROR", note: EVIL })}\n`;
  return lines;
}

const places = (page) => page.locator("#rows .message-place").allTextContents();
const said = (page) => page.locator("#scan-said").textContent();

const TESTS = [
  ["pages go both ways and stay put", async (page) => {
    const first = await places(page);
    assert.equal(first.length, 50);
    const seen = [first];
    for (let n = 0; n < 4; n++) {
      await leads(page, () => page.click("#older"));
      seen.push(await places(page));
    }
    assert.equal(new Set(seen.flat()).size, 250, "nothing is shown twice");
    await page.reload();
    assert.deepEqual(await places(page), seen[4], "a reload keeps the page");
    for (let n = 3; n >= 1; n--) {
      await leads(page, () => page.click("#newer"));
      assert.deepEqual(await places(page), seen[n]);
    }
    await page.goBack();
    assert.deepEqual(await places(page), seen[2], "back leads back");
  }],

  ["a search reports while it runs, and its address shows the same to everyone", async (page, { address }) => {
    await page.keyboard.press("/");
    await page.keyboard.type('$.level == "ERROR" && $.n < 1000');
    await page.keyboard.press("Enter");
    await eventually("the end of the search", async () => /complete|stopped/.test(await page.getAttribute("#scan", "data-end") ?? ""));
    assert.match(await said(page), /^50 found/);
    assert.equal((await places(page)).length, 50);
    await page.click("#scan-on");
    await eventually("all of it", async () => (await page.getAttribute("#scan", "data-end")) === "complete");
    assert.match(await said(page), /^100 found.*3,000.*complete/s);
    const found = await places(page);
    assert.equal(new Set(found).size, 100);
    const shared = page.url();
    assert.doesNotMatch(shared, /live/);
    await page.goto(shared);
    // What a busy server had no time for, the page goes on with.
    await eventually("a full page", async () => (await places(page)).length >= 50);
    assert.deepEqual((await places(page)).slice(0, 50), found.slice(0, 50));
    await page.goto(`${address}?q=no-such-thing`);
    await eventually("the end", async () => /complete/.test(await said(page)));
    await page.getByText("Nothing found").waitFor();
  }],

  ["a search that can't be decided for a record names it", async (page, { address }) => {
    await page.goto(`${address}?q=${encodeURIComponent("$.note < 5 && $.n == 7")}`);
    await page.waitForSelector("#scan-errors a");
    assert.match(await page.textContent("#scan-errors"), /1 record could not be decided:.*\$\.note is a text/s);
    await page.goto(`${address}?q=${encodeURIComponent("$.note <")}`);
    assert.match(await page.textContent("#problem"), /column 9: expected/);
  }],

  ["all of it works without a script", async (page, { address }) => {
    assert.equal((await places(page)).length, 50);
    await page.fill("#q", '$.level == "ERROR"');
    await leads(page, () => page.click('#find button[type="submit"]'));
    // A busy server may not find them in the second that a page has.
    await eventually("a page that had the time", async () => /50 found/.test(await said(page)) || page.reload().then(() => false));
    await leads(page, () => page.click("#scan-on"));
    assert.match(page.url(), /before=/);
    assert.equal((await places(page)).length, 50);
    await page.goto(address);
    await page.click("#rows tr:first-child a");
    await page.waitForURL(/messages\/\d+\/\d+/);
    assert.ok(await page.getByText("1 record in").or(page.getByText("records in")).isVisible());
    assert.equal(await page.locator("[data-copy]").first().isVisible(), false, "nothing is promised that needs a script");
  }, { javaScriptEnabled: false }],

  ["live counts everything, shows what can be read, and goes on after a pause", async (page, { console_, topic }) => {
    await page.click("#live");
    await page.waitForSelector('#scan[data-state="live"]');
    await console_.kboard(["produce", "-t", topic, "--key-separator", "|"], numbered(3000, 8000));
    const counts = async () => {
      const { shown, skipped, found } = await page.evaluate("({ ...document.getElementById('scan').dataset })");
      return { all: Number(shown) + Number(skipped), found: Number(found), shown: Number(shown) };
    };
    await eventually("all of them", async () => (await counts()).found === 5000);
    const { all, shown } = await counts();
    assert.equal(all, 5000);
    assert.ok(shown >= 20, `${shown} shown`);
    await page.click("#live");
    await page.waitForSelector('#scan[data-state="paused"]');
    await console_.kboard(["produce", "-t", topic, "--key-separator", "|"], numbered(8000, 8010));
    await page.click("#live");
    await eventually("what came meanwhile", async () => (await counts()).found === 5010);
    assert.equal((await counts()).all, 5010);
    assert.match((await page.locator("#rows tr").first().textContent()), /key-80/);
    assert.ok((await page.locator("#rows tr").count()) <= 500);
  }],

  ["one record shows what is stored, folds, and is copied byte for byte", async (page, { console_, topic, address }) => {
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/messages\/\d+\/\d+/);
    const value = `{"id":73314510714175488,"id":1.50,"list":[1,{"a":"${"é".repeat(10)}"}],"html":${JSON.stringify(EVIL)}}`;
    const sent = await console_.kboard(["produce", "-t", topic, "-p", "0", "-k", EVIL, "-H", "same=1", "-H", "same=2", "-H", "none", value]);
    const offset = /offset (\d+)/.exec(sent)?.[1] ?? (await console_.get(`/topics/${topic}/messages?partition=0&limit=1`)).records[0].offset;
    await page.goto(`${address}/0/${offset}`);
    assert.equal(await page.locator(".json-number").first().textContent(), "73314510714175488");
    assert.equal(await page.locator(".json-name").filter({ hasText: '"id"' }).count(), 2);
    assert.equal(await page.locator("#headers dt").count(), 3);
    assert.ok(await page.locator("#headers .null").isVisible());
    await page.click("#value .json summary >> nth=1");
    assert.ok(await page.locator("#value .folded >> nth=1").isVisible());
    await page.evaluate(() => document.addEventListener("copy", () => { window.copied = String(getSelection()) || document.activeElement.value; }));
    await page.evaluate(() => { Object.defineProperty(window, "isSecureContext", { value: false }); });
    await page.click("#value [data-copy]");
    await page.getByText("Copied").waitFor();
    assert.equal(await page.evaluate("window.copied"), value);
    const link = await page.locator("#value a[download]").getAttribute("href");
    const bytes = Buffer.from(await (await fetch(console_.url + link)).arrayBuffer());
    assert.equal(sha256(bytes), sha256(Buffer.from(value)));
    await page.click("#value .piece-format summary");
    await page.click("#value .piece-format >> text=Hex");
    await page.waitForURL(/value=hex/);
    assert.match(await page.textContent("#value .dump"), /00000000 {2}7b 22 69 64/);
  }],

  ["columns come from the records", async (page, { address }) => {
    await page.fill("#columns", "$.n, $.level, $header.kind");
    await page.keyboard.press("Enter");
    await page.waitForURL(/columns=/);
    assert.deepEqual((await page.locator("thead th").allTextContents()).slice(3, 6), ["$.n", "$.level", "$header.kind"]);
    await page.goto(`${address}?columns=$.n,`);
    assert.match(await page.textContent("#problem"), /Columns: column 5/);
  }],

  ["a phone shows everything without scrolling sideways", async (page) => {
    const wider = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");
    assert.equal(wider, false);
    await page.click("#rows tr:first-child a");
    await page.waitForURL(/messages\/\d+\/\d+/);
    assert.equal(await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"), false);
  }, { viewport: { width: 390, height: 844 } }],

  ["every view is a link that outlives the server", async (page, { console_, topic, address }) => {
    const { partition, offset } = (await console_.get(`/topics/${topic}/messages?limit=1&from=oldest`)).records[0];
    const views = [
      `${address}?from=oldest&limit=20&columns=$.n,$.level&partition=1`,
      `${address}?from=offset&at=100&limit=20`,
      `${address}?q=${encodeURIComponent('$.level == "ERROR" && $.n < 200')}&from=oldest&limit=20`,
      `${address}/${partition}/${offset}?value=hex`,
      `${console_.url}/console/topics?q=${topic}&sort=partitions`,
    ];
    await page.goto(`${address}?from=oldest&limit=20`);
    await leads(page, () => page.click("#newer"));
    views.push(page.url());
    const shown = async (on) => {
      const seen = [];
      for (const view of views) {
        await on.goto(view);
        seen.push(await on.locator("#rows .message-place, #rows .message-value, #value .dump, tbody th[scope=row]").allTextContents());
      }
      return seen;
    };
    const before = await shown(page);
    assert.ok(before.every((texts) => texts.length > 0), JSON.stringify(before));
    await console_.restart();
    const elsewhere = await browser.open(`${console_.url}/console`);
    assert.deepEqual(await shown(elsewhere), before);
    await elsewhere.context().close();
  }],
];

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
