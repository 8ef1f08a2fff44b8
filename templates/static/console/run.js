// How far a run is: the part of its page that says so, asked for again until the run has ended.

const PAUSE = 300;

/** Shows the run in `place`, and keeps it true until it has ended. */
export async function follow(id, place) {
  for (;;) {
    const answer = await fetch(`/console/runs/${id}`).catch(() => null);
    if (answer?.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const run = show(document.adoptNode(page.getElementById("run")), page.getElementById("stop"), place);
      if (run.dataset.state !== "running") return run;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

/** All is drawn anew but the button: replaced or pushed away, it would lose the focus, and hear no click that began before. */
function show(fresh, stop, place) {
  const shown = place.querySelector("#run");
  if (shown?.dataset.run !== fresh.dataset.run) {
    if (stop) belowFigures(fresh, document.adoptNode(stop));
    place.replaceChildren(fresh);
    return fresh;
  }
  const parts = [...fresh.childNodes];
  const above = parts.indexOf(figuresOf(fresh)) + 1;
  const kept = stop && shown.querySelector("#stop");
  for (const part of [...shown.childNodes]) if (part !== kept) part.remove();
  shown.prepend(...parts.slice(0, above));
  shown.append(...parts.slice(above));
  shown.dataset.state = fresh.dataset.state;
  return shown;
}

const figuresOf = (run) => run.querySelector('[data-part="figures"]');

/** Above what grows. */
const belowFigures = (run, stop) => figuresOf(run).after(stop);

// Of a form in a page that stays: stopping must not lead away from it.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id !== "stop") return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) }).catch(() => null);
  if (!answer?.ok) button.disabled = false;
});

// The run's own page.
const run = document.querySelector("main > #run");
if (run?.dataset.state === "running") {
  const place = document.createElement("div");
  run.replaceWith(place);
  place.append(run);
  const stop = document.querySelector(".page-head #stop");
  if (stop) belowFigures(run, stop);
  follow(run.dataset.run, place);
}
