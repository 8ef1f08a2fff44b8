// What holds for every page of the console, whichever there are: found by following the links from the first one, on a
// cluster full of hostile names and data.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { Browser } from "./support/browser.js";
import { Console } from "./support/console.js";
import { Server } from "./support/server.js";

const axe = createRequire(import.meta.url)("axe-core");
const EVIL = `"'><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{{7*7}}`;
// Read by, and named by a dead letter, which leads to it.
const GROUP = `group/${EVIL}`;
// More pages than there are kinds of: what is cut off here must be noticed.
const MOST_PAGES = 80;

let console_;
let browser;
let member;
let addresses;

before(async () => {
  console_ = await Console.start("embedded");
  browser = await Browser.start();
  await fill();
  addresses = await crawl();
});

after(async () => {
  await browser?.end();
  await member?.end();
  await console_?.end();
});

/** Topics, records, groups and dead letters that try to be more than text. */
async function fill() {
  const topic = "a.-_Z";
  await console_.kboard(["topics", "create", topic, "--partitions", "2"]);
  await console_.kboard(["topics", "create", `${topic}.dlq`, "--partitions", "1"]);
  const deep = `${"[".repeat(5_000)}${"]".repeat(5_000)}`;
  const values = [EVIL, JSON.stringify({ [EVIL]: EVIL, big: 1 }), deep, "", "x".repeat(200_000)];
  for (const value of values) {
    await console_.kboard(["produce", "-t", topic, "-k", EVIL, "-H", `${EVIL}=${EVIL}`, "-H", "same=1", "-H", "same=2"], `${value}\n`);
  }
  await console_.kboard(["produce", "-t", topic, "-Z"], "\n");
  const history = { "x-dlq-topic": topic, "x-dlq-partition": "0", "x-dlq-offset": "0", "x-dlq-group": GROUP, "x-dlq-error": EVIL, "x-dlq-attempts": "5" };
  const headers = Object.entries(history).flatMap(([name, value]) => ["-H", `${name}=${value}`]);
  await console_.kboard(["produce", "-t", `${topic}.dlq`, "-k", EVIL, ...headers], `${EVIL}\n`);
  await console_.kboard(["consume", "--topic", topic, "--group", GROUP, "--until-end"]);
  // Its members can call themselves what they like.
  member = new Server("member", "kcat", ["-b", console_.kafka, "-X", `client.id=${EVIL}`, "-G", GROUP, topic]);
  await member.start(async () => {
    // Pages lead to what the last look at the cluster has seen.
    const { groups } = await console_.get("/groups");
    if (!groups.some(({ group, members }) => group === GROUP && members > 0)) return false;
    const { members } = await console_.get(`/groups/${encodeURIComponent(GROUP)}`);
    return members.some(({ client, partitions }) => client === EVIL && partitions[topic]);
  });
}

/** One address of each kind of page: paths that differ in names and numbers only are of one kind. */
async function crawl() {
  const kinds = new Map([["/console", "/console"]]);
  const kind = (path) => path.split("/").map((part) => (/\d|%|\.|_/.test(part) ? "*" : part)).join("/");
  for (const path of kinds.values()) {
    const answer = await fetch(`${console_.url}${path}`);
    assert.equal(answer.status, 200, `${path} answered ${answer.status}`);
    const html = await answer.text();
    for (const [, link] of html.matchAll(/<a\b[^>]*\bhref="([^"]+)"/g)) {
      const url = new URL(link.replaceAll("&amp;", "&").replaceAll("&#38;", "&"), `${console_.url}${path}`);
      if (url.origin !== console_.url || !url.pathname.startsWith("/console")) continue;
      if (!kinds.has(kind(url.pathname))) kinds.set(kind(url.pathname), `${url.pathname}${url.search}`);
    }
    assert.ok(kinds.size <= MOST_PAGES, `more kinds of pages than ${MOST_PAGES}: ${[...kinds.keys()].join(" ")}`);
  }
  return [...kinds.values()];
}

async function visit(options, check) {
  for (const address of addresses) {
    const page = await browser.open(`${console_.url}${address}`, options);
    await check(page, address);
    assert.deepEqual(page.problems, [], address);
    await page.context().close();
  }
}

async function violations(page) {
  await page.evaluate(axe.source);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.target} (${found.help})`));
}

test("there are pages for every section, and of the group one with its member", async () => {
  const group = addresses.find((address) => /^\/console\/groups\/[^/?]+(\?|$)/.test(address));
  const html = await (await fetch(`${console_.url}${group}`)).text();
  assert.ok(html.includes("127.0.0.1") && html.includes("window.hacked"), group);

  for (const section of ["/console", "/console/topics", "/console/groups", "/console/dead-letters", "/console/produce"]) {
    assert.ok(addresses.includes(section), `${section} is not among ${addresses.join(" ")}`);
  }
});

for (const colorScheme of ["light", "dark"]) {
  test(`${colorScheme}: axe has no objections, nothing runs that is data, and a heading says where one is`, async () => {
    await visit({ colorScheme, reducedMotion: "reduce" }, async (page, address) => {
      assert.deepEqual(await violations(page), [], address);
      assert.equal(await page.evaluate(() => window.hacked), undefined, address);
      assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1, address);
    });
  });
}

for (const [name, viewport] of [["on a phone", { width: 390, height: 844 }], ["at 200 % zoom", { width: 640, height: 400 }]]) {
  test(`${name}: no page is wider than the window`, async () => {
    await visit({ viewport, reducedMotion: "reduce" }, async (page, address) => {
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(beyond <= 0, `${address} is ${beyond} px too wide`);
    });
  });
}

test("without scripts every page has its content", async () => {
  await visit({ javaScriptEnabled: false }, async (page, address) => {
    const words = (await page.getByRole("main").innerText()).trim();
    assert.ok(words.length > 20, `${address}: ${words}`);
  });
});

test("every page is sent with a policy that lets nothing of others run", async () => {
  for (const address of addresses) {
    const answer = await fetch(`${console_.url}${address}`);
    const policy = answer.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'self'/, address);
    assert.ok(!policy.includes("unsafe"), address);
    const html = await answer.text();
    assert.ok(!/<script(?![^>]*\bsrc=)[^>]*>|\son[a-z]+=|\sstyle=|<style/i.test(html.replaceAll(/&(lt|#60);.*?&(gt|#62);/g, "")), address);
  }
});
