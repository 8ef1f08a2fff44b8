// One order: whenever something happens to it, the page is asked for again and its parts are exchanged (live.js), so that
// everything is drawn in one place. The steps that changed light up.

import { keepOpen } from "../connection.js";
import { refresh } from "../live.js";
import { Stream } from "../stream.js";

const { order } = document.getElementById("saga").dataset;
const stream = new Stream(`/api/orders/stream?${new URLSearchParams({ order })}`);

let isAsking = false;
let isAskedAgain = false;

/** Of events that come while the page is asked for, one more look shows all. */
async function look() {
  isAskedAgain = isAsking;
  if (isAsking) return;
  isAsking = true;
  do {
    isAskedAgain = false;
    await refresh();
  } while (isAskedAgain);
  isAsking = false;
}

stream.onMessage = look;
stream.onReset = look;
// What came between the page and the stream.
stream.onConnected = look;
keepOpen(stream);
document.documentElement.dataset.ready = "true";
