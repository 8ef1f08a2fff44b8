// The list of messages: searches go on while the page is there, live shows what comes, rows open on a click.

import { localise } from "./moments.js";
import { Scan } from "./scan.js";
import { Tail } from "./tail.js";

const form = document.getElementById("find");
const rows = document.getElementById("rows");
const scan = new Scan(rows);

localise(document);
showWhatIsAsked();
document.getElementById("from").addEventListener("change", showWhatIsAsked);
new Tail(document.getElementById("live"), rows, scan);

// A search that this page does itself needs no answer to wait for: the page comes at once, the search reports.
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value && !isDefault(name, value)) query.set(name, value);
  if (query.has("q")) query.set("live", "true");
  location.assign(`${form.action}?${query}`);
});

for (const select of form.querySelectorAll("select")) {
  select.addEventListener("change", () => { if (!needsText(select)) form.requestSubmit(); });
}

rows.addEventListener("click", (event) => {
  if (event.target.closest("a, button") || String(getSelection())) return;
  event.target.closest("tr")?.querySelector("a")?.click();
});

addEventListener("keydown", (event) => {
  if (event.target.closest?.("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  const link = { "]": "older", "[": "newer" }[event.key];
  if (link) document.getElementById(link)?.click();
});

/** The offset or time is asked for only where it means something. */
function showWhatIsAsked() {
  const from = document.getElementById("from").value;
  const field = document.getElementById("at-field");
  field.hidden = from !== "offset" && from !== "time";
  field.querySelector("input").disabled = field.hidden;
  field.querySelector("label").textContent = from === "time" ? "Time" : "Offset";
}

function needsText(select) {
  if (select.id !== "from" || (select.value !== "offset" && select.value !== "time")) return false;
  document.getElementById("at").focus();
  return true;
}

/** What an address need not say. */
function isDefault(name, value) {
  const defaults = { from: "newest", limit: "50", key: "auto", value: "auto", transactions: "all" };
  return defaults[name] === value;
}
