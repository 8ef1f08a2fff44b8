// The form: counts, checks, posts without leaving the page, and never loses what was written.

import { attemptFor, loadAuthor, loadDraft, saveAuthor, saveDraft } from "./draft.js";
import { findFault, send } from "./posting.js";
import { countCharacters, hue, initial, plural } from "./text.js";

/** The count turns to a warning in the last tenth. */
const NEAR = 0.9;
const STATUS_TIME = 4000;

export class Composer {
  #form;
  #limits;
  #parts;
  #attempt = null;
  #sending = false;
  #statusTimer = 0;

  /** Replaceable by the owner. */
  onSend = () => {};
  onPosted = (_id) => {};

  constructor(form, parts) {
    this.#form = form;
    this.#parts = parts;
    this.#limits = { content: Number(form.dataset.maxContent), author: Number(form.dataset.maxAuthor) };
    form.noValidate = true; // our own words, next to the field
    form.addEventListener("submit", (event) => { event.preventDefault(); this.#submit(); });
    form.content.addEventListener("keydown", (event) => this.#key(event));
    form.content.addEventListener("input", () => { this.#forgive("content"); this.#count(); this.#save(); });
    form.author.addEventListener("input", () => { this.#forgive("author"); this.#drawAvatar(); });
    form.author.addEventListener("change", () => saveAuthor(form.author.value.trim()));
    this.#restore();
  }

  #restore() {
    const { content, author } = this.#form;
    const draft = loadDraft();
    content.value ||= draft?.content ?? "";
    author.value ||= loadAuthor();
    this.#attempt = draft?.attempt ?? null;
    this.#count();
    this.#drawAvatar();
    if (!this.#parts.error.hidden) content.focus(); // the server refused the form that was posted without a script
  }

  async #submit() {
    if (this.#sending) return;
    const message = { content: this.#form.content.value, author: this.#form.author.value.trim() };
    const fault = findFault(message, this.#limits);
    if (fault) return this.#refuse(fault);

    this.#attempt = attemptFor(message, this.#attempt);
    this.#save();
    this.#busy(true);
    this.#forgive();
    this.onSend();
    const outcome = await send(message, this.#attempt.key);
    this.#busy(false);
    if (outcome.id) this.#accepted(message, outcome.id);
    else this.#refuse(outcome);
  }

  #accepted({ author }, id) {
    this.#attempt = null;
    this.#form.content.value = "";
    this.#save();
    saveAuthor(author);
    this.#count();
    this.#say("Posted.");
    this.#form.content.focus();
    this.onPosted(id);
  }

  #refuse({ field, text }) {
    const { error, label } = this.#parts;
    error.textContent = text;
    error.hidden = false;
    if (field === null) label.textContent = "Try again";
    if (field) this.#form[field].setAttribute("aria-invalid", "true");
    (field ? this.#form[field] : this.#form.content).focus();
  }

  /** Takes an error back: that of one field once it's edited, or any. */
  #forgive(field) {
    const { error, label } = this.#parts;
    const invalid = this.#form.querySelector("[aria-invalid]");
    if (field && invalid && invalid.name !== field) return;
    invalid?.removeAttribute("aria-invalid");
    error.hidden = true;
    if (!this.#sending) label.textContent = "Post";
  }

  /** aria-disabled, not disabled: a disabled button would drop the focus. */
  #busy(sending) {
    const { button, label } = this.#parts;
    this.#sending = sending;
    this.#form.content.readOnly = sending;
    this.#form.setAttribute("aria-busy", sending);
    if (sending) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
    label.textContent = sending ? "Sending…" : "Post";
  }

  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.altKey || event.isComposing) return;
    const explicit = event.ctrlKey || event.metaKey;
    if (!explicit && matchMedia("(pointer: coarse)").matches) return; // touch keyboards have no Shift+Enter
    event.preventDefault();
    this.#form.requestSubmit();
  }

  #count() {
    const { count, countAnnouncer } = this.#parts;
    const length = countCharacters(this.#form.content.value);
    const left = this.#limits.content - length;
    const near = length >= this.#limits.content * NEAR;
    count.textContent = `${length} / ${this.#limits.content}`;
    count.classList.toggle("near", near && left >= 0);
    count.classList.toggle("over", left < 0);
    // Spoken only when it matters, and not with every key.
    if (!near) countAnnouncer.textContent = "";
    else if (left < 0) countAnnouncer.textContent = "Too long.";
    else if (left % 20 === 0) countAnnouncer.textContent = `${plural(left, "character")} left.`;
  }

  #drawAvatar() {
    const name = this.#form.author.value.trim();
    this.#parts.avatar.textContent = name && initial(name);
    this.#parts.avatar.className = `avatar avatar-small hue-${hue(name)}`;
  }

  #save() {
    saveDraft({ content: this.#form.content.value, attempt: this.#attempt ?? undefined });
  }

  #say(text) {
    clearTimeout(this.#statusTimer);
    this.#parts.status.textContent = text;
    this.#statusTimer = setTimeout(() => { this.#parts.status.textContent = ""; }, STATUS_TIME);
  }
}
