import { dashboard, section, word } from "./dashboard.mjs";
import { computedAnew, deadLetters, retries } from "./groups.mjs";
import { graph, stat } from "./panels.mjs";
import { grownBy, once, quantile, quantiles, rateBy, totalRate } from "./queries.mjs";
import * as watched from "./watched.mjs";

const GROUPS = [
  "payment-service",
  "inventory-service",
  "order-saga",
  "notification-service",
  "order-analytics",
  "orders-retry",
];
const SERVICES = `consumer_group=~"\${prefix}(${GROUPS.join("|")})"`;
const CONSUMERS = `consumergroup=~"\${prefix}(${GROUPS.join("|")})"`;
const PLACING = 'method="POST", route="/api/orders"';

const topic = (name) => `topic="\${prefix}${name}"`;
/** Records written to a topic in a second, whoever writes them. */
const written = (name) =>
  `sum(${once("partition", `rate(kafka_topic_partition_current_offset{${topic(name)}}[$__rate_interval])`)})`;
const LAG = once("consumergroup, topic", `kafka_consumergroup_lag_sum{${CONSUMERS}}`);
const WAIT = `max by (consumergroup) (kafka_consumergroup_lag_seconds{${CONSUMERS}})`;
const SAGA = 'consumer_group="${prefix}order-saga"';

const UNDER_WAY = "Orders that wait for an answer, when the saga last looked: every half minute while there are any.";

export const orders = dashboard({
  name: "orders",
  title: "kboard: orders",
  description: "The saga: what is ordered, how far it gets, and what its services give up.",
  variables: [word("prefix", "Prefix", "What --topic-prefix puts before the names of topics and groups.")],
  sections: [
    section("Now", [
      stat({
        title: "Placed",
        description: "Orders a second, whoever placed them.",
        unit: "cps",
        query: written("orders.v1"),
      }),
      stat({
        title: "Ended",
        description: "Orders a second that were completed or cancelled.",
        unit: "cps",
        query: written("orders.outcome.v1"),
      }),
      stat({
        title: "Under way",
        description: UNDER_WAY,
        unit: "short",
        query: `sum(kboard_processor_wakes_pending{${SAGA}})`,
      }),
      stat({
        title: "Longest wait",
        description: "For how long the record has waited that has waited longest for a service.",
        ...watched.WAIT,
        unit: "s",
        query: `max(${WAIT})`,
      }),
      stat({
        title: "Retries to come",
        description: "Records that failed and wait until they are tried again.",
        unit: "short",
        limits: { orange: 1_000 },
        query: `sum(${once("partition", `kafka_consumergroup_lag{consumergroup="\${prefix}orders-retry"}`)})`,
      }),
      stat({
        title: "Dead letters",
        description: "Records that services gave up in the time that is shown.",
        ...watched.DEAD_LETTERS,
        unit: "short",
        instant: true,
        query: grownBy(`kafka_dead_letters_total{${SERVICES}}`),
      }),
    ]),
    section(
      "The saga",
      [
        graph({
          title: "What is told",
          description:
            "Records a second of every topic. An order is told once in each of the first, and once how it ended; what is undone is told, too.",
          unit: "recps",
          queries: {
            orders: written("orders.v1"),
            payments: written("payments.v1"),
            inventory: written("inventory.v1"),
            outcomes: written("orders.outcome.v1"),
          },
        }),
        graph({
          title: "Under way",
          description: UNDER_WAY,
          unit: "short",
          queries: { orders: `sum(kboard_processor_wakes_pending{${SAGA}})` },
        }),
        graph({
          title: "Looked at and counted",
          description: "Pages that were looked at, and snapshots of what was ordered most, a second.",
          unit: "recps",
          queries: { "page views": written("analytics.pageviews.v1"), snapshots: written("analytics.snapshots.v1") },
        }),
      ],
      [
        graph({
          title: "Orders over HTTP",
          description: "Requests that place an order, a second, by answer: 202 is accepted, 400 is no order.",
          unit: "reqps",
          stack: true,
          queries: { "{{status_code}}": rateBy("status_code", `http_requests_total{${PLACING}}`) },
        }),
        graph({
          title: "Time until an order is accepted",
          description: "From the request until Kafka has the order.",
          ...watched.HTTP_LATENCY,
          unit: "s",
          queries: quantiles("http_request_duration_seconds", PLACING),
        }),
      ],
    ),
    section(
      "The services",
      [
        graph({
          title: "Lag",
          description: "Records that wait for a service.",
          ...watched.LAG,
          unit: "short",
          queries: { "{{consumergroup}} {{topic}}": LAG },
        }),
        graph({
          title: "Wait",
          description: "For how long the next record has waited for a service.",
          ...watched.WAIT,
          unit: "s",
          queries: { "{{consumergroup}}": WAIT },
        }),
        graph({
          title: "Handled",
          description: "Records a second.",
          unit: "recps",
          queries: { "{{consumer_group}}": rateBy("consumer_group", `kafka_messages_consumed_total{${SERVICES}}`) },
        }),
      ],
      [
        graph({
          title: "Time to handle a batch",
          description: "95 of 100 batches of a topic are handled sooner, their effects included.",
          unit: "s",
          queries: {
            "{{topic}}": quantile(
              0.95,
              "kafka_message_processing_duration_seconds",
              'topic=~"${prefix}(orders|payments|inventory|analytics).*"',
              ["topic"],
            ),
          },
        }),
        graph({
          title: "In outboxes",
          description: "Records that a service has written with its state and Kafka has not acknowledged yet.",
          unit: "short",
          queries: { "{{consumer_group}}": `sum by (consumer_group) (kboard_outbox_size{${SERVICES}})` },
        }),
        computedAnew(SERVICES),
      ],
    ),
    section("What fails", [
      retries(SERVICES),
      graph({
        title: "Retries to come",
        description: "Records that wait until they are tried again.",
        unit: "short",
        queries: {
          records: `sum(${once("partition", `kafka_consumergroup_lag{consumergroup="\${prefix}orders-retry"}`)})`,
        },
      }),
      deadLetters(SERVICES),
    ]),
  ],
});
