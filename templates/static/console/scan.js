// A search as the page shows it: found rows as they are found, how far it is, stop, and go on.

import { lines, rowOf } from "./lines.js";
import { localise } from "./moments.js";

const count = new Intl.NumberFormat("en-US");

export class Scan {
  #rows;
  #section = document.getElementById("scan");
  #said = document.getElementById("scan-said");
  #bar = document.getElementById("scan-bar");
  #stop = document.getElementById("scan-stop");
  #errors = document.getElementById("scan-errors");
  #abort = null;
  /** What was found and scanned before the stream in hand. */
  #before = { found: 0, scanned: 0, errors: 0 };
  #last = null;

  constructor(rows) {
    this.#rows = rows;
    this.#stop.addEventListener("click", () => this.stop());
    const { stream, live, found, scanned, errors } = this.#section.dataset;
    this.#before = { found: Number(found ?? 0), scanned: Number(scanned ?? 0), errors: Number(errors ?? 0) };
    // The address is for sharing: who opens it gets the answer with the page.
    if (live === "true") history.replaceState(history.state, "", withoutLive());
    document.getElementById("scan-on")?.addEventListener("click", (event) => {
      event.preventDefault();
      this.start(this.#section.dataset.stream);
    });
    // What the server had no time for goes on here, unless the page is already full.
    const isFull = this.#before.found >= Number(this.#section.dataset.limit ?? Infinity);
    if (stream && !isFull) this.start(stream);
  }

  async start(stream) {
    this.stop();
    const abort = (this.#abort = new AbortController());
    this.#section.hidden = false;
    this.#stop.hidden = false;
    document.getElementById("scan-on")?.remove();
    document.getElementById("nothing").hidden = true;
    try {
      await lines(stream, abort.signal, (line) => this.#take(line, stream));
    } catch (error) {
      if (!abort.signal.aborted) this.#say(`The search broke off: ${error.message}`, stream);
    } finally {
      if (this.#abort === abort) {
        this.#abort = null;
        this.#stop.hidden = true;
        document.getElementById("nothing").hidden = this.#rows.children.length > 0;
      }
    }
  }

  /** Ends it; the server notices and stops reading. */
  stop() {
    if (!this.#abort) return;
    this.#abort.abort();
    this.#abort = null;
    this.#stop.hidden = true;
    if (this.#last) this.#show(this.#last, "stopped");
  }

  #take(line, stream) {
    if (line.type === "row") {
      const row = rowOf(line.html);
      localise(row);
      this.#rows.append(row);
    } else if (line.type === "progress") {
      this.#show(line, "");
    } else if (line.type === "end") {
      this.#show(line, line.end === "complete" || line.stopped_at.length === 0 ? "complete" : "stopped");
      for (const name of ["found", "scanned", "errors"]) this.#before[name] += line[name];
    }
    if (line.place) {
      this.#last = line;
      this.#section.dataset.stream = goingOn(stream, line);
    }
  }

  #show(line, end) {
    const found = this.#before.found + line.found;
    const scanned = this.#before.scanned + line.scanned;
    const parts = [
      element("strong", `${count.format(found)} found`),
      element("span", `${searched(scanned, line)} (${percent(line.percent)})`),
      element("span", `${count.format(line.rate)}/s`),
    ];
    if (end === "complete") parts.push(element("span", "complete"));
    if (end === "stopped") parts.push(element("span", stoppedAt(line)));
    this.#said.replaceChildren(...parts);
    this.#bar.value = line.percent;
    this.#section.dataset.end = end;
    this.#showErrors(line);
    if (end === "stopped") this.#offerMore();
  }

  #showErrors(line) {
    const errors = this.#before.errors + line.errors;
    this.#errors.hidden = errors + line.away.length === 0;
    if (this.#errors.hidden || line.examples.length === 0) return;
    const list = document.createElement("ul");
    const { address } = document.getElementById("messages").dataset;
    for (const { partition, offset, reason } of line.examples) {
      const link = element("a", `${partition}:${offset}`);
      link.href = `${address}/${partition}/${offset}`;
      const item = document.createElement("li");
      item.append(link, ` ${reason}`);
      list.append(item);
    }
    for (const away of line.away) list.append(element("li", away));
    const head = element("p", `${count.format(errors)} ${errors === 1 ? "record" : "records"} could not be decided:`);
    head.className = "bad";
    this.#errors.replaceChildren(head, list);
  }

  #offerMore() {
    if (document.getElementById("scan-on")) return;
    const button = element("button", "Continue");
    button.className = "button button-quiet";
    button.id = "scan-on";
    button.type = "button";
    button.addEventListener("click", () => this.start(this.#section.dataset.stream));
    this.#stop.after(button);
  }

  #say(text, stream) {
    this.#said.replaceChildren(element("strong", text));
    this.#section.dataset.stream ??= stream;
    this.#offerMore();
  }
}

/** The address of the stream that goes on where this one is. */
function goingOn(stream, { way, place }) {
  const address = new URL(stream, location.href);
  address.searchParams.delete("before");
  address.searchParams.delete("after");
  address.searchParams.set(way, place);
  return `${address.pathname}${address.search}`;
}

function withoutLive() {
  const address = new URL(location.href);
  address.searchParams.delete("live");
  return address.href;
}

function stoppedAt({ stopped_at: places }) {
  const named = places.slice(0, 3).map(([partition, offset]) => `${partition}:${offset}`).join(", ");
  return `stopped at ${named}${places.length > 3 ? ` and ${places.length - 3} more` : ""}`;
}

/** What was searched; the server's page says the same (list.rs). */
function searched(scanned, { covered, total }) {
  if (scanned < covered) return `${count.format(scanned)} records in ${count.format(covered)} of ${count.format(total)} offsets scanned`;
  return `${count.format(covered)} of ${count.format(total)} records scanned`;
}

const percent = (value) => (value >= 100 ? "100%" : `${value.toFixed(value < 10 ? 1 : 0)}%`);

const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });
