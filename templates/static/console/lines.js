// A stream of JSON lines, each given to `take` as it comes; resolves at its end. Aborting `signal` ends it quietly.

export async function lines(address, signal, take) {
  const answer = await fetch(address, { signal, headers: { accept: "application/x-ndjson" } });
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error ?? `The server answered ${answer.status}`);
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) if (part) take(JSON.parse(part));
  }
}

/** The row that the server rendered: its texts were escaped there, and no script of a page like ours runs from it. */
export function rowOf(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.querySelector("tr");
}
