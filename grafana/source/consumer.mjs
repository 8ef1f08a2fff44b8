import { choice, dashboard, section } from "./dashboard.mjs";
import { computedAnew, deadLetters, lag, retries } from "./groups.mjs";
import { graph, heatmap, stat, table, timeline } from "./panels.mjs";
import { grownBy, once, orNone, quantile, quantiles, rateBy, totalRate } from "./queries.mjs";
import * as watched from "./watched.mjs";

/** What `serve` tells of groups as the cluster sees them, and what members tell of themselves. */
const GROUPS = 'consumergroup=~"$consumer_group", topic=~"$topic"';
const MEMBERS = 'consumer_group=~"$consumer_group", topic=~"$topic"';
const THEIRS = 'consumer_group=~"$consumer_group"';
const TOPICS = 'topic=~"$topic"';

const LAG = once("consumergroup, topic", `kafka_consumergroup_lag_sum{${GROUPS}}`);
const WAIT = once("consumergroup, topic", `kafka_consumergroup_lag_seconds{${GROUPS}}`);
const SPEED = once(
  "consumergroup, topic",
  `deriv(kafka_consumergroup_current_offset_sum{${GROUPS}}[$__rate_interval])`,
);
/** A group that stands still needs a thousand seconds for each record: so long that nobody takes it for a time. */
const TO_DRAIN = `${LAG} / clamp_min(${SPEED}, 0.001)`;

