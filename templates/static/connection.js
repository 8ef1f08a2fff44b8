// A stream's state, told in the header, and when it is opened and closed.

const STATES = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", offline: "Offline" };

/** Opens `stream` and keeps #connection true. */
export function keepOpen(stream) {
  const byId = (id) => document.getElementById(id);
  const reconnect = byId("reconnect");

  stream.onState = (state) => {
    byId("connection").dataset.state = state;
    byId("connection-text").textContent = STATES[state];
    reconnect.hidden = state !== "offline";
  };
  reconnect.addEventListener("click", () => stream.open());
  addEventListener("online", () => stream.open());
  document.addEventListener("visibilitychange", () => { if (!document.hidden) stream.wake(); });
  // A page kept for the back button must not hold a connection, and needs a new one when it comes back.
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", () => stream.wake());
  stream.wake();
}
