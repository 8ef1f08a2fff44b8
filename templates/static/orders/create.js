// What an order comes to, while it is put together.

const form = document.getElementById("order-form");
const total = document.getElementById("total");
const MAX_QUANTITY = 10_000;

const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });

/** The pieces a field asks for; null if it can't be. */
function quantityOf(field) {
  const typed = field.value.trim();
  if (typed === "") return 0;
  const quantity = Number(typed);
  return Number.isInteger(quantity) && quantity >= 0 && quantity <= MAX_QUANTITY ? quantity : null;
}

function sumUp() {
  let cents = 0;
  for (const field of form.querySelectorAll("[data-cents]")) {
    const quantity = quantityOf(field);
    field.closest(".product").classList.toggle("chosen", quantity !== null && quantity > 0);
    if (quantity === null) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    cents += (quantity ?? 0) * Number(field.dataset.cents);
  }
  total.textContent = money.format(cents / 100);
}

/** Arrows count up and down, as in a number field, which would take what is no number without a word. */
form.addEventListener("keydown", (event) => {
  const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  if (!step || !event.target.dataset.cents) return;
  event.preventDefault();
  const next = Math.min(Math.max((quantityOf(event.target) ?? 0) + step, 0), MAX_QUANTITY);
  event.target.value = next === 0 ? "" : `${next}`;
  sumUp();
});
form.addEventListener("input", sumUp);

// A form that came back with what was wrong keeps its marks until something is typed.
const marked = [...form.querySelectorAll("[data-cents][aria-invalid]")];
sumUp();
for (const field of marked) field.setAttribute("aria-invalid", "true");
form.querySelector("[aria-invalid=true]")?.focus();
document.documentElement.dataset.ready = "true";
