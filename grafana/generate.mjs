#!/usr/bin/env node
// Writes the dashboards that source/ describes: `node grafana/generate.mjs`, or into the folder that is named. The tests
// see that what lies in dashboards/ is what this writes.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { cluster } from "./source/cluster.mjs";
import { consumer } from "./source/consumer.mjs";
import { http } from "./source/http.mjs";
import { orders } from "./source/orders.mjs";
import { overview } from "./source/overview.mjs";
import { processes } from "./source/processes.mjs";
import { producer } from "./source/producer.mjs";
import { redis } from "./source/redis.mjs";
import { streaming } from "./source/streaming.mjs";

const DASHBOARDS = { overview, producer, consumer, redis, http, streaming, cluster, orders, processes };

const folder = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), "dashboards");
mkdirSync(folder, { recursive: true });
for (const [name, dashboard] of Object.entries(DASHBOARDS)) {
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(dashboard, null, 2)}\n`);
}
