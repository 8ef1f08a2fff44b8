//! What the integration tests share: real servers, kboard as a process, and clients that look at it from outside.
//!
//! - [`services`]: the Kafka and Redis that `tests/services.sh` started for the whole run
//! - [`stack`]: what most tests start from: the shared broker under a prefix of their own, and a private Redis
//! - [`broker`], [`embedded`], [`redis`]: servers of a test's own, to be killed and brought back
//! - [`kboard`]: the program itself, `serve`, `consume` or a command that ends
//! - [`console`]: the console, asked as a browser and as a program would
//! - [`board`]: what a board must show, in Redis, over HTTP and to a viewer; [`load`]: people who post all the time
//! - [`orders`]: the orders, over HTTP; [`ledger`]: what the topics say of them, and whether it adds up
//! - [`otlp`]: takes spans as a collector does
//! - [`chance`]: random moments that can be repeated; [`clock`]: a clock that jumps
//! - [`wire`]: Kafka's protocol by hand; [`traffic`]: producers and groups that speak it, and what they were told
//! - [`sse`]: a viewer of a stream; [`terminal`]: a terminal that a program is run on; [`tools`]: Kafka's own tools, kcat and redis-cli
//! - [`monitoring`], [`grafana`]: the files that scrape and show kboard; [`prometheus`]: the servers that read them;
//!   [`webhook`]: who is told
//! - [`process`]: what all the servers have in common: a directory, a log, a pid, an end
//!
//! Nothing sleeps for a guessed time: tests wait for conditions with [`eventually`]. No single measurement decides: what must
//! be quick is so [`within_a_try`], or [one of three](one_of_three_takes_less), or by its [`median`]. Every process ends with
//! its test, and shows the end of its log when the test failed.

#![allow(dead_code, unused_imports, reason = "each test file is a crate of its own and uses a part of this")]

pub mod board;
pub mod broker;
pub mod chance;
pub mod clock;
pub mod console;
pub mod embedded;
pub mod grafana;
pub mod kboard;
pub mod ledger;
pub mod load;
pub mod monitoring;
pub mod orders;
pub mod otlp;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod redis;
pub mod services;
pub mod sse;
pub mod stack;
pub mod terminal;
pub mod till;
pub mod tools;
pub mod traffic;
pub mod webhook;
pub mod wire;

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub use broker::Broker;
pub use chance::{Chance, rounds};
pub use clock::Clock;
pub use embedded::Embedded;
pub use kboard::Kboard;
pub use ledger::Ledger;
pub use load::Load;
pub use otlp::Otlp;
pub use prometheus::{Alertmanager, Prometheus};
pub use redis::RedisServer;
pub use sse::SseClient;
pub use stack::Stack;
pub use webhook::Webhook;

/// Between two looks at a condition: short beside anything that is awaited, long beside what a look costs.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `condition` holds and gives what it found; fails the test, naming `what`, after `timeout`.
pub async fn eventually<T, F>(what: &str, timeout: Duration, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(started.elapsed() < timeout, "waited {timeout:?} for: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tries until one try takes less than `limit`, and gives what that one found; fails the test, naming `what`, when none has
/// after `timeout`. A busy machine slows some tries, a fault slows all of them.
pub async fn within_a_try<T, F>(what: &str, limit: Duration, timeout: Duration, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = T>,
{
    let (started, mut best) = (Instant::now(), Duration::MAX);
    loop {
        let began = Instant::now();
        let found = attempt().await;
        best = best.min(began.elapsed());
        if best < limit {
            return found;
        }
        assert!(started.elapsed() < timeout, "{what} took {best:?} at best, and not less than {limit:?}");
    }
}

/// The same for what measures a part of a try by itself, such as the end of a process, and takes long enough for three tries to
/// be enough.
pub async fn one_of_three_takes_less<F>(what: &str, limit: Duration, mut attempt: impl FnMut() -> F)
where
    F: Future<Output = Duration>,
{
    let mut took: Vec<Duration> = Vec::new();
    while took.last().is_none_or(|last| *last >= limit) {
        assert!(took.len() < 3, "{what} took {took:?}, and never less than {limit:?}");
        took.push(attempt().await);
    }
}

/// The time that half of these took at least.
pub fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
}

/// `name` made unique across tests, processes and runs: for topics, groups, prefixes and directories.
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let since_epoch = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() % 100_000_000;
    format!("{name}-{since_epoch}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
