// A console of a test file's own, on the run's cluster of three brokers or on the embedded one.

import { spawn } from "node:child_process";
import { once } from "node:events";

import { Server, freePort, provided, unique } from "./server.js";

/** Where every part of the console is tried. */
export const CLUSTERS = ["three brokers", "embedded"];

export class Console {
  #server;

  /** Starts `kboard serve --apps none` on one of CLUSTERS, with these arguments besides. */
  static async start(cluster, args = []) {
    const console = new Console();
    const port = await freePort();
    console.url = `http://127.0.0.1:${port}`;
    console.prefix = unique("console").replaceAll(" ", "-");
    const servers = cluster === "embedded" ? await console.#embedded() : ["--kafka", (console.kafka = provided("KBOARD_TEST_KAFKA"))];
    const all = ["serve", "--apps", "none", "--listen", `127.0.0.1:${port}`, ...servers, ...args];
    console.#server = new Server("console", provided("KBOARD_BIN"), all);
    await console.#start();
    return console;
  }

  #start() {
    return this.#server.start(() => fetch(`${this.url}/readyz`).then((answer) => answer.ok, () => false));
  }

  /** Ends it, and starts it again at the same address. */
  async restart() {
    await this.#server.end();
    await this.#start();
  }

  async #embedded() {
    this.kafka = `127.0.0.1:${await freePort()}`;
    return ["--kafka-listen", this.kafka, "--data", "data"];
  }

  /** A topic's name that no other test has. */
  topic(name) {
    return `${this.prefix}.${name}`;
  }

  /** Runs a kboard command on the cluster, with this on its standard input, and gives what it printed. */
  async kboard(args, input = "") {
    const child = spawn(provided("KBOARD_BIN"), [...args, "--kafka", this.kafka], { env: { PATH: process.env.PATH, HOME: process.env.HOME } });
    let [output, complaints] = ["", ""];
    child.stdout.on("data", (part) => (output += part));
    child.stderr.on("data", (part) => (complaints += part));
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`kboard ${args.join(" ")} ended with ${code}: ${complaints}`);
    return output;
  }

  /** What the API answers at this path, below /api/console. */
  async get(path) {
    const answer = await fetch(`${this.url}/api/console${path}`);
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
    return answer.json();
  }

  async end() {
    await this.#server?.end();
  }
}
