import { INSTANCE, KBOARD, dashboard, section, started } from "./dashboard.mjs";
import { graph, stat, table, timeline } from "./panels.mjs";
import * as watched from "./watched.mjs";

const OURS = `${KBOARD}, instance=~"$instance"`;
/** The counter has whole seconds only, so that less than a minute of it says little. */
const CORES = `rate(process_cpu_seconds_total{${OURS}}[1m])`;
const STARTED = started(OURS);

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
        query: `sum(${CORES})`,
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
      stat({
        title: "Busiest",
        description: "The share of its time that the busiest process's workers spend on tasks.",
        unit: "percentunit",
        limits: { orange: 0.8, red: 0.95 },
        query: `max(tokio_busy_ratio{${OURS}})`,
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
          description: "When each process started, and which version it is.",
          columns: { Job: "job", Process: "instance", Version: "version" },
          values: { Started: [`${STARTED} * 1000`, "dateTimeAsIso"], Age: [`time() - ${STARTED}`, "dtdurations"] },
        }),
      ],
      [
        graph({
          title: "Processors",
          description: "Cores that a process keeps busy.",
          unit: "short",
          stack: true,
          queries: { "{{instance}}": `sum by (instance) (${CORES})` },
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
    section("The asynchronous runtime", [
      graph({
        title: "Busy",
        description: "The share of their time that a process's workers spend on tasks.",
        unit: "percentunit",
        max: 1,
        limits: { orange: 0.8, red: 0.95 },
        queries: { "{{instance}}": `sum by (instance) (tokio_busy_ratio{${OURS}})` },
      }),
      graph({
        title: "Tasks",
        description: "Tasks that have not ended: connections, streams, groups.",
        unit: "short",
        queries: { "{{instance}}": `sum by (instance) (tokio_alive_tasks{${OURS}})` },
      }),
      graph({
        title: "Tasks that wait for a worker",
        description: "Tasks that could go on and that no worker has taken yet.",
        unit: "short",
        queries: { "{{instance}}": `sum by (instance) (tokio_global_queue_depth{${OURS}})` },
      }),
    ]),
  ],
});
