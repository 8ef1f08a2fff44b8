//! kboard: event-driven applications on Apache Kafka and Redis in one executable, with the tools to see inside them.
//!
//! # Map
//! - [`cli`]: one file a subcommand; each owns its arguments and one `run`.
//! - [`config`]: settings: flag > environment > `kboard.toml` > default.
//! - [`kafka`]: the cluster's clients, producer, consumer runtime, partition reads, administration, events, dead letters.
//! - [`record_batch`]: the format of Kafka's logs, which the broker writes and the reading client reads.
//! - [`redis`]: the client, projections (a batch and its offsets in one atomic script), subscriptions.
//! - [`processor`]: services that consume, keep states in Redis and produce, each effect once; retries.
//! - [`live`]: from one Redis subscription to any number of viewers: hub, Server-Sent Events.
//! - [`apps`]: the applications: topics, groups, routes and pages of each; the registry lists them.
//! - [`console`]: the Kafka console: pages and API to see into topics, messages and groups, and to act.
//! - [`web`]: the HTTP server: accept loop, limits, errors, assets, health.
//! - [`embedded`]: a Kafka broker and a Redis of one node each, for those who have none.
//! - [`telemetry`]: every metric declared once, the log, and traces.
//! - `backoff`, `clock`, `listen`, `time`: for everyone: how long to wait before trying again, the time, listening on a port,
//!   and times as people write them.
//!
//! Arrows point one way: `cli` → `apps`, `console`, `web` → `live`, `processor` → `kafka`, `redis` → `telemetry`. `kafka` and `redis` never name
//! an app, and no app imports another.

// The futures of the processors' groups are nested deeper than the compiler looks by itself.
#![recursion_limit = "256"]

pub mod apps;
mod backoff;
pub mod cli;
mod clock;
pub mod config;
pub mod console;
pub mod embedded;
pub mod kafka;
mod listen;
pub mod live;
pub mod processor;
pub mod record_batch;
pub mod redis;
pub mod telemetry;
mod time;
pub mod web;
