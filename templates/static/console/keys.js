// The keyboard: / searches, j and k go through rows, Enter opens one, g and a letter goes to a section, ? shows all this.

const SECTIONS = { d: "/console", t: "/console/topics", g: "/console/groups", l: "/console/dead-letters", p: "/console/produce" };
const HELP = [
  ["/", "search or filter"],
  ["j  k", "next and previous row"],
  ["Enter", "open the row"],
  ["g d", "dashboard"], ["g t", "topics"], ["g g", "groups"], ["g l", "dead letters"], ["g p", "produce"],
  ["Esc", "leave a field, close this"],
  ["?", "this list"],
];

let awaitsSection = false;

export function startKeys() {
  addEventListener("keydown", pressed);
  document.getElementById("show-keys")?.addEventListener("click", showHelp);
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const writes = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (writes) {
    if (event.key === "Escape") writes.blur();
    return;
  }
  if (awaitsSection) {
    awaitsSection = false;
    if (SECTIONS[event.key]) location.assign(SECTIONS[event.key]);
    return;
  }
  const act = { "/": focusSearch, j: () => move(1), k: () => move(-1), g: () => { awaitsSection = true; }, "?": showHelp }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function focusSearch() {
  const field = document.querySelector("[data-search]");
  field?.focus();
  field?.select();
}

/** Rows are links or hold one: `data-row` marks what is focused. */
function move(by) {
  const rows = [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
  if (rows.length === 0) return;
  const at = rows.indexOf(document.activeElement?.closest("[data-row]") ?? document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1);
  rows[next].focus();
  rows[next].scrollIntoView({ block: "nearest" });
}

function showHelp() {
  const dialog = document.createElement("dialog");
  dialog.className = "keys-dialog card";
  dialog.setAttribute("aria-label", "Keyboard");
  const list = document.createElement("dl");
  for (const [keys, what] of HELP) {
    const term = document.createElement("dt");
    for (const key of keys.split(/\s+/)) term.append(Object.assign(document.createElement("kbd"), { textContent: key }), " ");
    list.append(term, Object.assign(document.createElement("dd"), { textContent: what }));
  }
  dialog.append(Object.assign(document.createElement("h2"), { textContent: "Keyboard" }), list);
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
