// The list of topics: all of a page are selected at once, and the button says how many are.

const boxes = [...document.querySelectorAll('#selection input[name="topic"]:not(:disabled)')];
const all = document.getElementById("pick-all");
const button = document.getElementById("delete-selected");

function tell() {
  const picked = boxes.filter((box) => box.checked).length;
  button.disabled = picked === 0;
  button.textContent = picked === 0 ? "Delete selected…" : `Delete ${picked} selected…`;
  all.checked = picked > 0 && picked === boxes.length;
  all.indeterminate = picked > 0 && picked < boxes.length;
}

if (all && button) {
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    tell();
  });
  for (const box of boxes) box.addEventListener("change", tell);
  // A page that the browser went back to has its boxes as they were.
  addEventListener("pageshow", tell);
  tell();
}
