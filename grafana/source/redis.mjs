import { INSTANCE, dashboard, section } from "./dashboard.mjs";
import { bars, graph, heatmap, stat, timeline } from "./panels.mjs";
import { grownBy, quantile, quantiles, rateBy, share, totalRate } from "./queries.mjs";
import * as watched from "./watched.mjs";

const OURS = 'instance=~"$instance"';
/** Without a limit of its own, Redis may take the machine's memory. */
const ALLOWED = `((redis_memory_max_bytes{${OURS}} > 0) or redis_total_system_memory_bytes{${OURS}})`;

export const redis = dashboard({
  name: "redis",
  title: "kboard: Redis",
  description: "What kboard asks of Redis, how long it takes, and what Redis says of itself.",
  variables: [INSTANCE],
  sections: [
    section("Now", [
      stat({
        title: "Redis",
        description: "Whether Redis answers every process.",
        alerts: ["RedisConnectionDown"],
        words: ["away", "up"],
        query: `min(redis_up{${OURS}})`,
      }),
      stat({
        title: "Operations",
        description: "Operations a second.",
        unit: "ops",
        query: totalRate(`redis_operations_total{${OURS}}`),
      }),
      stat({
        title: "Operations that fail",
        description: "The share of operations that ended with an error.",
        unit: "percentunit",
        limits: { orange: 0.001, red: 0.01 },
        query: share(`redis_operations_total{${OURS}, status="error"}`, `redis_operations_total{${OURS}}`),
      }),
      stat({
        title: "Memory in use",
        description: "Of what Redis may have: its own limit, or else the machine's memory.",
        ...watched.REDIS_MEMORY,
        unit: "percentunit",
        query: `max(redis_memory_used_bytes{${OURS}} / ${ALLOWED}) or vector(0)`,
      }),
      stat({
        title: "Free connections",
        description: "Of those that Redis accepts at most.",
        ...watched.REDIS_CONNECTIONS,
        unit: "percentunit",
        query: `min(1 - redis_connected_clients{${OURS}} / redis_config_maxclients{${OURS}})`,
      }),
      stat({
        title: "Evictions",
        description: "Keys that Redis removed for want of memory in the time that is shown.",
        ...watched.REDIS_EVICTIONS,
        unit: "short",
        instant: true,
        query: `max(increase(redis_evicted_keys_total{${OURS}}[$__range]))`,
      }),
    ]),
    section(
      "Operations",
      [
        graph({
          title: "Operations",
          description: "Operations a second, by what they do.",
          unit: "ops",
          stack: true,
          queries: { "{{operation}}": rateBy("operation", `redis_operations_total{${OURS}}`) },
        }),
        graph({
          title: "Errors",
          description: "Operations that failed, a second.",
          unit: "ops",
          queries: { "{{operation}}": rateBy("operation", `redis_operations_total{${OURS}, status="error"}`) },
        }),
        graph({
          title: "Operations by process",
          description: "Operations a second.",
          unit: "ops",
          queries: { "{{instance}}": rateBy("instance", `redis_operations_total{${OURS}}`) },
        }),
      ],
      [
        graph({
          title: "Duration",
          description: "Of all operations.",
          ...watched.REDIS_LATENCY,
          unit: "s",
          queries: quantiles("redis_operation_duration_seconds", OURS),
        }),
        bars({
          title: "Slowest operations",
          description: "95 of 100 are faster.",
          ...watched.REDIS_LATENCY,
          unit: "s",
          queries: {
            "{{operation}}": `topk(8, ${quantile(0.95, "redis_operation_duration_seconds", OURS, ["operation"])})`,
          },
        }),
        heatmap({
          title: "Durations",
          description: "How many operations a second took how long.",
          unit: "s",
          histogram: `redis_operation_duration_seconds_bucket{${OURS}}`,
        }),
      ],
    ),
    section(
      "The server",
      [
        graph({
          title: "Memory",
          description: "What Redis has allotted, and what it may have.",
          alerts: ["RedisHighMemoryUsage", "RedisMemoryCritical"],
          unit: "bytes",
          queries: { "in use": `max(redis_memory_used_bytes{${OURS}})`, allowed: `max(${ALLOWED})` },
        }),
        graph({
          title: "Connections",
          description: "Connections to Redis, other people's included, and how many it accepts.",
          alerts: ["RedisConnectionPoolLow", "RedisConnectionPoolExhaustion"],
          unit: "short",
          log: true,
          queries: { open: `max(redis_connected_clients{${OURS}})`, accepted: `max(redis_config_maxclients{${OURS}})` },
        }),
        graph({
          title: "Evictions",
          description: "Keys removed for want of memory, a second.",
          alerts: ["RedisEvictions"],
          unit: "ops",
          queries: { "{{instance}}": `max by (instance) (rate(redis_evicted_keys_total{${OURS}}[$__rate_interval]))` },
        }),
      ],
      [
        timeline({
          title: "Connections of processes",
          description: "Whether a process reaches Redis, with commands and as a subscriber.",
          alerts: ["RedisConnectionDown"],
          words: ["away", "up"],
          queries: {
            "{{instance}} {{client_type}}": `min by (instance, client_type) (redis_connection_status{${OURS}})`,
          },
        }),
        graph({
          title: "Subscriptions",
          description: "Channels that a process is subscribed to.",
          unit: "short",
          queries: { "{{instance}}": `sum by (instance) (redis_pubsub_active_subscriptions{${OURS}})` },
        }),
        graph({
          title: "The board's window",
          description: "Messages that the board shows at once: the newest 100.",
          unit: "short",
          queries: { messages: `max(redis_messages_list_size{${OURS}})` },
        }),
      ],
    ),
  ],
});