export const consumer = dashboard({
  name: "consumer",
  title: "kboard: consumer",
  description: "Groups as the cluster sees them, their members as they see themselves, and what they gave up.",
  variables: [
    choice("consumer_group", "Group", "kafka_consumergroup_members, consumergroup"),
    choice("topic", "Topic", 'kafka_consumergroup_lag_sum{consumergroup=~"$consumer_group"}, topic'),
  ],
  sections: [
    section("Now", [
      stat({
        title: "Lag",
        description: "Records that wait for a group.",
        ...watched.LAG,
        unit: "short",
        query: `sum(${LAG})`,
      }),
      stat({
        title: "Longest wait",
        description: "For how long the record that has waited longest has done so.",
        ...watched.WAIT,
        unit: "s",
        query: `max(${WAIT})`,
      }),
      stat({
        title: "Longest time to drain",
        description: "How long the slowest group needs for what waits, as fast as it is now.",
        ...watched.TIME_TO_DRAIN,
        unit: "s",
        query: `max(${TO_DRAIN})`,
      }),
      stat({
        title: "Handled",
        description: "Records that groups handled, a second.",
        unit: "recps",
        query: totalRate(`kafka_messages_consumed_total{${MEMBERS}}`),
      }),
      stat({
        title: "Rebalances",
        description: "Changes of members' partitions in the time that is shown.",
        unit: "short",
        instant: true,
        query: grownBy(`kafka_consumer_rebalances_total{${THEIRS}}`),
      }),
      stat({
        title: "Dead letters",
        description: "Records that were given up in the time that is shown.",
        ...watched.DEAD_LETTERS,
        unit: "short",
        instant: true,
        query: grownBy(`kafka_dead_letters_total{${MEMBERS}}`),
      }),
    ]),
    section(
      "Groups",
      [
        lag(LAG),
        graph({
          title: "Wait",
          description: "For how long the next record has waited.",
          ...watched.WAIT,
          unit: "s",
          queries: { "{{consumergroup}} {{topic}}": WAIT },
        }),
        graph({
          title: "Time to drain",
          description:
            "How long a group needs for what waits, as fast as it is now; out of sight when it stands still.",
          ...watched.TIME_TO_DRAIN,
          unit: "s",
          max: 3_600,
          queries: { "{{consumergroup}} {{topic}}": TO_DRAIN },
        }),
      ],
      [
        graph({
          title: "Speed",
          description: "By how much a group's committed offsets grow in a second.",
          alerts: ["KafkaConsumerThroughputDrop", "NoMessagesProcessed"],
          unit: "recps",
          queries: { "{{consumergroup}} {{topic}}": SPEED },
        }),
        graph({
          title: "Growth of the lag",
          description: "By how many records a second a group falls behind, or catches up where it is negative.",
          ...watched.LAG_GROWTH,
          unit: "recps",
          min: null,
          queries: {
            "{{consumergroup}} {{topic}}": once(
              "consumergroup, topic",
              `deriv(kafka_consumergroup_lag_sum{${GROUPS}}[$__rate_interval])`,
            ),
          },
        }),
        graph({
          title: "Members",
          description: "How many members a group has.",
          alerts: ["KafkaNoActiveConsumers"],
          unit: "short",
          queries: {
            "{{consumergroup}}": once("consumergroup", 'kafka_consumergroup_members{consumergroup=~"$consumer_group"}'),
          },
        }),
      ],
      [
        table({
          title: "Partitions",
          description: "Where every group stands in every partition, as the cluster sees it.",
          columns: { Group: "consumergroup", Topic: "topic", Partition: "partition" },
          values: {
            Offset: [
              once("consumergroup, topic, partition", `kafka_consumergroup_current_offset{${GROUPS}}`),
              "locale",
            ],
            Lag: [once("consumergroup, topic, partition", `kafka_consumergroup_lag{${GROUPS}}`), "locale"],
            Wait: [once("consumergroup, topic, partition", `kafka_consumergroup_lag_seconds{${GROUPS}}`), "s"],
          },
        }),
      ],
    ),
    section(
      "Members",
      [
        graph({
          title: "Handled by group",
          description: "Records handled, a second.",
          unit: "recps",
          queries: {
            "{{consumer_group}} {{topic}}": rateBy(
              "consumer_group, topic",
              `kafka_messages_consumed_total{${MEMBERS}}`,
            ),
          },
        }),
        graph({
          title: "Handled by partition",
          description: "Records handled, a second, and whether they took effect or became dead letters.",
          unit: "recps",
          queries: {
            "{{topic}}/{{partition}} {{status}}": rateBy(
              "topic, partition, status",
              `kafka_consumer_messages_consumed_total{${TOPICS}}`,
            ),
          },
        }),
        graph({
          title: "Handled by process",
          description: "Records handled, a second: how evenly the members share the work.",
          unit: "recps",
          stack: true,
          queries: { "{{instance}}": rateBy("instance", `kafka_messages_consumed_total{${MEMBERS}}`) },
        }),
      ],
      [
        graph({
          title: "Time to handle a batch",
          description: "From the batch in hand until its effects are in Redis.",
          unit: "s",
          queries: quantiles("kafka_consumer_message_processing_duration_seconds", TOPICS),
        }),
        graph({
          title: "Time to handle a batch by topic",
          description: "95 of 100 batches are handled sooner.",
          unit: "s",
          queries: { "{{topic}}": quantile(0.95, "kafka_message_processing_duration_seconds", TOPICS, ["topic"]) },
        }),
        heatmap({
          title: "Times to handle a batch",
          description: "How many batches a second were handled within which time.",
          unit: "s",
          histogram: `kafka_message_processing_duration_seconds_bucket{${TOPICS}}`,
        }),
      ],
      [
        graph({
          title: "Lag by partition",
          description: "Records between a member's position and the end of the partition, as the member sees it.",
          unit: "short",
          queries: {
            "{{consumer_group}} {{topic}}/{{partition}}": once(
              "consumer_group, topic, partition",
              `kafka_consumer_lag{${MEMBERS}}`,
            ),
          },
        }),
        graph({
          title: "Age of what is handled",
          description: "How old the record was that a member handled last, while it lags.",
          unit: "s",
          limits: { orange: 60, red: 300 },
          queries: {
            "{{consumer_group}} {{topic}}/{{partition}}": once(
              "consumer_group, topic, partition",
              `kafka_consumer_lag_seconds{${MEMBERS}}`,
            ),
          },
        }),
        graph({
          title: "Position and end",
          description: "The next offset that a group handles, and where the partition ends.",
          unit: "short",
          queries: {
            "{{topic}}/{{partition}} {{consumer_group}}": once(
              "topic, partition, consumer_group",
              `kafka_consumer_current_offset{${MEMBERS}}`,
            ),
            "{{topic}}/{{partition}} end": once("topic, partition", `kafka_consumer_high_water_mark{${TOPICS}}`),
          },
        }),
      ],
      [
        graph({
          title: "Rebalances",
          description: "Changes of members' partitions, a second.",
          unit: "eps",
          queries: {
            "{{consumer_group}}": rateBy(
              "consumer_group",
              `kafka_consumer_rebalances_total{${THEIRS}}`,
            ),
          },
        }),
        graph({
          title: "Errors",
          description:
            "Failures a second, by kind: poison (unreadable), unavailable, fenced (a replay is under way), poll, commit, lost.",
          ...watched.CONSUMER_ERRORS,
          unit: "eps",
          queries: {
            "{{topic}} {{error_type}}": orNone(
              "error_type",
              rateBy("topic, error_type", `kafka_consumer_errors_total{${TOPICS}}`),
            ),
          },
        }),
        timeline({
          title: "Membership",
          description: "Whether a process is a member of its groups.",
          alerts: ["KafkaConsumerDisconnected"],
          words: ["outside", "member"],
          queries: { "{{instance}} {{consumer_group}}": "min by (instance, consumer_group) (kafka_consumer_connection_status)" },
        }),
      ],
    ),
    section(
      "What fails",
      [
        deadLetters(MEMBERS),
        retries(THEIRS),
        graph({
          title: "Share that is given up",
          description: "Dead letters among all records that a group handles.",
          ...watched.GIVEN_UP,
          unit: "percentunit",
          queries: {
            "{{consumer_group}}":
              `${rateBy("consumer_group", `kafka_dead_letters_total{${MEMBERS}}`)}` +
              ` / (${rateBy("consumer_group", `kafka_messages_consumed_total{${MEMBERS}}`)} > 0)`,
          },
        }),
      ],
      [
        graph({
          title: "Wake-ups to come",
          description: "Keys that asked to be woken, such as orders that wait for an answer.",
          unit: "short",
          queries: {
            "{{consumer_group}}":
              `sum by (consumer_group) (kboard_processor_wakes_pending{${THEIRS}})`,
          },
        }),
        computedAnew(THEIRS),
      ],
    ),
  ],
});
