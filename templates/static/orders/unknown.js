// An order that isn't known yet: asks for it a while, with growing pauses, and shows it as soon as it is there.

const status = document.getElementById("unknown-status");
const FIRST_PAUSE = 250;
const GROWTH = 1.5;
const LONGEST_PAUSE = 5_000;
const PATIENCE = 60_000;
const TIMEOUT = 15_000;

const begin = performance.now();
let pause = FIRST_PAUSE;

async function look() {
  const answer = await fetch(location.pathname, { method: "HEAD", headers: { "x-kboard-refresh": "1" }, signal: AbortSignal.timeout(TIMEOUT) }).catch(() => null);
  if (answer?.ok) return location.reload();
  if (performance.now() - begin > PATIENCE) {
    status.textContent = "It has not come within a minute.";
    return;
  }
  setTimeout(look, pause);
  pause = Math.min(pause * GROWTH, LONGEST_PAUSE);
}

status.textContent = "Looking for it…";
setTimeout(look, pause);
document.documentElement.dataset.ready = "true";
