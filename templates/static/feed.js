// The list of messages: what is shown, in which order, and when.
//
// New messages go in on top while the reader is at the top. While they read further down nothing moves under their
// eyes: messages wait, and a pill says how many. The page stays quick under any load because the list changes at most
// once a frame and holds at most MAX_SHOWN messages while live.

import { Arrivals } from "./arrivals.js";
import { hue, initial, plural } from "./text.js";
import { exactTime, isoTime, relativeTime } from "./time.js";

export const MAX_SHOWN = 300;
/** More than this many at once would be a flicker, not an arrival. */
const MAX_ANIMATED = 4;

export class Feed {
  #list;
  #template;
  #empty;
  #pill;
  #arrivals = new Arrivals(MAX_SHOWN);
  #items = new Map(); // id → li, for what is shown
  #mine = new Set(); // ids posted from this page
  #frame = 0;
  #readerIsAtTop = true;

  /** Called when messages left the lower end, or all were replaced: what comes after the last one is unknown then. */
  onTailLost = () => {};

  constructor({ list, template, empty, topMark, pill }) {
    this.#list = list;
    this.#template = template;
    this.#empty = empty;
    this.#pill = pill;
    for (const item of list.children) this.#adopt(item);
    pill.addEventListener("click", () => this.showNewest({ focus: true }));
    new IntersectionObserver(([entry]) => this.#scrolled(entry), { rootMargin: "-56px 0px 0px" }).observe(topMark);
  }

  /** The last message shown: {timestamp, seq?}, or null. */
  get oldest() {
    const item = this.#list.lastElementChild;
    return item && { timestamp: timestampOf(item), seq: item.dataset.seq ? Number(item.dataset.seq) : undefined };
  }

  has(id) {
    return this.#items.has(id) || this.#arrivals.has(id);
  }

  /** A live message. Returns whether it is a new one. */
  receive(message) {
    if (this.has(message.id)) return false;
    this.#arrivals.add(message);
    if (this.#mine.has(message.id)) this.showNewest();
    this.#schedule();
    return true;
  }

  /** Marks a message as posted from here, and takes the reader to it: that is what they wait for. */
  claim(id) {
    this.#mine.add(id);
    this.#items.get(id)?.classList.add("mine");
    if (this.#arrivals.has(id)) this.showNewest();
  }

  /** Older messages, newest first, below the others. Returns the first new item. */
  append(messages) {
    const items = messages.filter(({ id }) => !this.has(id)).map((message) => this.#create(message));
    this.#list.append(...items);
    this.#changed();
    return items[0];
  }

  /** Shows exactly these, newest first, and keeps what the reader looks at in its place. */
  replace(messages) {
    const anchor = this.#anchor();
    this.#arrivals.take();
    const kept = this.#items;
    this.#items = new Map();
    const items = messages.slice(0, MAX_SHOWN).map((message) => {
      const item = kept.get(message.id);
      if (!item) return this.#create(message);
      item.classList.remove("arriving"); // moving it would play it again
      this.#items.set(message.id, item);
      return item;
    });
    this.#list.replaceChildren(...items);
    this.#changed();
    this.onTailLost();
    if (anchor?.item.isConnected) scrollBy({ top: anchor.item.getBoundingClientRect().top - anchor.top, behavior: "instant" });
  }

  /** Back to the top, with everything that waited. */
  showNewest({ focus = false } = {}) {
    this.#readerIsAtTop = true;
    this.#insertArrivals();
    const section = this.#list.parentElement;
    if (section.getBoundingClientRect().top < 0) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      section.scrollIntoView({ block: "start", behavior: calm ? "instant" : "smooth" });
    }
    if (focus) this.#list.querySelector(".message-time")?.focus({ preventScroll: true });
  }

  /** Brings every "3 min ago" up to date. */
  tick(now = Date.now()) {
    for (const item of this.#list.children) setText(item.querySelector(".message-time"), relativeTime(timestampOf(item), now));
  }

  #scrolled(entry) {
    // Not visible also means "further down", on a phone with the keyboard open: only above the view counts as away.
    this.#readerIsAtTop = entry.isIntersecting || entry.boundingClientRect.top > 0;
    if (this.#arrivals.count > 0) this.#schedule();
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#readerIsAtTop) this.#insertArrivals();
      else this.#showPill();
    });
  }

  #insertArrivals() {
    const messages = this.#arrivals.take();
    this.#showPill();
    if (messages.length === 0) return;
    const items = messages.map((message) => this.#create(message));
    if (items.length <= MAX_ANIMATED) for (const item of items) item.classList.add("arriving");
    this.#list.prepend(...items);
    this.#trim();
    this.#changed();
  }

  #trim() {
    if (this.#list.children.length <= MAX_SHOWN) return;
    while (this.#list.children.length > MAX_SHOWN) {
      const item = this.#list.lastElementChild;
      this.#items.delete(item.dataset.id);
      item.remove();
    }
    this.onTailLost();
  }

  #showPill() {
    const { count } = this.#arrivals;
    this.#pill.hidden = count === 0;
    if (count > 0) setText(this.#pill, plural(count, "new message"));
  }

  #changed() {
    this.#empty.hidden = this.#list.childElementCount > 0;
  }

  #create({ id, content, author, timestamp, seq }) {
    const item = this.#template.content.firstElementChild.cloneNode(true);
    const avatar = item.querySelector(".avatar");
    const time = item.querySelector(".message-time");
    item.dataset.id = id;
    if (seq !== undefined) item.dataset.seq = seq;
    avatar.className = `avatar hue-${hue(author)}`;
    avatar.textContent = initial(author);
    item.querySelector(".message-author").textContent = author;
    item.querySelector(".message-content").textContent = content;
    time.dateTime = isoTime(timestamp);
    time.title = exactTime(timestamp);
    time.textContent = relativeTime(timestamp);
    item.classList.toggle("mine", this.#mine.has(id));
    this.#items.set(id, item);
    return item;
  }

  /** Takes over a message that the server rendered; the reader's time zone is known only here. */
  #adopt(item) {
    const time = item.querySelector(".message-time");
    time.title = exactTime(timestampOf(item));
    this.#items.set(item.dataset.id, item);
  }

  /** The first message in view, and where it is; nothing while the reader is at the top, where the newest belong. */
  #anchor() {
    if (this.#readerIsAtTop) return null;
    for (const item of this.#list.children) {
      const { top, bottom } = item.getBoundingClientRect();
      if (bottom > 0) return { item, top };
    }
    return null;
  }
}

const timestampOf = (item) => Date.parse(item.querySelector(".message-time").dateTime);

/** Writes only what differs: an unchanged text costs no layout, and isn't announced again. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
