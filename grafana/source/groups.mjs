// Panels about consumer groups that stand in several dashboards: `groups` is what selects them there.

import { graph } from "./panels.mjs";
import { rateBy } from "./queries.mjs";
import * as watched from "./watched.mjs";

/** Records that wait; the query says which. */
export const lag = (query) =>
  graph({
    title: "Lag",
    description: "Records that wait for a group, by topic.",
    ...watched.LAG,
    unit: "short",
    queries: { "{{consumergroup}} {{topic}}": query },
  });

export const deadLetters = (groups) =>
  graph({
    title: "Dead letters",
    description: "Records given up a second, by reason: unreadable, permanent, exhausted (its attempts).",
    alerts: ["DeadLettersGrowing", "MessageProcessingFailures"],
    unit: "recps",
    queries: {
      "{{consumer_group}} {{reason}}": rateBy("consumer_group, reason", `kafka_dead_letters_total{${groups}}`),
    },
  });

export const retries = (groups) =>
  graph({
    title: "Retries",
    description: "Records that failed and will be tried again, a second.",
    unit: "recps",
    queries: { "{{consumer_group}}": rateBy("consumer_group", `kafka_retries_scheduled_total{${groups}}`) },
  });

export const computedAnew = (groups) =>
  graph({
    title: "Batches computed anew",
    description: "Batches, a second, whose state had changed meanwhile.",
    unit: "eps",
    queries: { "{{consumer_group}}": rateBy("consumer_group", `kboard_processor_conflicts_total{${groups}}`) },
  });
