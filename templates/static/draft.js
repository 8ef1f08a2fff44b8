// What must outlive a reload: the draft with the key of its last attempt, and the author's name.

import { newKey } from "./posting.js";

const DRAFT = "kboard.draft";
const AUTHOR = "kboard.author";
const YEAR = 365 * 24 * 60 * 60;

/** The draft of this tab: {content, attempt?: {content, author, key}}. */
export const loadDraft = () => read(sessionStorageOrNone(), DRAFT);
export const saveDraft = (draft) => write(sessionStorageOrNone(), DRAFT, draft.content || draft.attempt ? draft : null);

/** The same message tried again keeps its key, so that it's shown once; a changed one is another message. */
export function attemptFor(message, last) {
  const same = last && last.content === message.content && last.author === message.author;
  return same ? last : { ...message, key: newKey() };
}

/** The cookie lets the server fill in the name, also where no script runs; the storage survives a lost cookie. */
export const loadAuthor = () => read(localStorageOrNone(), AUTHOR) ?? "";
export function saveAuthor(author) {
  write(localStorageOrNone(), AUTHOR, author);
  document.cookie = `kboard_author=${encodeURIComponent(author)}; path=/; max-age=${YEAR}; samesite=lax`;
}

function read(storage, key) {
  try { return JSON.parse(storage?.getItem(key) ?? "null"); } catch { return null; }
}

function write(storage, key, value) {
  try {
    if (value === null) storage?.removeItem(key);
    else storage?.setItem(key, JSON.stringify(value));
  } catch { /* Full or forbidden: the page works without. */ }
}

// Merely naming a storage throws where it is forbidden.
function localStorageOrNone() {
  try { return localStorage; } catch { return null; }
}
function sessionStorageOrNone() {
  try { return sessionStorage; } catch { return null; }
}
