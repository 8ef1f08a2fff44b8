// The board as people use it, in a real browser against real servers.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Board } from "./support/board.js";
import { Browser, contents, leads, message, write } from "./support/browser.js";
import { eventually } from "./support/server.js";

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

/** Opens the board, runs the steps, and lets no complaint of the page go unseen. */
async function onBoard(steps, options) {
  const page = await browser.open(board.url, options);
  try {
    await steps(page);
    assert.deepEqual(page.problems, [], "the page complained");
  } finally {
    await page.context().close();
  }
}

test("messages are there before any script runs", async () => {
  await board.post("Rendered by the server", "Ada");
  await onBoard(async (page) => {
    const shown = message(page, "Rendered by the server");
    assert.equal(await shown.locator(".message-author").textContent(), "Ada");
    assert.ok(Date.parse(await shown.locator("time").getAttribute("datetime")) > Date.now() - 60_000);
    assert.equal(await page.locator("#connection").isVisible(), false, "nothing is promised that needs a script");
  }, { javaScriptEnabled: false });
});

test("the form posts without a script", async () => {
  await onBoard(async (page) => {
    await leads(page, () => write(page, "By form alone", "Grace Hopper"));
    // The page may be rendered before the projection got to the message.
    await eventually("the message after a reload", async () => {
      if (await message(page, "By form alone").count()) return true;
      await page.reload();
      return false;
    });
    assert.equal(await page.inputValue("#author"), "Grace Hopper", "the name is remembered");
    assert.equal(await page.inputValue("#content"), "", "the text is not");
  }, { javaScriptEnabled: false });
});

test("what a failed form post brought is not lost", async () => {
  await onBoard(async (page) => {
    await page.fill("#author", "Grace");
    // More than spaces is required of a message, and `required` can't know that.
    await page.fill("#content", "   ");
    await page.click("#post");
    await page.waitForSelector("#composer-error:not([hidden])");
    assert.notEqual((await page.textContent("#composer-error")).trim(), "");
    assert.equal(await page.inputValue("#author"), "Grace");
    page.problems.length = 0; // the browser reports the 400 itself
  }, { javaScriptEnabled: false });
});

test("a post in one window shows in another, live", async () => {
  await onBoard(async (first) => {
    await onBoard(async (second) => {
      await write(first, "Live to everyone");
      await message(second, "Live to everyone").waitFor();
      await message(first, "Live to everyone").waitFor();
      assert.equal(await message(first, "Live to everyone").count(), 1, "shown once to the one who wrote it");
      assert.equal((await contents(second))[0], "Live to everyone", "newest first");
      assert.equal(await first.inputValue("#content"), "");
      assert.match(await first.textContent("#trip-shown"), /^[\d.,]+ m?s$/);
    });
  });
});

test("the author is remembered", async () => {
  await onBoard(async (page) => {
    await write(page, "Remember me", "Edsger");
    await message(page, "Remember me").waitFor();
    await page.reload();
    assert.equal(await page.inputValue("#author"), "Edsger");
  });
});

test("characters are counted as people count them", async () => {
  await onBoard(async (page) => {
    const most = Number(await page.getAttribute("#composer", "data-max-content"));
    await page.fill("#content", "Grüße 👋");
    await page.waitForFunction((most) => document.querySelector("#count").textContent.replace(/[\s,.\u202f]/g, "") === `7/${most}`, most);
    await page.fill("#content", "x".repeat(most + 1));
    await page.waitForSelector("#count.over");
    await page.fill("#author", "Grace");
    await page.click("#post");
    await page.waitForSelector("#composer-error:not([hidden])");
    assert.equal(await page.getAttribute("#content", "aria-invalid"), "true");
    assert.equal(await page.evaluate(() => document.activeElement.id), "content", "the focus is where the fault is");
    assert.equal((await page.inputValue("#content")).length, most + 1, "nothing typed is thrown away");
  });
});

