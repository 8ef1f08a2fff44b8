// The live stream. EventSource reconnects by itself only after some failures, always after the same pause, and with
// the address it was made with. So each connection here is a new one that names the last event seen: nothing is missed,
// and thousands of pages that lost the same server don't all come back in the same moment.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
/** No greeting within this time: a proxy or a server that hangs. */
const GREETING_TIMEOUT = 10_000;
/** From so many failures in a row on, it's called offline. */
const OFFLINE_AFTER = 4;
/** A window that follows a reset is complete when nothing came for this long, or (on a busy board) after the longest wait. */
const WINDOW_QUIET = 150;
const WINDOW_LONGEST = 1000;

/** Milliseconds to wait before the given attempt (0 is the first): doubling, capped, and spread by half. */
export function pauseBefore(attempt, random = Math.random) {
  const full = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt);
  return full * (0.5 + random() / 2);
}

/** What to call the connection after so many failures in a row. */
export const stateAfter = (failures) => (failures >= OFFLINE_AFTER ? "offline" : "reconnecting");

export class Stream {
  #url;
  #lastEventId;
  #source = null;
  #failures = 0;
  #timer = 0;
  #window = null; // the messages since a reset, while they come in
  #windowEnd = 0;

  /** Replaceable by the owner. */
  onState = (_state) => {};
  onConnected = () => {};
  onMessage = (_message) => {};
  /** The whole window, oldest first, in place of everything before. */
  onReset = (_messages) => {};

  constructor(url, lastEventId) {
    this.#url = url;
    this.#lastEventId = lastEventId;
  }

  get lastEventId() {
    return this.#lastEventId;
  }

  /** Connects now, whatever was there before. */
  open() {
    this.close();
    const url = new URL(this.#url, location.href);
    if (this.#lastEventId) url.searchParams.set("last_event_id", this.#lastEventId);
    const source = new EventSource(url);
    this.#source = source;
    this.#timer = setTimeout(() => this.#failed(), GREETING_TIMEOUT);
    source.addEventListener("message", (event) => this.#received(event));
    source.addEventListener("reset", () => this.#collectWindow());
    source.addEventListener("error", () => this.#failed());
  }

  /** Connects now if it isn't connected. */
  wake() {
    if (!this.#source) this.open();
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    // Dropped half-way: what is in stands, and the next connection continues after it. Nothing in: as if not begun.
    if (this.#window?.length) this.#finishWindow();
    this.#window = null;
  }

  #received(event) {
    const data = parse(event.data);
    if (data?.type === "connected") return this.#connected();
    if (data === null) return;
    if (event.lastEventId) this.#lastEventId = event.lastEventId;
    if (!this.#window) return this.onMessage(data);
    this.#window.push(data);
    this.#awaitQuiet();
  }

  #connected() {
    clearTimeout(this.#timer);
    this.#failures = 0;
    this.onState("live");
    this.onConnected();
  }

  #failed() {
    this.close();
    this.#timer = setTimeout(() => this.open(), pauseBefore(this.#failures));
    this.#failures += 1;
    this.onState(stateAfter(this.#failures));
  }

  #collectWindow() {
    this.#window = [];
    this.#windowEnd = performance.now() + WINDOW_LONGEST;
    this.#awaitQuiet();
  }

  #awaitQuiet() {
    clearTimeout(this.#timer);
    const left = this.#windowEnd - performance.now();
    this.#timer = setTimeout(() => this.#finishWindow(), Math.max(0, Math.min(WINDOW_QUIET, left)));
  }

  #finishWindow() {
    clearTimeout(this.#timer);
    const messages = this.#window;
    this.#window = null;
    this.onReset(messages);
  }
}

/** What isn't JSON isn't ours: a stream that a proxy garbled must not stop the page. */
function parse(text) {
  try { return JSON.parse(text); } catch { return null; }
}
