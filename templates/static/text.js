// Small pure functions about words and names.

const AVATAR_HUES = 12;
const utf8 = new TextEncoder();

/** Characters as the server counts them: Unicode code points, not the UTF-16 units of String.length. */
export function countCharacters(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** The first letter or digit of a name, upper case; "?" when it has none. MessageView::initial does the same. */
export function initial(name) {
  const found = name.match(/[\p{Alphabetic}\p{N}]/u);
  return found ? found[0].toUpperCase() : "?";
}

/** One of 12 avatar colours: FNV-1a over the name's UTF-8 bytes. MessageView::hue does the same. */
export function hue(name) {
  let hash = 0x811c9dc5;
  for (const byte of utf8.encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % AVATAR_HUES;
}

/** plural(1, "message") → "1 message", plural(3, "message") → "3 messages". */
export const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

/** At most `length` characters, the last one "…" when something was cut. */
export function shorten(text, length) {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join("")}…`;
}

/** Whether a parsed JSON value is a message; streams may carry other things ({"type":"connected"}). */
export const isMessage = (value) =>
  typeof value?.id === "string" && typeof value.content === "string" && typeof value.author === "string" && Number.isFinite(value.timestamp);
