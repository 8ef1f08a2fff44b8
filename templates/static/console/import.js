// Lines of JSON: pasted ones and files go the same way, in one upload that can be stopped and says how far it is.

import { clearErrors, showError, token } from "./fields.js";
import { follow } from "./run.js";

const form = document.getElementById("import");
const uploaded = document.getElementById("uploaded");
const stop = document.getElementById("stop");
form?.addEventListener("submit", submit);

function submit(event) {
  event.preventDefault();
  clearErrors(form);
  const file = form.querySelector("#file").files[0];
  const body = file ?? new Blob([form.elements.lines.value]);
  if (body.size === 0) return showError(form, { error: "paste at least one line, or choose a file", field: "lines" });
  const query = new URLSearchParams({ topic: form.elements.topic.value.trim() });
  for (const name of ["keep_partitions", "keep_timestamps"]) if (form.elements[name].checked) query.set(name, "true");
  // fetch does not tell how far an upload is.
  const request = new XMLHttpRequest();
  request.open("POST", `/api/console/import?${query}`);
  request.setRequestHeader("content-type", "application/x-ndjson");
  request.setRequestHeader("x-kboard-token", token());
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    uploaded.textContent = loaded < total ? `${Math.floor((100 * loaded) / total)} % sent` : "";
  });
  request.addEventListener("load", () => ended(request));
  request.addEventListener("error", () => showError(form, { error: "the upload broke off; what came before it was sent" }));
  request.addEventListener("abort", () => { uploaded.textContent = "Stopped; what came before was sent"; });
  request.addEventListener("loadend", () => { stop.hidden = true; });
  stop.onclick = () => request.abort();
  stop.hidden = false;
  uploaded.textContent = "0 % sent";
  request.send(body);
}

async function ended(request) {
  uploaded.textContent = "";
  let outcome;
  try {
    outcome = JSON.parse(request.responseText);
  } catch {
    outcome = { error: `the console answered ${request.status}` };
  }
  if (request.status !== 200) return showError(form, outcome);
  await follow(outcome.id, document.getElementById("result"));
}
