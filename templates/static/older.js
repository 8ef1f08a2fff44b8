// "Older messages": a link that works by itself (/?before=…), and that loads the page in place when scripts run.

import { isMessage, plural } from "./text.js";

const PAGE = 50;
/** The way back to the lower end of the list after it was cut: MAX_SHOWN messages, and what came meanwhile. */
const MAX_PAGES = 20;

/** `{messages, next}` of the API, checked. */
export async function fetchPage(before, limit = PAGE) {
  const query = new URLSearchParams({ limit });
  if (before) query.set("before", before);
  const response = await fetch(`/api/messages?${query}`, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`answered ${response.status}`);
  const { messages, next } = await response.json();
  return { messages: messages.filter(isMessage), next };
}

/** Whether a message belongs below `oldest`. By seq where both have one: clocks may disagree, the one order doesn't. */
export function isBelow(message, oldest) {
  if (!oldest) return true;
  if (message.seq !== undefined && oldest.seq !== undefined) return message.seq < oldest.seq;
  return message.timestamp <= oldest.timestamp;
}

export class OlderMessages {
  #feed;
  #link;
  #status;
  #cursor; // undefined: the list's end isn't where the cursor pointed any more
  #loading = false;

  constructor({ feed, link, status, cursor }) {
    this.#feed = feed;
    this.#link = link;
    this.#status = status;
    this.#cursor = cursor || undefined;
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab was asked for
      event.preventDefault();
      this.load();
    });
    feed.onTailLost = () => {
      this.#cursor = undefined;
      this.#link.hidden = false;
    };
  }

  async load() {
    if (this.#loading) return;
    this.#busy(true);
    try {
      const { messages, next } = await this.#nextPage();
      const first = this.#feed.append(messages);
      this.#cursor = next;
      this.#link.hidden = !next;
      if (next) this.#link.href = `/?${new URLSearchParams({ before: next })}`;
      this.#status.textContent = next ? "" : "This is where the log begins.";
      if (first && !next) first.querySelector(".message-time").focus({ preventScroll: true }); // the link, which had it, is gone
      if (first) this.#announce(messages.length);
    } catch {
      this.#status.textContent = "Older messages couldn’t be loaded. Try again.";
    } finally {
      this.#busy(false);
    }
  }

  /** The first page with something that isn't shown. Starts over from the newest when the cursor was lost. */
  async #nextPage() {
    const lost = this.#cursor === undefined;
    const { oldest } = this.#feed;
    let next = this.#cursor;
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const page = await fetchPage(next);
      const messages = page.messages.filter((message) => !this.#feed.has(message.id) && (!lost || isBelow(message, oldest)));
      next = page.next;
      if (messages.length > 0 || !next) return { messages, next };
    }
    return { messages: [], next };
  }

  #busy(loading) {
    this.#loading = loading;
    this.#link.textContent = loading ? "Loading…" : "Older messages";
    this.#link.setAttribute("aria-disabled", loading);
  }

  #announce(count) {
    this.#status.textContent ||= `${plural(count, "older message")} added.`;
  }
}
