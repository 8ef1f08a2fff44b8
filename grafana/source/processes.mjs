import { INSTANCE, KBOARD, dashboard, section } from "./dashboard.mjs";
import { graph, stat, table, timeline } from "./panels.mjs";
import { once } from "./queries.mjs";
import * as watched from "./watched.mjs";

const OURS = `${KBOARD}, instance=~"$instance"`;
/** Grafana shows times in milliseconds. */
const STARTED = once("job, instance", `process_start_time_seconds{${OURS}}`);

export const processes = dashboard({
  name: "processes",
  title: "kboard: processes",
  description: "What each process takes of its machine.",
  variables: [INSTANCE],
  sections: [
    section("Now", [
      stat({
        title: "Processes",
        description: "Processes that answer Prometheus.",
        ...watched.PROCESSES,
        unit: "short",
        query: `sum(up{${OURS}})`,
      }),
      stat({
        title: "Processors",
        description: "Cores that all of them keep busy.",
        unit: "short",
        query: `sum(rate(process_cpu_seconds_total{${OURS}}[$__rate_interval]))`,
      }),
      stat({
        title: "Memory",
        description: "Resident memory of all of them.",
        unit: "bytes",
        query: `sum(process_resident_memory_bytes{${OURS}})`,
      }),
      stat({
        title: "Files",
        description: "The process that is closest to its limit of open files and connections.",
        unit: "percentunit",
        limits: { orange: 0.7, red: 0.9 },
        query: `max(process_open_fds{${OURS}} / process_max_fds{${OURS}})`,
      }),
      stat({
        title: "Youngest",
        description: "How long ago the last process started.",
        unit: "s",
        query: `time() - max(${STARTED})`,
      }),
    ]),
    section(
      "Each process",
      [
        timeline({
          title: "Up",
          description: "Whether a process answers Prometheus.",
          alerts: ["KboardDown"],
          words: ["down", "up"],
          queries: { "{{job}} {{instance}}": `up{${OURS}}` },
        }),
        table({
          title: "Started",
          description: "When each process started.",
          columns: { Job: "job", Process: "instance" },
          values: { Started: [`${STARTED} * 1000`, "dateTimeAsIso"], Age: [`time() - ${STARTED}`, "dtdurations"] },
        }),
      ],
      [
        graph({
          title: "Processors",
          description: "Cores that a process keeps busy.",
          unit: "short",
          stack: true,
          queries: { "{{instance}}": `sum by (instance) (rate(process_cpu_seconds_total{${OURS}}[$__rate_interval]))` },
        }),
        graph({
          title: "Memory",
          description: "Resident memory.",
          unit: "bytes",
          queries: { "{{instance}}": `sum by (instance) (process_resident_memory_bytes{${OURS}})` },
        }),
        graph({
          title: "Open files",
          description: "Files and connections that a process holds.",
          unit: "short",
          queries: { "{{instance}}": `sum by (instance) (process_open_fds{${OURS}})` },
        }),
        graph({
          title: "Threads",
          description: "Threads of a process.",
          unit: "short",
          queries: { "{{instance}}": `sum by (instance) (process_threads{${OURS}})` },
        }),
      ],
    ),
  ],
});
