// The board's page, wired together. Each part knows its own elements and nothing of the others:
//
//   composer ── posts ──▶ server ──▶ stream ──▶ feed
//       └─────── trip (times the way) ◀──┘
//
// Everything here adds to a page that reads and posts without it.

import { Announcer } from "./announcer.js";
import { Composer } from "./composer.js";
import { keepOpen } from "./connection.js";
import { Feed } from "./feed.js";
import { OlderMessages, fetchPage } from "./older.js";
import { Stream } from "./stream.js";
import { isMessage } from "./text.js";
import { Trip } from "./trip.js";

const TICK = 15_000;

const byId = (id) => document.getElementById(id);
const list = byId("messages");
const isOlderPage = "older" in list.dataset;

const feed = new Feed({ list, template: byId("message-template"), empty: byId("empty"), topMark: byId("feed-top"), pill: byId("new-messages") });
const trip = new Trip({ stops: byId("stops"), ack: byId("trip-ack"), shown: byId("trip-shown"), note: byId("trip-note") });
const composer = new Composer(byId("composer"), {
  button: byId("post"), label: byId("post-label"), error: byId("composer-error"), status: byId("composer-status"),
  count: byId("count"), countAnnouncer: byId("count-announcer"), avatar: byId("author-avatar"),
});
new OlderMessages({ feed, link: byId("older"), status: byId("older-status"), cursor: list.dataset.nextCursor });

feed.tick();
setInterval(() => { if (!document.hidden) feed.tick(); }, TICK);
document.addEventListener("visibilitychange", () => { if (!document.hidden) feed.tick(); });

if (isOlderPage) readOnly();
else goLive();
document.documentElement.dataset.ready = "true";

/** A page of the past doesn't grow on top: what is posted from it shows on the newest page. */
function readOnly() {
  byId("connection").hidden = true;
  composer.onPosted = () => location.assign("/");
}

function goLive() {
  const stream = new Stream("/api/messages/stream", list.dataset.lastEventId);
  const announcer = new Announcer(byId("announcer"));
  const unseen = countUnseen();
  stream.onMessage = (message) => {
    if (!isMessage(message)) return;
    trip.arrived(message.id);
    if (!feed.receive(message)) return;
    announcer.arrived(message);
    unseen.add();
  };
  stream.onReset = (messages) => feed.replace(messages.filter(isMessage).reverse());
  // The server had no id to give (an empty board, Redis away): what came until the stream stood must be asked for.
  stream.onConnected = () => { if (!stream.lastEventId) catchUp(stream); };

  composer.onSend = () => trip.start();
  composer.onPosted = (id) => { trip.acknowledged(id); feed.claim(id); };

  keepOpen(stream);
}

async function catchUp(stream) {
  try {
    const { messages } = await fetchPage();
    for (const message of messages.reverse()) stream.onMessage(message);
  } catch {
    // The next connection asks again, and the stream itself goes on.
  }
}

/** Counts in the tab's title what came while the tab was hidden. */
function countUnseen() {
  const title = document.title;
  const MOST = 99;
  let count = 0;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    count = 0;
    document.title = title;
  });
  return {
    add() {
      if (!document.hidden || count > MOST) return;
      count += 1;
      document.title = `(${count > MOST ? `${MOST}+` : count}) ${title}`;
    },
  };
}
