// Live: what comes from now on, with the search that is set. More than anyone can read is counted instead of shown:
// shown and skipped are together all that came. Paused, the place is kept; going on, nothing is left out of the count.

import { lines, rowOf } from "./lines.js";
import { localise } from "./moments.js";

/** Rows that stay in the page. */
const KEPT = 500;

const count = new Intl.NumberFormat("en-US");

export class Tail {
  #button;
  #rows;
  #scan;
  #newestFirst;
  #text = document.getElementById("live-text");
  #section = document.getElementById("scan");
  #said = document.getElementById("scan-said");
  #bar = document.getElementById("scan-bar");
  #abort = null;
  #place = null;
  #waiting = [];
  /** Whether it pauses only until the page is seen again. */
  #goesOn = false;
  #shown = 0;
  /** All that matched and all that were looked at, of the streams before this one. */
  #before = { found: 0, skipped: 0, scanned: 0 };
  #last = { found: 0, skipped: 0, scanned: 0 };

  constructor(button, rows, scan) {
    this.#button = button;
    this.#rows = rows;
    this.#scan = scan;
    this.#newestFirst = document.getElementById("messages").dataset.order === "newest";
    button.addEventListener("click", () => (this.#abort ? this.#pause() : this.#run()));
    document.addEventListener("visibilitychange", () => this.#seenOrNot());
  }

  /** A page that nobody sees draws nothing; seen again, it goes on where it was. */
  #seenOrNot() {
    if (document.hidden && this.#abort) {
      this.#pause();
      this.#goesOn = true;
    } else if (!document.hidden && this.#goesOn) {
      this.#run();
    }
  }

  async #run() {
    this.#goesOn = false;
    this.#scan.stop();
    const abort = (this.#abort = new AbortController());
    this.#button.setAttribute("aria-pressed", "true");
    this.#text.textContent = "Pause";
    this.#section.hidden = false;
    this.#bar.hidden = true;
    document.getElementById("nothing").hidden = true;
    for (const pager of document.querySelectorAll(".pager .page-actions")) pager.hidden = true;
    try {
      await lines(this.#address(), abort.signal, (line) => this.#take(line));
      if (!abort.signal.aborted) this.#pause("ended");
    } catch (error) {
      if (!abort.signal.aborted) this.#pause(`broke off: ${error.message}`);
    }
  }

  #pause(why = "paused") {
    this.#goesOn = false;
    this.#abort?.abort();
    this.#abort = null;
    this.#waiting = [];
    for (const name of ["found", "skipped", "scanned"]) this.#before[name] += this.#last[name];
    this.#last = { found: 0, skipped: 0, scanned: 0 };
    this.#button.setAttribute("aria-pressed", "false");
    this.#text.textContent = "Resume";
    this.#show(why);
  }

  #address() {
    const address = new URL(this.#button.dataset.stream, location.href);
    if (this.#place) address.searchParams.set("after", this.#place);
    return address.href;
  }

  #take(line) {
    if (line.type === "row") {
      this.#waiting.push(line.html);
    } else if (line.type === "progress") {
      this.#draw();
      this.#place = line.place;
      this.#last = line;
      this.#show("live");
    }
  }

  /** Rows are drawn with the progress that counts them: one without the other would be counted twice after a pause. */
  #draw() {
    const rows = this.#waiting.splice(0).map(rowOf);
    for (const row of rows) {
      row.classList.add("is-new");
      localise(row);
      if (this.#newestFirst) this.#rows.prepend(row);
      else this.#rows.append(row);
    }
    this.#shown += rows.length;
    while (this.#rows.children.length > KEPT) (this.#newestFirst ? this.#rows.lastElementChild : this.#rows.firstElementChild).remove();
  }

  #show(state) {
    const all = (name) => this.#before[name] + this.#last[name];
    const parts = [
      ["strong", state === "live" ? "Live" : state[0].toUpperCase() + state.slice(1)],
      ["span", `${count.format(this.#shown)} shown`],
      ["span", `${count.format(all("skipped"))} skipped`],
    ];
    if (all("scanned") !== all("found")) parts.push(["span", `${count.format(all("scanned"))} looked at`]);
    this.#said.replaceChildren(...parts.map(([name, text]) => Object.assign(document.createElement(name), { textContent: text })));
    Object.assign(this.#section.dataset, { shown: this.#shown, skipped: all("skipped"), found: all("found"), state });
  }
}
