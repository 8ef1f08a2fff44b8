// A board of a test file's own: the run's Kafka under a prefix, a private Redis, and kboard between them.

import { Server, eventually, freePort, listens, provided, unique } from "./server.js";

export class Board {
  #prefix = `${unique("browser")}.`;
  #redis = null;
  #redisUrl = "";
  #servers = [];

  /** Starts Redis and the first server, with these arguments besides. */
  static async start({ args = [] } = {}) {
    const board = new Board();
    const port = await freePort();
    board.#redisUrl = `redis://127.0.0.1:${port}`;
    const settings = ["--bind", "127.0.0.1", "--port", `${port}`, "--save", "", "--appendonly", "yes"];
    board.#redis = new Server("redis", provided("KBOARD_TEST_REDIS_SERVER"), settings);
    await board.#redis.start(() => listens(port));
    board.main = await board.serve(args);
    return board;
  }

  /** The first server's address. */
  get url() {
    return this.main.url;
  }

  /** One more server on the same board. */
  async serve(args = []) {
    const url = `http://127.0.0.1:${await freePort()}`;
    return this.#run("serve", url, [...args, "--listen", url.slice("http://".length)]);
  }

  /** One more member of a group of this name, before the prefix. */
  async consume(group) {
    const url = `http://127.0.0.1:${await freePort()}`;
    return this.#run("consume", url, ["--group", this.#prefix + group, "--metrics-listen", url.slice("http://".length)]);
  }

  async #run(command, url, args) {
    const servers = ["--kafka", provided("KBOARD_TEST_KAFKA"), "--redis", this.#redisUrl, "--topic-prefix", this.#prefix];
    const server = new Server(command, provided("KBOARD_BIN"), [command, ...servers, ...args]);
    const ready = () => fetch(`${url}/readyz`).then((answer) => answer.ok, () => false);
    const running = { url, start: () => server.start(ready), end: (signal) => server.end(signal) };
    this.#servers.push(running);
    await running.start();
    return running;
  }

  /** Posts as a program would, and waits until the board has it. */
  async post(content, author = "Ada", url = this.url) {
    const id = await this.send(content, author, url);
    await eventually(`"${content}" on the board`, async () => {
      const { messages } = await (await fetch(`${url}/api/messages?limit=100`)).json();
      return messages.some((message) => message.id === id);
    });
    return id;
  }

  /** Posts without waiting until it's shown. */
  async send(content, author = "Ada", url = this.url) {
    const answer = await fetch(`${url}/api/messages`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ content, author }),
    });
    if (!answer.ok) throw new Error(`POST answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()).id;
  }

  async end() {
    await Promise.all(this.#servers.map((server) => server.end()));
    await this.#redis?.end("SIGKILL");
  }
}
