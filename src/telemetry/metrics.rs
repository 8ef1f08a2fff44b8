//! Every metric, declared once: name, kind, help and buckets.
//!
//! The names and labels are those of the message board's and the architecture's documents, so that their dashboards
//! and alerts work. Code gets its counters from the typed handles of [`super::instruments`], which look a series up
//! once and keep it: on a hot path a metric is one atomic add.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// What kind of series a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations into buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// One metric family.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, as Prometheus sees it.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels, for the documentation.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// Seconds: from a fifth of a millisecond, where an acknowledged produce on one machine lies, to a minute.
const LATENCY: &[f64] =
    &[0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Seconds: from a tenth of a millisecond, in which an append is answered, to the minute of a slow rebalance.
const BROKER_LATENCY: &[f64] =
    &[0.0001, 0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Bytes: from a bare "hello" to the megabyte at which Kafka refuses a record.
const SIZE: &[f64] = &[64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];

/// Declares metrics, and the list of them all.
macro_rules! metrics {
    ($(#[$doc:meta])* $list:ident; $($id:ident = $kind:expr, $name:literal, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $id: $crate::telemetry::metrics::Metric = $crate::telemetry::metrics::Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help };
        )*
        $(#[$doc])*
        pub const $list: &[$crate::telemetry::metrics::Metric] = &[$($id),*];
    };
}
pub(crate) use metrics;

metrics! {
    /// Every metric of the process.
    ALL;
    PRODUCER_SENT = Kind::Counter, "kafka_producer_messages_sent_total", ["topic", "status"], "Records sent, by outcome (success, error)";
    PRODUCER_DURATION = Kind::Histogram(LATENCY), "kafka_producer_send_duration_seconds", ["topic"], "Seconds from handing a record to the producer until the broker acknowledged it";
    PRODUCER_SIZE = Kind::Histogram(SIZE), "kafka_producer_message_size_bytes", ["topic"], "Bytes of the records' values";
    PRODUCER_CONNECTED = Kind::Gauge, "kafka_producer_connection_status", [], "1 while the producer reaches Kafka, 0 while it does not";
    PRODUCER_ERRORS = Kind::Counter, "kafka_producer_errors_total", ["topic", "error_type"], "Sends that failed, by kind of error";
    MESSAGES_PRODUCED = Kind::Counter, "kafka_messages_produced_total", ["topic"], "Records acknowledged by Kafka";
    CONSUMER_MESSAGES = Kind::Counter, "kafka_consumer_messages_consumed_total", ["topic", "partition", "status"], "Records handled, by outcome (success, dead_letter)";
    CONSUMER_DURATION = Kind::Histogram(LATENCY), "kafka_consumer_message_processing_duration_seconds", ["topic", "partition"], "Seconds to handle one batch of a partition, effects included";
    CONSUMER_LAG = Kind::Gauge, "kafka_consumer_lag", ["topic", "partition", "consumer_group"], "Records between the group's position and the end of the partition";
    CONSUMER_LAG_SECONDS = Kind::Gauge, "kafka_consumer_lag_seconds", ["topic", "partition", "consumer_group"], "Age in seconds of the last handled record while the group lags; 0 when it doesn't";
    CONSUMER_CONNECTED = Kind::Gauge, "kafka_consumer_connection_status", ["consumer_group"], "1 while this process is a member of the group, 0 while it is not, or not yet";
    CONSUMER_OFFSET = Kind::Gauge, "kafka_consumer_current_offset", ["topic", "partition", "consumer_group"], "The next offset the group will handle";
    CONSUMER_END = Kind::Gauge, "kafka_consumer_high_water_mark", ["topic", "partition"], "The partition's high watermark";
    CONSUMER_ERRORS = Kind::Counter, "kafka_consumer_errors_total", ["topic", "partition", "error_type"], "Failures while consuming, by kind (poison, unavailable, fenced, poll, commit, lost)";
    CONSUMER_REBALANCES = Kind::Counter, "kafka_consumer_rebalances_total", ["consumer_group"], "Changes of this process's assignment";
    MESSAGES_CONSUMED = Kind::Counter, "kafka_messages_consumed_total", ["topic", "consumer_group"], "Records handled by a group";
    PROCESSING_DURATION = Kind::Histogram(LATENCY), "kafka_message_processing_duration_seconds", ["topic"], "Seconds to handle one batch, effects included";
    DEAD_LETTERS = Kind::Counter, "kafka_dead_letters_total", ["topic", "consumer_group", "reason"], "Records sent to a dead-letter topic, by reason (unreadable, permanent, exhausted)";
    RETRIES = Kind::Counter, "kafka_retries_scheduled_total", ["consumer_group"], "Records that failed and will be tried again";
    PROCESSOR_CONFLICTS = Kind::Counter, "kboard_processor_conflicts_total", ["consumer_group"], "Batches computed anew because a state had changed meanwhile";
    PROCESSOR_WAKES = Kind::Gauge, "kboard_processor_wakes_pending", ["consumer_group"], "Keys of this process's partitions that asked to be woken, when it last looked";
    OUTBOX_SIZE = Kind::Gauge, "kboard_outbox_size", ["consumer_group"], "Records that this process has to send and Kafka has not acknowledged";
    OUTBOX_REFUSED = Kind::Counter, "kboard_outbox_refused_total", ["consumer_group"], "Records that Kafka will not take; they stay in the outbox";
    REDIS_OPERATIONS = Kind::Counter, "redis_operations_total", ["operation", "status"], "Redis operations, by outcome (success, error)";
    REDIS_DURATION = Kind::Histogram(LATENCY), "redis_operation_duration_seconds", ["operation"], "Seconds a Redis operation took";
    REDIS_CONNECTED = Kind::Gauge, "redis_connection_status", ["client_type"], "1 while the connection is up, by client (commands, subscriber)";
    REDIS_LIST_SIZE = Kind::Gauge, "redis_messages_list_size", [], "Messages in the board's window";
    REDIS_SUBSCRIPTIONS = Kind::Gauge, "redis_pubsub_active_subscriptions", [], "Channels this process is subscribed to";
    REDIS_UP = Kind::Gauge, "redis_up", [], "1 while Redis answers a PING, 0 while it does not";
    REDIS_MEMORY_USED = Kind::Gauge, "redis_memory_used_bytes", [], "Bytes that Redis has allotted, as its INFO tells";
    REDIS_MEMORY_MAX = Kind::Gauge, "redis_memory_max_bytes", [], "Bytes that Redis may use (maxmemory); 0 when it has no limit of its own";
    REDIS_MEMORY_SYSTEM = Kind::Gauge, "redis_total_system_memory_bytes", [], "Bytes of memory of the machine that Redis runs on";
    REDIS_CLIENTS = Kind::Gauge, "redis_connected_clients", [], "Connections to Redis, other people's included";
    REDIS_MAX_CLIENTS = Kind::Gauge, "redis_config_maxclients", [], "Connections that Redis accepts at most";
    REDIS_EVICTED = Kind::Counter, "redis_evicted_keys_total", [], "Keys that Redis has removed for want of memory";
    HTTP_REQUESTS = Kind::Counter, "http_requests_total", ["method", "route", "status_code"], "HTTP requests answered; 499 where the client hung up before";
    HTTP_DURATION = Kind::Histogram(LATENCY), "http_request_duration_seconds", ["method", "route", "status_code"], "Seconds until an HTTP response began, or the client hung up";
    HTTP_IN_PROGRESS = Kind::Gauge, "http_requests_in_progress", ["method", "route"], "HTTP requests being answered";
    SSE_ACTIVE = Kind::Gauge, "sse_active_connections", [], "Viewers connected to a stream";
    SSE_CONNECTIONS = Kind::Counter, "sse_connections_total", ["status"], "Streams by how they began or ended (opened, closed, dropped)";
    SSE_MESSAGES = Kind::Counter, "sse_messages_sent_total", ["type"], "Events written to viewers, by type (connected, message, reset, keepalive)";
    SSE_ERRORS = Kind::Counter, "sse_errors_total", ["error_type"], "Streams that were cut off, by reason";
    SPANS_EXPORTED = Kind::Counter, "kboard_spans_exported_total", [], "Spans that the OTLP endpoint took";
    SPANS_DROPPED = Kind::Counter, "kboard_spans_dropped_total", ["reason"], "Spans that nobody will see, by reason (queue_full, unreachable, refused)";
    BROKER_REQUESTS = Kind::Counter, "kboard_broker_requests_total", ["api", "error"], "Requests that the embedded broker answered, by API and the first error in the answer (none if there is none)";
    BROKER_DURATION = Kind::Histogram(BROKER_LATENCY), "kboard_broker_request_duration_seconds", ["api"], "Seconds from a request's last byte until its answer was ready, waiting for records or members included";
    BROKER_MALFORMED = Kind::Counter, "kboard_broker_malformed_requests_total", [], "Connections closed because of a request that can't be understood";
    BROKER_CONNECTIONS = Kind::Gauge, "kboard_broker_connections", [], "Connections to the embedded broker";
    BROKER_LOG_BYTES = Kind::Gauge, "kboard_broker_log_bytes", ["topic"], "Bytes of a topic's records on the embedded broker; 0 once the topic is deleted";
    BROKER_PARTITIONS = Kind::Gauge, "kboard_broker_partitions", [], "Partitions of all topics on the embedded broker";
    BROKER_GROUPS = Kind::Gauge, "kboard_broker_groups", ["state"], "Consumer groups on the embedded broker, by Kafka's name of their state";
    BUILD_INFO = Kind::Gauge, "kboard_build_info", ["version"], "1, with the version of this build";
    PROCESS_CPU = Kind::Counter, "process_cpu_seconds_total", [], "Whole seconds of processor time that the process has used, in user and system mode";
    PROCESS_MEMORY = Kind::Gauge, "process_resident_memory_bytes", [], "Bytes of memory that the process holds";
    PROCESS_VIRTUAL = Kind::Gauge, "process_virtual_memory_bytes", [], "Bytes of address space that the process has reserved";
    PROCESS_VIRTUAL_MAX = Kind::Gauge, "process_virtual_memory_max_bytes", [], "Bytes of address space that the process may reserve; 0 without a limit";
    PROCESS_FILES = Kind::Gauge, "process_open_fds", [], "Open file descriptors, connections included";
    PROCESS_FILES_MAX = Kind::Gauge, "process_max_fds", [], "File descriptors that the process may open";
    PROCESS_START = Kind::Gauge, "process_start_time_seconds", [], "When the process was started, in seconds since the epoch";
    PROCESS_THREADS = Kind::Gauge, "process_threads", [], "Threads of the process";
    TOKIO_WORKERS = Kind::Gauge, "tokio_workers", [], "Threads that run the asynchronous tasks";
    TOKIO_TASKS = Kind::Gauge, "tokio_alive_tasks", [], "Tasks that have not ended";
    TOKIO_QUEUE = Kind::Gauge, "tokio_global_queue_depth", [], "Tasks that wait for any worker";
    TOKIO_BUSY = Kind::Gauge, "tokio_busy_ratio", [], "Share of the last seconds that the workers have spent on tasks, from 0 to 1";
}

/// Makes the process's recorder and returns the handle that renders a scrape.
///
/// # Errors
/// When a recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = builder()?.install_recorder()?;
    for metric in ALL {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    Ok(handle)
}

/// What recorders are built from: it knows the buckets.
///
/// # Errors
/// None: every histogram has buckets.
pub fn builder() -> Result<PrometheusBuilder, BuildError> {
    ALL.iter().try_fold(PrometheusBuilder::new(), |builder, metric| match metric.kind {
        Kind::Histogram(buckets) => builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets),
        Kind::Counter | Kind::Gauge => Ok(builder),
    })
}
