// The form of a record: sent without leaving the page, so that the next one is a change away.

import { clearErrors, content, headers, number, said, showError, startFields, token } from "./fields.js";
import { follow } from "./run.js";

const form = document.getElementById("produce");
if (form) {
  startFields(form);
  form.addEventListener("submit", submit);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

async function submit(event) {
  event.preventDefault();
  clearErrors(form);
  const button = document.getElementById("send");
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    const answer = await fetch("/api/console/produce", {
      method: "POST",
      headers: { "content-type": "application/json", "x-kboard-token": token() },
      body: JSON.stringify(record()),
    }).catch(() => null);
    const outcome = await said(answer);
    if (!answer?.ok) throw outcome;
    button.removeAttribute("aria-disabled");
    if (!document.getElementById("keep").checked) empty();
    await follow(outcome.id, document.getElementById("result"));
  } catch (error) {
    showError(form, error instanceof Error ? { error: error.message } : error);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function record() {
  const text = (name) => form.elements[name].value || undefined;
  return {
    topic: form.elements.topic.value.trim(),
    key: content(form, "key"),
    value: content(form, "value"),
    headers: headers(form),
    partition: number(form, "partition"),
    partitioner: text("partitioner"),
    compression: text("compression"),
    acks: text("acks"),
    count: number(form, "count"),
    rate: number(form, "rate"),
  };
}

function empty() {
  for (const name of ["key", "value"]) form.elements[name].value = "";
  for (const row of [...form.querySelectorAll(".header-row")].slice(1)) row.remove();
  for (const input of form.querySelectorAll(".header-row input, .header-row textarea")) input.value = "";
  form.elements.value.focus();
}
