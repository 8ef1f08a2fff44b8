// What the forms of records share: the token, what is wrong with a field, and the fields as the API takes them.

export const token = () => document.querySelector('meta[name="kboard-token"]').content;

export function clearErrors(form) {
  for (const place of form.querySelectorAll("[data-error]")) place.textContent = "";
  for (const field of form.querySelectorAll('[aria-invalid="true"]')) field.removeAttribute("aria-invalid");
}

/** Says what is wrong at the field that is at fault, or at the end of the form. */
export function showError(form, { error, field }) {
  const place = form.querySelector(`[data-error="${CSS.escape(field ?? "")}"]`) ?? form.querySelector('[data-error=""]');
  place.textContent = error;
  const input = form.elements[field];
  if (input instanceof HTMLElement) {
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }
}

/** What an answer of the API says, also when it can't be understood. */
export async function said(answer) {
  if (!answer) return { error: "the console does not answer; is it still running?" };
  try {
    return await answer.json();
  } catch {
    return { error: `the console answered ${answer.status}` };
  }
}

/** The text of a field and its format. */
export const content = (form, name) => ({ format: form.elements[`${name}_format`].value, text: form.elements[name].value });

/** The rows of headers that are not empty. */
export function headers(form) {
  const rows = [...form.querySelectorAll(".header-row")].map((row) => ({
    name: row.querySelector('[name="header_name"]').value,
    value: { format: row.querySelector('[name="header_format"]').value, text: row.querySelector('[name="header_value"]').value },
  }));
  return rows.filter((row) => row.name !== "" || row.value.text !== "");
}

/** A number that was typed; what is none is left to the server, which says so. */
export function number(form, name) {
  const text = form.elements[name].value.trim();
  if (text === "") return undefined;
  const value = Number(text.replaceAll(/[, ]/g, ""));
  if (Number.isNaN(value)) throw { error: `expected a number, not "${text}"`, field: name };
  return value;
}

/** What a record's fields do: null has no text, JSON is checked while it is typed, rows of headers come and go. */
export function startFields(form) {
  const add = form.querySelector("#add-header");
  const first = form.querySelector(".header-row");
  add?.addEventListener("click", () => {
    const row = first.cloneNode(true);
    for (const input of row.querySelectorAll("input, textarea")) input.value = "";
    row.querySelector("select").value = "string";
    [...form.querySelectorAll(".header-row")].at(-1).after(row);
    row.querySelector("input").focus();
  });
  form.addEventListener("click", (event) => {
    const remove = event.target.closest(".remove-header");
    if (!remove) return;
    const row = remove.closest(".header-row");
    if (form.querySelectorAll(".header-row").length > 1) row.remove();
    else for (const input of row.querySelectorAll("input, textarea")) input.value = "";
    add.focus();
  });
  for (const part of form.querySelectorAll("[data-content]")) {
    const [text, format] = [part.querySelector("textarea"), part.querySelector("select")];
    const check = () => {
      part.classList.toggle("is-null", format.value === "null");
      part.querySelector("[data-error]").textContent = format.value === "json" && text.value.trim() !== "" ? wrongWith(text.value) : "";
    };
    format.addEventListener("change", check);
    text.addEventListener("input", check);
    // Who types a key wants one.
    text.addEventListener("input", () => { if (format.value === "null" && text.value !== "") { format.value = "string"; check(); } });
    part.classList.toggle("is-null", format.value === "null");
  }
}

function wrongWith(text) {
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return `not JSON yet: ${error.message}`;
  }
}
