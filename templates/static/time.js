// How a moment is told to people. The server renders the same words (MessageView::relative), so that nothing jumps
// when the script takes over.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const dateAndTime = new Intl.DateTimeFormat("en-GB", {
  weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  timeZoneName: "short",
});

/** "just now", "5 min ago", "3 h ago", "2 d ago", then the date. Clocks differ: the future is "just now". */
export function relativeTime(timestamp, now = Date.now()) {
  const age = now - timestamp;
  if (age < MINUTE) return "just now";
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min ago`;
  if (age < DAY) return `${Math.floor(age / HOUR)} h ago`;
  if (age < 7 * DAY) return `${Math.floor(age / DAY)} d ago`;
  return date.format(timestamp);
}

/** The full moment in the reader's own time zone. */
export const exactTime = (timestamp) => dateAndTime.format(timestamp);

/** What an HTML `<time datetime>` wants. */
export const isoTime = (timestamp) => new Date(timestamp).toISOString();

/** 3.14159 → "3.1 ms", 12.7 → "13 ms", 1234 → "1.23 s": as many digits as mean something. */
export function duration(milliseconds) {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  return `${(milliseconds / 1000).toFixed(2)} s`;
}
