// How far a run is: the part of its page that says so, asked for again until the run has ended.

const PAUSE = 300;

/** Shows the run in `place`, and keeps it true until it has ended. */
export async function follow(id, place) {
  for (;;) {
    const answer = await fetch(`/console/runs/${id}`).catch(() => null);
    if (answer?.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const run = document.adoptNode(page.getElementById("run"));
      const stop = page.getElementById("stop");
      if (stop) run.append(document.adoptNode(stop));
      place.replaceChildren(run);
      if (run.dataset.state !== "running") return run;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

// Of a form in a page that stays: stopping must not lead away from it.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id !== "stop") return;
  event.preventDefault();
  form.querySelector("button").disabled = true;
  await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) }).catch(() => null);
});

// The run's own page.
const run = document.querySelector("main > #run");
if (run?.dataset.state === "running") {
  const place = document.createElement("div");
  run.replaceWith(place);
  place.append(run);
  document.querySelector(".page-head #stop")?.remove();
  follow(run.dataset.run, place);
}
