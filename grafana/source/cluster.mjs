import { choice, dashboard, section } from "./dashboard.mjs";
import { bars, graph, stat, table } from "./panels.mjs";
import { once, orNone, quantile, rateBy } from "./queries.mjs";
import * as watched from "./watched.mjs";

const OURS = 'topic=~"$topic"';

/** One sample a partition, whoever tells it. */
const partitions = (name) => once("topic, partition", `kafka_topic_partition_${name}{${OURS}}`);
const WRITTEN = `sum by (topic) (${once("topic, partition", `rate(kafka_topic_partition_current_offset{${OURS}}[$__rate_interval])`)})`;
const STORED = `sum by (topic) (${partitions("current_offset")} - ${partitions("oldest_offset")})`;

export const cluster = dashboard({
  name: "cluster",
  title: "kboard: brokers and topics",
  description:
    "The Kafka cluster as `serve` sees it every five seconds, and the embedded broker where that is the cluster.",
  variables: [choice("topic", "Topic", "kafka_topic_partitions, topic")],
  sections: [
    section("Now", [
      stat({
        title: "Brokers",
        description: "Brokers that are seen.",
        ...watched.BROKERS,
        unit: "short",
        query: "max(kafka_brokers) or vector(0)",
      }),
      stat({
        title: "Topics",
        description: "Topics of the cluster.",
        unit: "short",
        query: `count(${once("topic", `kafka_topic_partitions{${OURS}}`)})`,
      }),
      stat({
        title: "Partitions",
        description: "Partitions of all topics.",
        unit: "short",
        query: `sum(${once("topic", `kafka_topic_partitions{${OURS}}`)})`,
      }),
      stat({
        title: "Without a leader",
        description: "Partitions that can be neither written nor read.",
        alerts: ["KafkaPartitionNoLeader"],
        unit: "short",
        limits: { red: 1 },
        query: `count(${partitions("replicas")}) - (count(${partitions("leader")}) or vector(0))`,
      }),
      stat({
        title: "Under-replicated",
        description: "Partitions with fewer in-sync replicas than they should have.",
        ...watched.UNDER_REPLICATED,
        unit: "short",
        query: `sum(${partitions("under_replicated_partition")})`,
      }),
      stat({
        title: "Last look",
        description: "How long ago the cluster was seen.",
        ...watched.EXPORT_AGE,
        unit: "s",
        query: "max(kboard_export_age_seconds)",
      }),
    ]),
    section(
      "Topics",
      [
        graph({
          title: "Records written",
          description: "By how much the ends of a topic's partitions grow in a second, whoever writes.",
          unit: "recps",
          queries: { "{{topic}}": WRITTEN },
        }),
        graph({
          title: "Records stored",
          description:
            "Offsets between the start and the end of a topic's partitions; compaction leaves fewer records.",
          unit: "short",
          queries: { "{{topic}}": STORED },
        }),
        bars({
          title: "Largest topics",
          description: "By offsets between start and end.",
          unit: "short",
          queries: { "{{topic}}": `topk(8, ${STORED})` },
        }),
      ],
      [
        table({
          title: "Topics",
          description: "As they are now.",
          columns: { Topic: "topic" },
          values: {
            Partitions: [once("topic", `kafka_topic_partitions{${OURS}}`), "locale"],
            Stored: [STORED, "locale"],
            "Written a second": [WRITTEN, "recps"],
            Replicas: [`max by (topic) (kafka_topic_partition_replicas{${OURS}})`, "short"],
            "In sync, at least": [`min by (topic) (kafka_topic_partition_in_sync_replica{${OURS}})`, "short"],
          },
        }),
      ],
    ),
    section(
      "Brokers and replicas",
      [
        table({
          title: "Brokers",
          description: "Those that are seen, and where they listen.",
          columns: { Broker: "id", Address: "address" },
          values: { Seen: [once("id, address", "kafka_broker_info"), "bool_yes_no"] },
        }),
        graph({
          title: "Leaders",
          description: "Partitions that a broker leads: how evenly the work is spread.",
          unit: "short",
          stack: true,
          queries: { "broker {{broker}}": `count_values("broker", ${partitions("leader")})` },
        }),
        graph({
          title: "Not at their preferred leader",
          description: "Partitions that another replica than the first leads.",
          unit: "short",
          queries: { "{{topic}}": `sum by (topic) (1 - ${partitions("leader_is_preferred")})` },
        }),
      ],
      [
        graph({
          title: "Under-replicated partitions",
          description: "Partitions with fewer in-sync replicas than they should have.",
          ...watched.UNDER_REPLICATED,
          unit: "short",
          queries: { "{{topic}}": `sum by (topic) (${partitions("under_replicated_partition")})` },
        }),
        graph({
          title: "Replicas out of sync",
          description: "Replicas that lag behind their leader.",
          unit: "short",
          queries: { "{{topic}}": `sum by (topic) (${partitions("replicas")} - ${partitions("in_sync_replica")})` },
        }),
        graph({
          title: "Age of what is seen",
          description: "How long ago each `serve` has seen the cluster.",
          ...watched.EXPORT_AGE,
          unit: "s",
          queries: { "{{instance}}": "max by (instance) (kboard_export_age_seconds)" },
        }),
      ],
    ),
    section(
      "The embedded broker",
      [
        graph({
          title: "Requests",
          description: "Requests answered, a second, by API.",
          unit: "reqps",
          queries: { "{{api}}": rateBy("api", "kboard_broker_requests_total") },
        }),
        graph({
          title: "Errors",
          description: "Answers with an error, a second.",
          unit: "reqps",
          queries: {
            "{{api}} {{error}}": orNone("error", rateBy("api, error", 'kboard_broker_requests_total{error!="none"}')),
          },
        }),
        graph({
          title: "Time to the answer",
          description: "95 of 100 answers are ready sooner; Fetch and JoinGroup wait for records and members.",
          unit: "s",
          log: true,
          queries: { "{{api}}": quantile(0.95, "kboard_broker_request_duration_seconds", "", ["api"]) },
        }),
      ],
      [
        graph({
          title: "Connections",
          description: "Open ones, and those that were closed for a request that can't be understood, a second.",
          unit: "short",
          queries: {
            open: "sum(kboard_broker_connections)",
            "malformed a second": "sum(rate(kboard_broker_malformed_requests_total[$__rate_interval]))",
          },
        }),
        graph({
          title: "Size of logs",
          description: "Bytes of a topic's records.",
          unit: "bytes",
          stack: true,
          queries: { "{{topic}}": `sum by (topic) (kboard_broker_log_bytes{${OURS}})` },
        }),
        graph({
          title: "Groups and partitions",
          description: "Groups by state, and the partitions of all topics.",
          unit: "short",
          queries: {
            "groups {{state}}": "sum by (state) (kboard_broker_groups)",
            partitions: "sum(kboard_broker_partitions)",
          },
        }),
      ],
    ),
  ],
});
