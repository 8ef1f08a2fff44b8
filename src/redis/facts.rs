//! What Redis tells about itself, as metrics: who watches kboard needs no exporter beside Redis.

use std::time::Duration;

use fred::interfaces::ClientLike;
use metrics::{counter, gauge};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::client::{Redis, RedisError};
use crate::telemetry::metrics as m;
use crate::telemetry::seldom::Seldom;

/// How often Redis is asked.
const INTERVAL: Duration = Duration::from_secs(10);
/// Each gauge, and the field of INFO that it shows. A field that a server doesn't tell leaves its gauge out.
const GAUGES: [(m::Metric, &str); 5] = [
    (m::REDIS_MEMORY_USED, "used_memory"),
    (m::REDIS_MEMORY_MAX, "maxmemory"),
    (m::REDIS_MEMORY_SYSTEM, "total_system_memory"),
    (m::REDIS_CLIENTS, "connected_clients"),
    (m::REDIS_MAX_CLIENTS, "maxclients"),
];

/// That INFO is refused, which a user of Redis may not be allowed.
static REFUSED: Seldom = Seldom::every(Duration::from_secs(3_600));

/// Keeps these metrics true until `shutdown`.
pub async fn watch(redis: Redis, shutdown: CancellationToken) {
    let mut evicted = 0;
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(interval.tick()).await.is_some() {
        let up = redis.ping().await.is_ok();
        gauge!(m::REDIS_UP.name).set(if up { 1.0 } else { 0.0 });
        if !up {
            continue;
        }
        match redis.client().info::<String>(None).await {
            Ok(told) => show(&told, &mut evicted),
            Err(source) => {
                REFUSED.warn("Redis tells nothing about itself", &RedisError::Command { operation: "info", source });
            }
        }
    }
}

/// Shows what `told`, an answer to INFO, says; `evicted` is what it said before.
fn show(told: &str, evicted: &mut u64) {
    for (metric, field) in GAUGES {
        if let Some(value) = number(told, field) {
            gauge!(metric.name).set(value as f64);
        }
    }
    if let Some(now) = number(told, "evicted_keys") {
        counter!(m::REDIS_EVICTED.name).increment(since(*evicted, now));
        *evicted = now;
    }
}

fn number(told: &str, field: &str) -> Option<u64> {
    told.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')?.trim().parse().ok())
}

/// What was added to a count that begins at 0 when its server is started anew.
fn since(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let told = "# Memory\r\nused_memory_peak:7\r\nused_memory:5\r\nmaxmemory_policy:noeviction\r\nmaxmemory:0\r\n";
        assert_eq!((number(told, "used_memory"), number(told, "maxmemory")), (Some(5), Some(0)));
        assert_eq!((number(told, "maxmemory_policy"), number(told, "maxclients")), (None, None));
    }

    #[test]
    fn evictions_are_counted_on_over_a_restart_of_redis() {
        assert_eq!([since(0, 3), since(3, 3), since(3, 10), since(10, 4)], [3, 0, 7, 4]);
    }
}
