// Messages that came but aren't shown yet: they wait here for the next animation frame, or for the reader to come back
// to the top. Bounded: of a burst only the newest `limit` are kept, because the list would drop the others anyway.

export class Arrivals {
  #limit;
  #messages = new Map(); // by id, oldest first: a Map keeps the order of insertion
  #count = 0;

  constructor(limit) {
    this.#limit = limit;
  }

  /** How many came since the last take, also those no longer kept. */
  get count() {
    return this.#count;
  }

  has(id) {
    return this.#messages.has(id);
  }

  add(message) {
    if (this.#messages.has(message.id)) return;
    this.#messages.set(message.id, message);
    this.#count += 1;
    if (this.#messages.size > this.#limit) this.#messages.delete(this.#messages.keys().next().value);
  }

  /** Everything that waits, newest first; leaves nothing behind. */
  take() {
    const messages = [...this.#messages.values()].reverse();
    this.#messages.clear();
    this.#count = 0;
    return messages;
  }
}
