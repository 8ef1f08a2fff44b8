//! A window beside the live one, which a replay builds and puts in its place.

use std::sync::Arc;

use uuid::Uuid;

use super::{Keys, RedisError, SHADOW_MS, Window, new_epoch};
use crate::clock::now_ms;

impl Window {
    /// A window beside this one, for a replay to build.
    pub fn shadow(&self) -> Self {
        let token = Uuid::new_v4().simple().to_string();
        Self { keys: Keys::shadow(&self.keys, &token), token: Some(token), published: Arc::default(), ..self.clone() }
    }

    /// Takes the fence that holds all others off the live state; `false` when another replay has it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn hold(&self, lasting_ms: i64) -> Result<bool, RedisError> {
        self.fence("take", lasting_ms).await
    }

    /// Renews the fence; `false` when it has lapsed: then others may have changed the live state since.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn keep_hold(&self, lasting_ms: i64) -> Result<bool, RedisError> {
        self.fence("renew", lasting_ms).await
    }

    async fn fence(&self, how: &str, lasting_ms: i64) -> Result<bool, RedisError> {
        let token = self.token.clone().unwrap_or_default();
        let now = now_ms();
        let args = vec![token.into(), now.into(), (now + lasting_ms).into(), how.into(), SHADOW_MS.into()];
        self.scripts.fence.run(&self.redis, self.keys_behind_fence(), args).await
    }

    fn keys_behind_fence(&self) -> Vec<String> {
        std::iter::once(self.fence.clone()).chain(self.keys.all()).collect()
    }

    /// Puts this shadow in the place of `live`, with a new epoch, and lifts the fence; `false` when the fence was lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn swap_into(&self, live: &Self) -> Result<bool, RedisError> {
        let mut keys = live.keys.all();
        keys.extend(self.keys.all());
        keys.push(self.fence.clone());
        let args = vec![self.token.clone().unwrap_or_default().into(), new_epoch().into(), now_ms().into()];
        let swapped = self.scripts.swap.run(&self.redis, keys, args).await?;
        if swapped && let Err(error) = live.announce().await {
            // It can't be taken back, and viewers look by themselves before long.
            tracing::debug!(%error, "a rebuilt window is not announced");
        }
        Ok(swapped)
    }

    /// Removes this shadow and lifts its fence.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn discard(&self) -> Result<(), RedisError> {
        let args = vec![self.token.clone().unwrap_or_default().into(), now_ms().into()];
        let _: i64 = self.scripts.discard.run(&self.redis, self.keys_behind_fence(), args).await?;
        Ok(())
    }
}