test("HTML is text", async () => {
  const hostile = `<img src=x onerror="window.ran = 1"><script>window.ran = 1</script>&lt;b&gt; </textarea>`;
  const author = `"><script>window.ran = 1</script>`;
  await onBoard(async (page) => {
    await board.post(hostile, author);
    await eventually("it, live", async () => (await contents(page)).includes(hostile));
    await page.reload();
    await page.waitForSelector('html[data-ready="true"]');
    assert.ok((await contents(page)).includes(hostile), "and server-rendered");
    assert.ok((await page.locator(".message-author").allTextContents()).includes(author));
    assert.equal(await page.evaluate(() => window.ran), undefined);
  });
});

test("line breaks and every script survive, live and rendered alike", async () => {
  const text = "first line\nsecond line\n\nعربى 日本語 👩‍👩‍👧";
  await onBoard(async (page) => {
    await write(page, text);
    await eventually("it, live", async () => (await contents(page)).includes(text));
    await page.reload();
    assert.ok((await contents(page)).includes(text));
  });
});

test("the page says when the server is gone, comes back, and has missed nothing", async () => {
  const page = await browser.open(board.url);
  const other = await board.serve();
  try {
    await page.fill("#content", "half-written");
    await board.main.end("SIGKILL");
    await page.waitForSelector('#connection[data-state="reconnecting"], #connection[data-state="offline"]');
    assert.match(await page.locator('#connection [role="status"], #connection[role="status"]').first().textContent(), /\S/);

    const meanwhile = [];
    for (let n = 1; n <= 5; n++) {
      meanwhile.unshift(`while you were away, ${n}`);
      await board.post(meanwhile[0], "Ada", other.url);
    }
    await board.main.start();
    await page.waitForSelector('#connection[data-state="live"]');
    await message(page, meanwhile[0]).waitFor();
    assert.deepEqual((await contents(page)).slice(0, 5), meanwhile);
    assert.equal(await page.inputValue("#content"), "half-written", "no reload happened");
  } finally {
    await page.context().close();
    await other.end();
  }
});

test("a reader further down is not pushed away", async () => {
  for (let n = 0; n < 40; n++) await board.send(`Filling the page, ${n}`);
  // All of them are on the board before the page opens: what arrives from here on is the news alone.
  await eventually("a full board", async () => {
    const { messages } = await (await fetch(`${board.url}/api/messages?limit=100`)).json();
    return messages.filter(({ content }) => content.startsWith("Filling the page")).length === 40;
  });
  await onBoard(async (page) => {
    // Chromium scrolls a wheel's turn over several frames: only at its end does anything stand where it stays.
    await page.evaluate(() => addEventListener("scrollend", () => { window.scrolled = true; }, { once: true }));
    await page.mouse.move(640, 600);
    await page.mouse.wheel(0, 1500);
    await page.waitForFunction(() => window.scrolled);
    assert.ok(await page.evaluate(() => window.scrollY > 500), "the page scrolled");
    // What the reader looks at must stay where it is.
    const marker = await page.evaluateHandle(() => document.elementFromPoint(innerWidth * 0.7, innerHeight / 2).closest("li.message"));
    const before = await marker.evaluate((element) => element.getBoundingClientRect().top);

    await board.post("News for a reader");
    await page.waitForSelector("#new-messages:not([hidden])");
    assert.match(await page.textContent("#new-messages"), /1 new message/);
    const moved = Math.abs((await marker.evaluate((element) => element.getBoundingClientRect().top)) - before);
    assert.ok(moved < 2, `what was being read moved by ${moved} px`);

    await page.click("#new-messages");
    await message(page, "News for a reader").waitFor();
    await page.waitForSelector("#new-messages", { state: "hidden" });
    await eventually("the newest in view", () => message(page, "News for a reader").evaluate((element) => {
      const { top, bottom } = element.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    }));
  });
});

