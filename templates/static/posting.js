// Sending a message, and telling in words for people what went wrong.

import { countCharacters } from "./text.js";

/** The server answers or gives up within 5 s; after this the way there is broken. */
const TIMEOUT = 12_000;

/** What is wrong with a message before it's sent: {field, text}, or null. */
export function findFault({ content, author }, limits) {
  if (content.trim() === "") return { field: "content", text: "Write something first." };
  if (author.trim() === "") return { field: "author", text: "Add your name, so that others know who writes." };
  const over = countCharacters(content) - limits.content;
  if (over > 0) return { field: "content", text: `That is ${over} too long: a message has at most ${limits.content} characters.` };
  if (countCharacters(author) > limits.author) return { field: "author", text: `A name has at most ${limits.author} characters.` };
  return null;
}

/** The server's refusal as {field, text}; field is null when it is nobody's fault in the form. */
export function explainRefusal(status, answer, retryAfter) {
  if (status === 400) {
    const text = answer?.error ?? "The server didn’t accept this message.";
    return { field: answer?.field ?? fieldNamedIn(text), text };
  }
  if (status === 422 && answer?.error) return { field: null, text: answer.error };
  if (status === 413) return { field: "content", text: "This message is too large for the server." };
  const seconds = Number.parseInt(retryAfter, 10);
  const when = seconds > 0 ? `in ${seconds} s` : "in a moment";
  if (status === 503 && answer?.error) return { field: null, text: `${answer.error}. Your message is kept here: post it again ${when}.` };
  return { field: null, text: `The server failed (${status}). Your message is kept here: post it again ${when}.` };
}

/** Sends it. {id} when accepted, else {field, text}. The key makes a second try of the same message show once. */
export async function send({ content, author }, key) {
  let response;
  try {
    response = await fetch("/api/messages", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json", "idempotency-key": key },
      body: JSON.stringify({ content, author }),
      signal: AbortSignal.timeout(TIMEOUT),
    });
    const answer = await response.json().catch(() => null);
    if (response.ok && answer?.id) return { id: answer.id };
    return explainRefusal(response.status, answer, response.headers.get("retry-after"));
  } catch {
    return { field: null, text: "The server didn’t answer. Your message is kept here, and posting it again won’t show it twice." };
  }
}

/** A random UUID. crypto.randomUUID exists on HTTPS and localhost only, and a board may be read over plain HTTP. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** A server that names no field still says which one it means. */
function fieldNamedIn(text) {
  const first = text.search(/content|message/i);
  const second = text.search(/author|name/i);
  if (second >= 0 && (first < 0 || second < first)) return "author";
  return first >= 0 ? "content" : null;
}
