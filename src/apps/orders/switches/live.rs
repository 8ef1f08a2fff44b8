//! The settings as they are now, in every process: read from Redis every second.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fred::interfaces::KeysInterface;
use tokio_util::sync::CancellationToken;

use super::Switches;
use crate::apps::Prefix;
use crate::clock::now_ms;
use crate::redis::{self, Redis, RedisError};
use crate::telemetry::seldom::Seldom;

/// How often they are read.
const EVERY: Duration = Duration::from_secs(1);

/// What is said of settings that can't be read.
static UNREADABLE: Seldom = Seldom::new();

/// The settings as they are now. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LiveSwitches {
    now: Arc<RwLock<Arc<Switches>>>,
}

impl LiveSwitches {
    /// Settings that nobody changes.
    pub fn fixed(switches: Switches) -> Self {
        Self { now: Arc::new(RwLock::new(Arc::new(switches))) }
    }

    /// Settings that follow those in Redis until `shutdown`. While Redis is away or holds nonsense, the last known ones stay.
    pub async fn follow(redis: Redis, prefix: Prefix, shutdown: CancellationToken) -> Self {
        let live = Self::fixed(Switches::default());
        live.refresh(&redis, &prefix).await;
        let following = live.clone();
        tokio::spawn(async move {
            while shutdown.run_until_cancelled(tokio::time::sleep(until_next(now_ms()))).await.is_some() {
                following.refresh(&redis, &prefix).await;
            }
        });
        live
    }

    /// The settings now.
    pub fn get(&self) -> Arc<Switches> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes other settings from now on.
    pub fn set(&self, switches: Switches) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(switches);
    }

    async fn refresh(&self, redis: &Redis, prefix: &Prefix) {
        match load(redis, prefix).await {
            Ok(Ok(switches)) if switches != *self.get() => self.set(switches),
            Ok(Ok(_)) => {}
            Ok(Err(reason)) => UNREADABLE.warn("the switches of the orders can't be understood", &reason),
            Err(error) => UNREADABLE.warn("the switches of the orders can't be read", &error),
        }
    }
}

/// How long it is until they are read again: all services of a process read them at the same moment, and wake it once.
fn until_next(now_ms: i64) -> Duration {
    let every = EVERY.as_millis() as i64;
    Duration::from_millis((every - now_ms.rem_euclid(every)).unsigned_abs())
}

/// The settings in Redis, or the default ones if there are none; or why what is there are no settings.
///
/// # Errors
/// When Redis does not answer.
pub async fn load(redis: &Redis, prefix: &Prefix) -> Result<Result<Switches, String>, RedisError> {
    let json: Option<Vec<u8>> = redis::run("switches-read", redis.client().get(key(prefix))).await?;
    Ok(json.map_or_else(|| Ok(Switches::default()), |json| Switches::from_json(&json)))
}

/// Keeps checked settings for all processes, which follow within about a second.
///
/// # Errors
/// When Redis does not answer.
pub async fn save(redis: &Redis, prefix: &Prefix, switches: &Switches) -> Result<(), RedisError> {
    let json = serde_json::to_vec(switches).unwrap_or_default(); // numbers and ids: all can be written
    redis::run("switches-write", redis.client().set(key(prefix), json.as_slice(), None, None, false)).await
}

fn key(prefix: &Prefix) -> String {
    prefix.apply("orders:switches")
}
