// The dashboard and the pages of groups, as people use them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser } from "./support/browser.js";
import { CLUSTERS, Console } from "./support/console.js";
import { eventually } from "./support/server.js";

for (const cluster of CLUSTERS) {
  let console_;
  let browser;
  let topic;
  let group;

  before(async () => {
    console_ = await Console.start(cluster);
    browser = await Browser.start();
    topic = console_.topic("orders");
    group = `${console_.prefix}.billing`;
    await console_.kboard(["topics", "create", topic, "--partitions", "2"]);
    await write(30);
    await console_.kboard(["consume", "--topic", topic, "--group", group, "--until-end"]);
    await write(10);
    await seen(group, (row) => row.lag !== null && row.members === 0);
  });

  after(async () => {
    await browser?.end();
    await console_?.end();
  });

  const write = (count) => console_.kboard(["produce", "-t", topic], Array.from({ length: count }, (_, number) => `${number}\n`).join(""));

  /** The group in the list, once it is like that. */
  const seen = (name, is) =>
    eventually(`group ${name}`, async () => (await console_.get(`/groups?q=${name}`)).groups.find((row) => row.group === name && is(row)));

  const open = (path, options) => browser.open(`${console_.url}${path}`, options);

  test(`${cluster}: the dashboard draws what is written, and says each value`, async () => {
    const points = async () => {
      await write(20);
      const { charts } = await console_.get("/overview");
      return charts[0].lines.some((line) => line.name === topic && line.values.filter((value) => value > 0).length > 1);
    };
    await eventually("points of the topic", points);
    const page = await open("/console");
    const plot = page.locator("#chart-written [data-chart]");
    assert.match(await plot.locator("svg").getAttribute("aria-label"), new RegExp(`${topic}: now .*, at most`));
    await plot.focus();
    await page.keyboard.press("End");
    const tip = page.locator("#chart-written .chart-tip");
    assert.match(await tip.innerText(), new RegExp(`\\d\\d:\\d\\d:\\d\\d[^]*${topic}`));
    const last = await tip.innerText();
    await page.keyboard.press("ArrowLeft");
    assert.notEqual(await tip.innerText(), last, "the point before");
    await page.locator("#chart-written summary").click();
    assert.ok((await page.locator("#chart-written tbody tr").count()) > 0, "the same as a table");
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  test(`${cluster}: the dashboard goes on by itself, and one's place on it stays`, async () => {
    const page = await open("/console", { viewport: { width: 800, height: 400 } });
    const link = page.locator(`#behind a`, { hasText: group });
    await link.focus();
    await page.locator("#chart-lag summary").click();
    await link.focus();
    const top = () => link.evaluate((element) => Math.round(element.getBoundingClientRect().top));
    const before = await top();
    const time = await page.locator("#as-of time").getAttribute("datetime");
    await write(5);
    await eventually("another look", async () => (await page.locator("#as-of time").getAttribute("datetime")) !== time);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), group, "the focus");
    assert.equal(await top(), before, "the place");
    assert.equal(await page.locator("#chart-lag details").getAttribute("open"), "", "what is open");
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  test(`${cluster}: groups are found, sorted and opened with the keyboard alone`, async () => {
    const page = await open("/console/groups");
    await page.keyboard.press("/");
    await page.keyboard.type(group);
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=/);
    await page.waitForSelector('html[data-ready="true"]');
    assert.deepEqual(await page.locator("tbody .name a").allTextContents(), [group]);
    await page.locator("th a", { hasText: "Group" }).click();
    await page.waitForURL(/sort=group/);
    assert.equal(await page.locator('th[aria-sort="ascending"]').innerText(), "Group");
    assert.match(page.url(), /q=/, "the filter stays");
    await page.waitForSelector('html[data-ready="true"]');
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(new RegExp(`/console/groups/[^?]*billing`));
    assert.equal(await page.locator("h1").innerText(), group);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  for (const javaScriptEnabled of [true, false]) {
    test(`${cluster}: a reset is shown, done and undone, ${javaScriptEnabled ? "with" : "without"} scripts`, async () => {
      const page = await open(`/console/groups/${encodeURIComponent(group)}`, { javaScriptEnabled });
      const before = (await console_.get(`/groups/${encodeURIComponent(group)}`)).partitions.map((place) => place.committed);
      await page.getByRole("link", { name: "Reset offsets" }).click();
      await page.getByLabel("Earliest").check();
      await page.getByRole("button", { name: "Preview" }).click();
      const effect = await page.locator("#preview .effect").innerText();
      assert.match(effect, /30 records read again/);
      assert.deepEqual((await console_.get(`/groups/${encodeURIComponent(group)}`)).partitions.map((place) => place.committed), before);
      await page.getByRole("button", { name: /^Reset \d partitions?$/ }).click();
      await page.getByRole("heading", { name: "Offsets are reset" }).waitFor();
      assert.deepEqual((await console_.get(`/groups/${encodeURIComponent(group)}`)).partitions.map((place) => place.committed), [0, 0]);
      await page.getByRole("button", { name: "Undo" }).click();
      await page.getByRole("heading", { name: "The old offsets are back" }).waitFor();
      assert.deepEqual((await console_.get(`/groups/${encodeURIComponent(group)}`)).partitions.map((place) => place.committed), before);
      assert.deepEqual(page.problems, []);
      await page.context().close();
    });
  }

  test(`${cluster}: what was typed wrong is said at its field, and nothing is lost`, async () => {
    const page = await open(`/console/groups/${encodeURIComponent(group)}/reset?to=time&time=soonish&topic=${encodeURIComponent(topic)}`);
    assert.match(await page.locator("#time-error").innerText(), /expected a time/);
    assert.equal(await page.getByRole("textbox", { name: "A time" }).inputValue(), "soonish");
    assert.equal(await page.locator("#topic").inputValue(), topic);
    // The browser itself notes that the page was answered with 400.
    await page.context().close();
  });

  test(`${cluster}: a group goes when its name is typed`, async () => {
    const gone = `${console_.prefix}.gone`;
    await console_.kboard(["consume", "--topic", topic, "--group", gone, "--until-end"]);
    await seen(gone, (row) => row.members === 0);
    const page = await open(`/console/groups/${encodeURIComponent(gone)}/delete`);
    await page.fill("#confirm", "another");
    await page.getByRole("button", { name: "Delete the group" }).click();
    await page.locator("#confirm-error").waitFor();
    await page.fill("#confirm", gone);
    await page.getByRole("button", { name: "Delete the group" }).click();
    await page.getByRole("status").filter({ hasText: `Deleted group ${gone}` }).waitFor();
    assert.equal((await console_.get(`/groups?q=${gone}`)).matching, 0);
    await page.context().close();
  });
}
