// Moments in the reader's own time zone; what the server wrote, in UTC, stays one pointer away.

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const year = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const zoned = new Intl.DateTimeFormat(undefined, {
  weekday: "short", year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, hourCycle: "h23", timeZoneName: "short",
});

/** Rewrites the times within `root`. */
export function localise(root) {
  for (const element of root.querySelectorAll("time[datetime]:not([title])")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    element.title = `${zoned.format(moment)}\n${element.textContent}`;
    element.textContent = element.hasAttribute("data-exact") ? zoned.format(moment) : short(moment);
  }
}

/** As much of a date as tells it from today. */
function short(moment) {
  const now = new Date();
  if (moment.toDateString() === now.toDateString()) return time.format(moment);
  const date = moment.getFullYear() === now.getFullYear() ? day : year;
  return `${date.format(moment)}, ${time.format(moment)}`;
}
