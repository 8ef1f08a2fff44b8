// A server that a test file started: in a directory of its own, with a log, ended with the file.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { join } from "node:path";

/** What tests/services.sh provides. */
export function provided(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`make test\`, or tests/services.sh run -- tests/browser/run.sh`);
  return value;
}

let count = 0;

export const unique = (name) => `${name}-${Date.now()}-${process.pid}-${count++}`;

/** How long something may take, in ms, on a machine that has much else to do: who waits in vain has failed anyway. */
export const PATIENCE = 60_000;

/** Waits until `look` gives something, asking every 20 ms. */
export async function eventually(what, look, timeout = PATIENCE) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited ${timeout} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * A free port below the ephemeral range, where no outgoing connection takes it while a server is down, and above 10080, the last
 * of those that browsers and fetch refuse to connect to (https://fetch.spec.whatwg.org/#port-blocking).
 */
export async function freePort() {
  for (;;) {
    const port = 10_081 + Math.floor(Math.random() * 19_919);
    const server = createServer().listen(port, "127.0.0.1");
    const free = await Promise.race([
      once(server, "listening").then(() => true),
      new Promise((resolve) => server.on("error", () => resolve(false))),
    ]);
    if (!free) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

export async function listens(port) {
  const socket = createConnection({ port, host: "127.0.0.1" });
  const answer = await new Promise((resolve) => socket.on("connect", () => resolve(true)).on("error", () => resolve(false)));
  socket.destroy();
  return answer;
}

export class Server {
  #command;
  #arguments;
  #directory;
  #child = null;

  constructor(name, command, args) {
    this.#command = command;
    this.#arguments = args;
    this.#directory = join(provided("KBOARD_TEST_DIR"), unique(name));
    mkdirSync(this.#directory, { recursive: true });
  }

  /** Starts it, and waits until `ready` says yes. */
  async start(ready) {
    const log = openSync(join(this.#directory, "log"), "a");
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("KBOARD_")));
    this.#child = spawn(this.#command, this.#arguments, { cwd: this.#directory, env, stdio: ["ignore", log, log] });
    // A test that fails before it ends its servers must not keep the runner waiting.
    this.#child.unref();
    // Should this process be killed, tests/services.sh ends what this names.
    writeFileSync(join(this.#directory, "pid"), `${this.#child.pid}`);
    const child = this.#child;
    try {
      await eventually(`${this.#command} that is ready`, () => {
        if (child.exitCode !== null) throw new Error(`${this.#command} ended with ${child.exitCode}`);
        return ready();
      });
    } catch (error) {
      throw new Error(`${error.message}\n${this.log().split("\n").slice(-30).join("\n")}`);
    }
  }

  log() {
    return readFileSync(join(this.#directory, "log"), "utf8");
  }

  /** Ends it and waits until it is gone. */
  async end(signal = "SIGTERM") {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    child.kill(signal);
    await once(child, "exit");
  }
}
