// Tells a screen reader what arrives, summed up: one message is read out, several are counted, and never more often
// than every few seconds.

import { plural, shorten } from "./text.js";

const GAP = 4000;
const READ_OUT = 160;

export class Announcer {
  #region;
  #count = 0;
  #last = null;
  #timer = 0;

  constructor(region) {
    this.#region = region;
  }

  arrived(message) {
    this.#count += 1;
    this.#last = message;
    this.#timer ||= setTimeout(() => this.#announce(), GAP);
  }

  #announce() {
    const { author, content } = this.#last;
    this.#region.textContent = this.#count === 1 ? `${author}: ${shorten(content, READ_OUT)}` : plural(this.#count, "new message");
    this.#count = 0;
    this.#timer = 0;
  }
}