test("older messages lead to the first one, with a script and without", async () => {
  for (let n = 0; n < 130; n++) await board.send(`History, ${n}`);
  for (const javaScriptEnabled of [true, false]) {
    await onBoard(async (page) => {
      await eventually("the end of the log", async () => {
        if ((await contents(page)).includes("Rendered by the server")) return true;
        if (await page.locator("#older").isVisible()) await page.click("#older");
        return false;
      });
    }, { javaScriptEnabled });
  }
});

test("the keyboard is enough", async () => {
  await onBoard(async (page) => {
    // A ring that fades in is not there yet when it's looked for.
    await page.evaluate(() => {
      const still = new CSSStyleSheet();
      still.replaceSync("* { transition: none !important }");
      document.adoptedStyleSheets.push(still);
    });
    const reached = [];
    const tabTo = async (id) => {
      for (let presses = 0; presses < 20; presses++) {
        await page.keyboard.press("Tab");
        const focus = await page.evaluate(() => {
          const element = document.activeElement;
          // The ring may be drawn around the field's frame: look at the element and two around it, with focus and without.
          const around = [element, element.parentElement, element.parentElement?.parentElement].filter(Boolean);
          const looks = () => around.map((each) => getComputedStyle(each)).map((style) => style.outline + style.boxShadow + style.borderColor);
          const focused = looks();
          element.blur();
          const blurred = looks();
          element.focus({ focusVisible: true });
          return { id: element.id, ring: focused.some((look, at) => look !== blurred[at]) };
        });
        reached.push(focus.id);
        assert.ok(focus.ring, `the focus on "${focus.id}" can be seen`);
        if (focus.id === id) return;
      }
      assert.fail(`Tab never reached #${id}: ${reached}`);
    };
    await tabTo("content");
    await page.keyboard.type("By keyboard");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("alone");
    await tabTo("author");
    await page.keyboard.type("Barbara");
    await tabTo("post");
    await page.keyboard.press("Enter");
    await message(page, "By keyboard alone").or(page.locator("li.message", { hasText: "By keyboard\nalone" })).first().waitFor();

    await page.focus("#content");
    await page.keyboard.type("Enter posts");
    await page.keyboard.press("Enter");
    await message(page, "Enter posts").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "content", "ready for the next one");
  });
});

test("light and dark follow the system", async () => {
  const brightness = (page) =>
    page.evaluate(() => {
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
      return (red + green + blue) / 3;
    });
  await onBoard(async (page) => {
    assert.ok((await brightness(page)) > 200);
    await page.emulateMedia({ colorScheme: "dark" });
    assert.ok((await brightness(page)) < 60);
    await page.click("#theme");
    await eventually("the choice by hand", async () => (await page.getAttribute("html", "data-theme")) !== null);
    const chosen = await page.getAttribute("html", "data-theme");
    await page.reload();
    assert.equal(await page.getAttribute("html", "data-theme"), chosen, "the choice is kept");
  }, { colorScheme: "light" });
});

test("it fits a phone", async () => {
  await board.post(`A word without end: ${"o".repeat(300)}`, "a".repeat(40));
  await onBoard(async (page) => {
    // What sticks out on the right, so that a failure says where to look.
    const overflow = () => page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      const out = [...document.body.querySelectorAll("*")].filter((each) => each.getBoundingClientRect().right > clientWidth + 1);
      return scrollWidth > clientWidth ? [scrollWidth, ...out.map((each) => `${each.tagName}.${each.className}: ${each.textContent.slice(0, 40)}`)] : [];
    });
    assert.deepEqual(await overflow(), [], "no horizontal scrolling");
    const small = await page.locator("#post, #content, #author, #theme").evaluateAll((elements) =>
      elements.filter((element) => element.getBoundingClientRect().height < 24).map((element) => element.id));
    assert.deepEqual(small, [], "what is touched is large enough");
    await write(page, "From a phone");
    await message(page, "From a phone").waitFor();
    assert.deepEqual(await overflow(), []);
  }, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
});
