// One record: copying, folding, and the keyboard's way to its neighbours.

import { localise } from "./moments.js";

localise(document);

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const bytes = await (await fetch(button.dataset.copy)).arrayBuffer();
    report(button, await copy(textOf(bytes)));
  });
}

for (const button of document.querySelectorAll("[data-fold]")) {
  const containers = () => [...document.getElementById(button.dataset.fold).querySelectorAll(".json details details")];
  button.hidden = containers().length === 0;
  button.addEventListener("click", () => {
    const fold = containers().some((container) => container.open);
    for (const container of containers()) container.open = !fold;
    button.textContent = fold ? "Unfold all" : "Fold all";
  });
}

addEventListener("keydown", (event) => {
  if (event.target.closest?.("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const link = { j: "next", ArrowRight: "next", k: "previous", ArrowLeft: "previous" }[event.key];
  if (link) document.getElementById(link)?.click();
});

/** The bytes as text; those that are none in base64, which any tool turns back into them. */
function textOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return btoa(Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join(""));
  }
}

/** Browsers lend the clipboard to pages on https alone; the older way works on plain http. */
async function copy(text) {
  if (isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { /* not allowed: the older way */ }
  }
  const area = Object.assign(document.createElement("textarea"), { value: text, className: "visually-hidden" });
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}

function report(button, copied) {
  const text = (button.dataset.text ??= button.textContent);
  button.textContent = copied ? "Copied" : "Not copied";
  setTimeout(() => { button.textContent = text; }, 1500);
}
