//! The states to look at: what pages and APIs show of a processor.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fred::interfaces::{HashesInterface, KeysInterface, SortedSetsInterface};
use fred::types::Value;
use serde::de::DeserializeOwned;

use super::store::{Names, value};
use crate::clock::now_ms;
use crate::redis::{self, Redis, RedisError, Window};

/// The states of one group. Cheap to clone.
pub struct View<S> {
    redis: Redis,
    names: Names,
    /// The space that was live when it was last asked for.
    space: Arc<Mutex<String>>,
    state: PhantomData<fn() -> S>,
}

impl<S> Clone for View<S> {
    fn clone(&self) -> Self {
        Self {
            redis: self.redis.clone(),
            names: self.names.clone(),
            space: Arc::clone(&self.space),
            state: PhantomData,
        }
    }
}

impl<S: DeserializeOwned> View<S> {
    /// The states of `group`, whose keys begin with `prefix`.
    pub fn new(redis: Redis, prefix: &str, group: &str) -> Self {
        Self { redis, names: Names::new(prefix, group), space: Arc::default(), state: PhantomData }
    }

    /// The newest `length` announcements of the group: for [`Setup::window`](super::Setup::window), and for a
    /// [`Feed`](crate::live::Feed) to follow.
    pub fn window(redis: Redis, prefix: &str, group: &str, length: usize) -> Window {
        let (list, channel) = (format!("kboard:{group}:news"), format!("kboard:{group}:told"));
        Window::new(redis, prefix, group, &list, &channel, length)
    }

    /// The states under `keys`, in their order; `None` where nothing is known.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn get(&self, keys: &[String]) -> Result<Vec<Option<S>>, RedisError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let values: Vec<Option<Bytes>> = self
            .in_live_space(|space| {
                let keys: Vec<_> = keys.iter().map(|key| self.names.state(space, key)).collect();
                let pipeline = self.redis.client().pipeline();
                async move {
                    let () = pipeline.hget(self.names.root(), "space").await?;
                    let () = pipeline.mget(keys).await?;
                    pipeline.all().await
                }
            })
            .await?;
        let now = now_ms();
        let read = |value: &Option<Bytes>| {
            let state = value.as_deref().and_then(|value| value::state(value, now));
            state.map(serde_json::from_slice).transpose().map_err(unexpected)
        };
        values.iter().map(read).collect()
    }

    /// The keys of `index` after the place `after` (the last key seen, with its score), in order, with their scores: `limit`
    /// at most. A key may be there whose state has gone since.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn page(
        &self,
        index: &str,
        after: Option<(&str, f64)>,
        limit: usize,
    ) -> Result<Vec<(String, f64)>, RedisError> {
        // As a number: a text would be taken for a name to begin with.
        let min = after.map_or(f64::NEG_INFINITY, |(_, score)| score);
        let mut page = Vec::with_capacity(limit);
        let mut offset = 0_i64;
        // Keys of one score are in the order of their names; those up to `after` are passed over.
        while page.len() < limit {
            let asked = (limit - page.len() + 1) as i64;
            let found: Vec<(String, f64)> = self
                .in_live_space(|space| {
                    let pipeline = self.redis.client().pipeline();
                    let index = self.names.index(space, index);
                    async move {
                        let () = pipeline.hget(self.names.root(), "space").await?;
                        let () = pipeline.zrangebyscore(index, min, f64::INFINITY, true, Some((offset, asked))).await?;
                        pipeline.all().await
                    }
                })
                .await?;
            let more = found.len() as i64 == asked;
            offset += found.len() as i64;
            let is_after = |(key, score): &(String, f64)| {
                after.is_none_or(|(seen, at)| *score > at || (*score == at && key.as_str() > seen))
            };
            page.extend(found.into_iter().filter(is_after));
            if !more {
                break;
            }
        }
        page.truncate(limit);
        Ok(page)
    }

    /// How many keys `index` has.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn count(&self, index: &str) -> Result<u64, RedisError> {
        self.in_live_space(|space| {
            let (pipeline, index) = (self.redis.client().pipeline(), self.names.index(space, index));
            async move {
                let () = pipeline.hget(self.names.root(), "space").await?;
                let () = pipeline.zcard(index).await?;
                pipeline.all().await
            }
        })
        .await
    }

    /// What `ask` finds in the space that is the live one: it asks for that, too, and is asked again when that is another
    /// than it was.
    async fn in_live_space<T, F>(&self, ask: impl Fn(&str) -> F) -> Result<T, RedisError>
    where
        T: fred::types::FromValue,
        F: Future<Output = Result<(Option<String>, Value), fred::error::Error>>,
    {
        loop {
            let space = self.space.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (live, found) = redis::run("view", ask(&space)).await?;
            let live = live.unwrap_or_default();
            if live == space {
                return found.convert().map_err(|source| RedisError::Command { operation: "view", source });
            }
            *self.space.lock().unwrap_or_else(PoisonError::into_inner) = live;
        }
    }
}

fn unexpected(error: serde_json::Error) -> RedisError {
    RedisError::Answer { operation: "view", answer: error.to_string() }
}
