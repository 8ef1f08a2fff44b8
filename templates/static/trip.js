// Times the trip of a message posted from this page: until Kafka's acknowledgement (that is what the answer to the POST
// means), and until the stream brought the message back. The stream may win.

import { duration } from "./time.js";

/** Stops along the way, as in path.html. */
const KAFKA = 1;
const SCREEN = 4;

export class Trip {
  #stops;
  #ack;
  #shown;
  #note;
  #start = null;
  #id = null; // known once the POST is answered
  #arrivals = new Map(); // id → when, for what came while the answer was awaited

  constructor({ stops, ack, shown, note }) {
    this.#stops = stops.children;
    this.#ack = ack;
    this.#shown = shown;
    this.#note = note;
  }

  start() {
    this.#start = performance.now();
    this.#id = null;
    this.#arrivals.clear();
    this.#ack.textContent = "";
    this.#shown.textContent = "";
    this.#reach(0);
  }

  acknowledged(id) {
    this.#id = id;
    this.#ack.textContent = duration(performance.now() - this.#start);
    this.#reach(KAFKA);
    if (this.#arrivals.has(id)) this.#finish(this.#arrivals.get(id));
    this.#arrivals.clear();
  }

  /** A message came through the stream. */
  arrived(id) {
    if (this.#start === null) return;
    if (this.#id === null) this.#arrivals.set(id, performance.now());
    else if (this.#id === id) this.#finish(performance.now());
  }

  #finish(at) {
    this.#shown.textContent = duration(at - this.#start);
    this.#reach(SCREEN);
    this.#note.textContent = "Your last message, timed in this browser.";
    this.#start = null;
  }

  #reach(last) {
    for (let i = 0; i < this.#stops.length; i += 1) this.#stops[i].classList.toggle("reached", i <= last);
  }
}
