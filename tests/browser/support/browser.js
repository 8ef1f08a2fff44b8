// Chromium as the machine has it: one process a test file, a fresh profile a window.

import { chromium } from "playwright-core";

import { PATIENCE, provided } from "./server.js";

// No traffic of its own: what the tests see is what the page asked for.
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

export class Browser {
  #chromium;

  static async start() {
    const browser = new Browser();
    browser.#chromium = await chromium.launch({ executablePath: provided("KBOARD_TEST_CHROMIUM"), headless: true, args: FLAGS });
    return browser;
  }

  /** A window with a profile of its own. `page.problems` gathers what the page complained about: errors, broken CSP. */
  async open(url, options = {}) {
    const context = await this.#chromium.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(PATIENCE);
    return this.#page(context, url, options.javaScriptEnabled !== false);
  }

  async #page(context, url, scripted) {
    const page = await context.newPage();
    page.problems = [];
    page.on("pageerror", (error) => page.problems.push(String(error)));
    page.on("console", (line) => line.type() === "error" && page.problems.push(line.text()));
    await page.goto(url);
    if (scripted) {
      await page.waitForSelector('html[data-ready="true"]');
      if (await page.$("#connection")) await page.waitForSelector('#connection[data-state="live"]');
    }
    return page;
  }

  async end() {
    await this.#chromium?.close();
  }
}

/** Does what leads to another page, or to the same one anew, and waits until all of that is there, its scripts included. */
export async function leads(page, act) {
  await Promise.all([page.waitForEvent("load"), act()]);
}

/** What the list shows, top to bottom. */
export const contents = (page) => page.locator("#messages .message-content").allTextContents();

/** The message with exactly this text. */
export const message = (page, text) =>
  page.locator("#messages li.message").filter({ has: page.getByText(text, { exact: true }) });

/** Writes and sends as a person would. */
export async function write(page, text, author = "Grace") {
  await page.fill("#author", author);
  await page.fill("#content", text);
  await page.click("#post");
}
