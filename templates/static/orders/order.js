// One order: whenever something happens to it, the page is asked for again and its parts are exchanged (live.js), so that
// everything is drawn in one place. The steps that changed light up.

import { keepOpen } from "../connection.js";
import { refresh } from "../live.js";
import { Stream } from "../stream.js";

/** The email is no event of a stream: it is looked for, first after so long, then with growing pauses. */
const FIRST_PAUSE = 200;
const LONGEST_PAUSE = 5_000;

const { order, lastEventId } = document.getElementById("saga").dataset;
const stream = new Stream(`/api/orders/stream?${new URLSearchParams({ order })}`, lastEventId);

let isLooking = false;
let hasMore = false;
let pause = FIRST_PAUSE;
let timer = 0;

async function look() {
  hasMore = true;
  if (isLooking) return;
  isLooking = true;
  // Of what comes while the page is asked for, one more look shows all.
  while (hasMore) {
    hasMore = false;
    await refresh();
  }
  isLooking = false;
  awaitEmail();
}

function awaitEmail() {
  clearTimeout(timer);
  if (!document.querySelector('[data-step="notification"][data-state="waiting"]')) return;
  timer = setTimeout(look, pause);
  pause = Math.min(pause * 2, LONGEST_PAUSE);
}

stream.onMessage = look;
stream.onReset = look;
keepOpen(stream);
awaitEmail();
document.documentElement.dataset.ready = "true";
