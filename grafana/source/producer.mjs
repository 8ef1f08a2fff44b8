import { INSTANCE, choice, dashboard, section } from "./dashboard.mjs";
import { graph, heatmap, stat, timeline } from "./panels.mjs";
import { grownBy, orNone, quantile, quantiles, rateBy, share, totalRate } from "./queries.mjs";
import * as watched from "./watched.mjs";

const OURS = 'topic=~"$topic", instance=~"$instance"';

export const producer = dashboard({
  name: "producer",
  title: "kboard: producer",
  description: "Records on their way to Kafka, and the outboxes of services.",
  variables: [choice("topic", "Topic", "kafka_producer_messages_sent_total, topic"), INSTANCE],
  sections: [
    section("Now", [
      stat({
        title: "Sent",
        description: "Records that Kafka acknowledged, a second.",
        unit: "recps",
        query: totalRate(`kafka_producer_messages_sent_total{${OURS}, status="success"}`),
      }),
      stat({
        title: "Bytes",
        description: "Bytes of the records' values, a second.",
        unit: "Bps",
        query: totalRate(`kafka_producer_message_size_bytes_sum{${OURS}}`),
      }),
      stat({
        title: "Sends that fail",
        description: "The share of records that Kafka did not acknowledge.",
        unit: "percentunit",
        limits: { orange: 0.0001, red: 0.01 },
        query: share(
          `kafka_producer_messages_sent_total{${OURS}, status="error"}`,
          `kafka_producer_messages_sent_total{${OURS}}`,
        ),
      }),
      stat({
        title: "Time to acknowledgement",
        description: "95 of 100 records are acknowledged sooner.",
        unit: "s",
        query: quantile(0.95, "kafka_producer_send_duration_seconds", OURS),
      }),
      stat({
        title: "Connection",
        description: "Whether the last send of every process reached Kafka.",
        alerts: ["KafkaProducerDisconnected"],
        words: ["lost", "up"],
        query: 'min(kafka_producer_connection_status{instance=~"$instance"})',
      }),
      stat({
        title: "In outboxes",
        description: "Records that services have to send and Kafka has not acknowledged.",
        unit: "short",
        limits: { orange: 1_000, red: 10_000 },
        query: 'sum(kboard_outbox_size{instance=~"$instance"})',
      }),
    ]),
    section(
      "Sending",
      [
        graph({
          title: "Records by topic",
          description: "Records acknowledged and refused, a second.",
          unit: "recps",
          queries: { "{{topic}} {{status}}": rateBy("topic, status", `kafka_producer_messages_sent_total{${OURS}}`) },
        }),
        graph({
          title: "Records by process",
          description: "Records acknowledged, a second.",
          unit: "recps",
          stack: true,
          queries: {
            "{{instance}}": rateBy("instance", `kafka_producer_messages_sent_total{${OURS}, status="success"}`),
          },
        }),
        graph({
          title: "Errors",
          description: "Sends that failed, a second, by kind: timeout, network, auth, broker, other.",
          ...watched.PRODUCER_ERRORS,
          unit: "eps",
          queries: {
            "{{topic}} {{error_type}}": orNone(
              "error_type",
              rateBy("topic, error_type", `kafka_producer_errors_total{${OURS}}`),
            ),
          },
        }),
      ],
      [
        graph({
          title: "Time to acknowledgement",
          description: "From handing a record to the producer until all in-sync replicas have it.",
          unit: "s",
          queries: quantiles("kafka_producer_send_duration_seconds", OURS),
        }),
        graph({
          title: "Time to acknowledgement by topic",
          description: "95 of 100 records are acknowledged sooner.",
          unit: "s",
          queries: { "{{topic}}": quantile(0.95, "kafka_producer_send_duration_seconds", OURS, ["topic"]) },
        }),
        heatmap({
          title: "Times to acknowledgement",
          description: "How many records a second were acknowledged within which time.",
          unit: "s",
          histogram: `kafka_producer_send_duration_seconds_bucket{${OURS}}`,
        }),
      ],
      [
        graph({
          title: "Size of values",
          description: "Bytes a record.",
          unit: "bytes",
          queries: quantiles("kafka_producer_message_size_bytes", OURS),
        }),
        graph({
          title: "Bytes by topic",
          description: "Bytes of the records' values, a second.",
          unit: "Bps",
          stack: true,
          queries: { "{{topic}}": rateBy("topic", `kafka_producer_message_size_bytes_sum{${OURS}}`) },
        }),
        timeline({
          title: "Connections",
          description: "Whether the last send of a process reached Kafka.",
          alerts: ["KafkaProducerDisconnected"],
          words: ["lost", "up"],
          queries: { "{{instance}}": 'min by (instance) (kafka_producer_connection_status{instance=~"$instance"})' },
        }),
      ],
    ),
    section("Outboxes", [
      graph({
        title: "Waiting in outboxes",
        description: "Records that a service has written with its state and Kafka has not acknowledged yet.",
        unit: "short",
        queries: { "{{consumer_group}}": 'sum by (consumer_group) (kboard_outbox_size{instance=~"$instance"})' },
      }),
      stat({
        title: "Refused",
        description: "Records that Kafka will not take, in the time that is shown; they stay in the outbox.",
        ...watched.OUTBOX_REFUSED,
        unit: "short",
        instant: true,
        query: grownBy('kboard_outbox_refused_total{instance=~"$instance"}'),
      }),
    ]),
  ],
});
