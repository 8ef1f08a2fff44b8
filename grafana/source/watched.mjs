// What prometheus/alerts.yml watches, and from where on: for panels that show the same. A test compares the two.

export const LAG = {
  alerts: ["KafkaConsumerGroupLagHigh", "KafkaConsumerGroupLagCritical"],
  limits: { orange: 10_000, red: 100_000 },
};
export const LAG_GROWTH = {
  alerts: ["KafkaConsumerLagGrowing", "KafkaConsumerLagGrowingFast"],
  limits: { orange: 10, red: 100 },
};
export const WAIT = {
  alerts: ["KafkaHighConsumerLagSeconds", "KafkaCriticalConsumerLagSeconds"],
  limits: { orange: 60, red: 300 },
};
export const TIME_TO_DRAIN = {
  alerts: ["KafkaHighTimeToDrain", "KafkaCriticalTimeToDrain"],
  limits: { orange: 300, red: 1_800 },
};
export const BROKERS = { alerts: ["KafkaBrokersDown"], limits: { red: null, green: 1 } };
export const UNDER_REPLICATED = { alerts: ["KafkaTopicPartitionUnderReplicated"], limits: { orange: 1 } };
export const EXPORT_AGE = { alerts: ["KafkaExporterStale", "KafkaExporterMissing"], limits: { orange: 30, red: 60 } };
export const PROCESSES = { alerts: ["KboardDown"], limits: { red: null, green: 1 } };
export const DEAD_LETTERS = { alerts: ["DeadLettersGrowing"], limits: { orange: 1 } };
export const PRODUCER_ERRORS = { alerts: ["KafkaProducerErrors"], limits: { red: 0.1 } };
export const CONSUMER_ERRORS = { alerts: ["KafkaConsumerErrors"], limits: { red: 0.1 } };
export const GIVEN_UP = { alerts: ["MessageProcessingFailures"], limits: { red: 0.01 } };
export const OUTBOX_REFUSED = { alerts: ["OutboxRefused"], limits: { red: 1 } };
export const REDIS_MEMORY = {
  alerts: ["RedisHighMemoryUsage", "RedisMemoryCritical"],
  limits: { orange: 0.85, red: 0.95 },
};
export const REDIS_CONNECTIONS = {
  alerts: ["RedisConnectionPoolLow", "RedisConnectionPoolExhaustion"],
  limits: { red: null, orange: 0.1, green: 0.3 },
};
export const REDIS_LATENCY = {
  alerts: ["RedisSlowOperations", "RedisVerySlowOperations"],
  limits: { orange: 0.1, red: 0.5 },
};
export const REDIS_EVICTIONS = { alerts: ["RedisEvictions"], limits: { red: 1 } };
export const HTTP_FAILURES = { alerts: ["HighHTTPErrorRate"], limits: { orange: 0.001, red: 0.01 } };
export const HTTP_LATENCY = { alerts: ["SlowHTTPResponses", "VerySlowHTTPResponses"], limits: { orange: 2, red: 5 } };
