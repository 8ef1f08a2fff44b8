import { KBOARD, dashboard, section } from "./dashboard.mjs";
import { lag } from "./groups.mjs";
import { graph, stat, table } from "./panels.mjs";
import { grownBy, once, orNone, quantile, rateBy, share, totalRate } from "./queries.mjs";
import * as watched from "./watched.mjs";

/** Their groups under one name: the cluster's numbers and the members' have two. */
const ALERTS = 'label_join(ALERTS{alertstate="firing"}, "group", "", "consumergroup", "consumer_group")';
const FIRING = `count by (alertname, severity, group, topic, instance) (${ALERTS})`;
const LAG = once("consumergroup, topic", "kafka_consumergroup_lag_sum");
const WAIT = once("consumergroup, topic", "kafka_consumergroup_lag_seconds");

export const overview = dashboard({
  name: "overview",
  title: "kboard: overview",
  description: "Whether all is well, and where to look if it isn't.",
  sections: [
    section(
      "Is all well?",
      [
        stat({
          title: "Alerts",
          description: "Alerts that fire now; which, is in the table below.",
          unit: "short",
          limits: { green: null, red: 1 },
          query: 'count(ALERTS{alertstate="firing"}) or vector(0)',
        }),
        stat({
          title: "Processes",
          description: "kboard processes that answer Prometheus.",
          ...watched.PROCESSES,
          unit: "short",
          query: `sum(up{${KBOARD}})`,
          to: "processes",
        }),
        stat({
          title: "Brokers",
          description: "Kafka brokers that are seen.",
          ...watched.BROKERS,
          unit: "short",
          query: "max(kafka_brokers) or vector(0)",
          to: "cluster",
        }),
        stat({
          title: "Redis",
          description: "Whether Redis answers every process.",
          alerts: ["RedisConnectionDown"],
          words: ["away", "up"],
          query: "min(redis_up)",
          to: "redis",
        }),
        stat({
          title: "Requests that fail",
          description: "The share of HTTP requests that are answered 5xx.",
          ...watched.HTTP_FAILURES,
          unit: "percentunit",
          query: share(
            'http_requests_total{status_code=~"5..", route!="/readyz"}',
            'http_requests_total{route!="/readyz"}',
          ),
          to: "http",
        }),
        stat({
          title: "Dead letters",
          description: "Records that were given up in the time that is shown.",
          ...watched.DEAD_LETTERS,
          unit: "short",
          instant: true,
          query: grownBy("kafka_dead_letters_total"),
          to: "consumer",
        }),
      ],
      [
        stat({
          title: "Sent",
          description: "Records that Kafka acknowledged, a second.",
          unit: "recps",
          query: totalRate("kafka_messages_produced_total"),
          to: "producer",
        }),
        stat({
          title: "Handled",
          description: "Records that groups handled, a second.",
          unit: "recps",
          query: totalRate("kafka_messages_consumed_total"),
          to: "consumer",
        }),
        stat({
          title: "Lag",
          description: "Records that wait for a group.",
          ...watched.LAG,
          unit: "short",
          query: `sum(${LAG})`,
          to: "consumer",
        }),
        stat({
          title: "Longest wait",
          description: "For how long the record that has waited longest has done so.",
          ...watched.WAIT,
          unit: "s",
          query: `max(${WAIT})`,
          to: "consumer",
        }),
        stat({
          title: "Viewers",
          description: "Open streams.",
          unit: "short",
          query: "sum(sse_active_connections)",
          to: "streaming",
        }),
        stat({
          title: "Requests",
          description: "HTTP requests answered, a second.",
          unit: "reqps",
          query: totalRate("http_requests_total"),
          to: "http",
        }),
      ],
      [
        table({
          title: "Alerts that fire",
          description: "Each has a page in docs/runbooks: what it means, how to see it, what to do.",
          columns: {
            Alert: "alertname",
            Severity: "severity",
            Group: "group",
            Topic: "topic",
            Process: "instance",
          },
          values: { Firing: [orNone("alertname", FIRING), "short"] },
        }),
      ],
    ),
    section(
      "From the request to the viewer",
      [
        graph({
          title: "Records sent and handled",
          description:
            "What goes into the topics and what groups have made of it: each group that reads a topic handles its records.",
          unit: "recps",
          queries: {
            "sent to {{topic}}": rateBy("topic", "kafka_messages_produced_total"),
            "handled by {{consumer_group}}": rateBy("consumer_group", "kafka_messages_consumed_total"),
          },
        }),
        lag(LAG),
      ],
      [
        graph({
          title: "Where the time goes",
          description:
            "95 of 100 are faster: requests, acknowledgements by Kafka, batches handled, operations of Redis.",
          alerts: ["SlowHTTPResponses", "RedisSlowOperations"],
          unit: "s",
          log: true,
          queries: {
            "HTTP response": quantile(0.95, "http_request_duration_seconds", ""),
            "Kafka's acknowledgement": quantile(0.95, "kafka_producer_send_duration_seconds", ""),
            "batch handled": quantile(0.95, "kafka_message_processing_duration_seconds", ""),
            "Redis operation": quantile(0.95, "redis_operation_duration_seconds", ""),
          },
        }),
        graph({
          title: "Viewers, and what they are sent",
          description: "Open streams, and messages written to all of them a second.",
          unit: "short",
          queries: {
            viewers: "sum(sse_active_connections)",
            "messages a second": totalRate('sse_messages_sent_total{type="message"}'),
          },
        }),
      ],
    ),
  ],
});
