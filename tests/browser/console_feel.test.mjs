// What the console is like to use, whatever it shows: themes, the keyboard, and what pages of other sites can't do to it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { Browser, leads } from "./support/browser.js";
import { Console } from "./support/console.js";

let console_;
let browser;
let topic;

before(async () => {
  console_ = await Console.start("embedded");
  browser = await Browser.start();
  topic = console_.topic("felt");
  await console_.kboard(["topics", "create", topic]);
  await console_.kboard(["produce", "-t", topic], "one\ntwo\nthree\n");
});

after(async () => {
  await browser?.end();
  await console_?.end();
});

/** Opens a page, runs the steps, and lets no complaint of the page go unseen. */
async function on(path, steps, options) {
  const page = await browser.open(`${console_.url}${path}`, options);
  try {
    await steps(page);
    assert.deepEqual(page.problems, [], "the page complained");
  } finally {
    await page.context().close();
  }
}

test("light and dark follow the system, and a choice by hand is kept on every page", async () => {
  const isDark = (page) => page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
    return red + green + blue < 300;
  });
  await on("/console", async (page) => {
    assert.equal(await isDark(page), false);
    await page.emulateMedia({ colorScheme: "dark" });
    assert.equal(await isDark(page), true);
    await page.click("#theme");
    assert.equal(await isDark(page), false, "chosen");
    await page.goto(`${console_.url}/console/topics`);
    assert.equal(await isDark(page), false, "and kept");
  }, { colorScheme: "light" });
});

test("the keyboard reaches everything, and says how", async () => {
  await on("/console", async (page) => {
    await page.keyboard.press("?");
    const help = page.getByRole("dialog", { name: "Keyboard" });
    assert.match(await help.innerText(), /search or filter/);
    await page.keyboard.press("Escape");
    await help.waitFor({ state: "detached" });
    for (const [key, path] of [["t", "/topics"], ["g", "/groups"], ["l", "/dead-letters"], ["p", "/produce"], ["d", ""], ["t", "/topics"]]) {
      // A form has the focus in its first field.
      await page.keyboard.press("Escape");
      await page.keyboard.press("g");
      await leads(page, () => page.keyboard.press(key));
      assert.equal(new URL(page.url()).pathname, `/console${path}`);
    }
    await page.keyboard.press("/");
    await page.keyboard.type(topic);
    await leads(page, () => page.keyboard.press("Enter"));
    await page.keyboard.press("j");
    await leads(page, () => page.keyboard.press("Enter"));
    await leads(page, () => page.getByRole("link", { name: "Messages", exact: true }).press("Enter"));
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    await leads(page, () => page.keyboard.press("Enter"));
    assert.match(page.url(), /messages\/0\/2$/, "the newest is the first row");
    await leads(page, () => page.keyboard.press("k"));
    assert.match(page.url(), /messages\/0\/1$/, "and k goes on from record to record");
    await page.goBack();
    await page.goBack();
    assert.match(page.url(), /messages$/, "back leads back");
  });
});

test("a page of another origin can neither read nor act, nor hold the console in a frame", async () => {
  const other = createServer((_, answer) => answer.setHeader("content-type", "text/html").end('<!doctype html><html data-ready="true"><title>Other</title>'));
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  const page = await browser.open(`http://127.0.0.1:${other.address().port}/`);
  try {
    const outcome = await page.evaluate(async ({ url, topic }) => {
      const tried = async (path, options) => {
        try {
          const answer = await fetch(`${url}${path}`, options);
          return `${answer.type} ${answer.status} ${(await answer.text()).length}`;
        } catch (error) {
          return error.name;
        }
      };
      const json = { "content-type": "application/json", "x-kboard-token": "guessed" };
      const body = JSON.stringify({ confirm: topic });
      return {
        read: await tried("/api/console/session"),
        page: await tried("/console", { mode: "no-cors" }),
        act: await tried(`/api/console/topics/${topic}`, { method: "DELETE", headers: json, body }),
        blind: await tried("/api/console/topics", { method: "POST", mode: "no-cors", body: '{"name":"forged"}' }),
      };
    }, { url: console_.url, topic });
    assert.deepEqual(outcome, { read: "TypeError", page: "TypeError", act: "TypeError", blind: "TypeError" });

    await page.evaluate(({ url, topic }) => {
      document.body.innerHTML = `<iframe src="${url}/console"></iframe><form method="post" action="${url}/console/delete-topics">
        <input name="topic" value="${topic}"><input name="confirm" value="${topic}"><input name="token" value="guessed"></form>`;
    }, { url: console_.url, topic });
    const framed = page.frames().find((frame) => frame !== page.mainFrame());
    await framed.waitForLoadState();
    assert.match(framed.url(), /^chrome-error:/, "nothing of it is in the frame");
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.request().method() === "POST"),
      page.evaluate(() => document.querySelector("form").submit()),
    ]);
    assert.equal(answer.status(), 403);
  } finally {
    await page.context().close();
    other.close();
  }
  const { topics } = await console_.get("/topics");
  assert.deepEqual(topics.map(({ name }) => name), [topic], "everything is as it was");
});
