//! Which space is the live one: giving it up, and putting another in its place.

use fred::interfaces::HashesInterface;
use fred::types::Value;

use super::Store;
use crate::clock::now_ms;
use crate::redis::window::{self, Place};
use crate::redis::{self, RedisError};

/// What the fields begin with that name topics which were made anew.
const ANEW: &str = "anew/";

impl Store {
    /// Gives the live space up, if it is `space`; `false` while a rebuild holds it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn drop_space(&self, space: &str) -> Result<bool, RedisError> {
        let nothing = || Value::from_static_str("");
        self.give_up(vec![space.to_owned().into(), now_ms().into(), nothing()]).await
    }

    /// Gives the live space up if it stands beyond `end` in a partition, or was built from another topic; `false` while a
    /// rebuild holds it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn restart(&self, place: Place<'_>, end: i64) -> Result<bool, RedisError> {
        let anew = format!("{ANEW}{}", place.topic);
        self.give_up(vec![
            Value::from_static_str(""),
            now_ms().into(),
            place.field().into(),
            end.into(),
            place.log_field().into(),
            place.log.to_owned().into(),
            anew.into(),
        ])
        .await
    }

    async fn give_up(&self, args: Vec<Value>) -> Result<bool, RedisError> {
        let keys = vec![self.names.root().to_owned(), self.names.fence()];
        let answer: Vec<String> = self.scripts.drop.run(&self.redis, keys, args).await?;
        Ok(answer.first().is_some_and(|word| word != "fenced"))
    }

    /// The topics that were made anew since the live space was given up.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn made_anew(&self) -> Result<Vec<String>, RedisError> {
        let fields: Vec<String> = redis::run("processor-anew", self.redis.client().hkeys(self.names.root())).await?;
        Ok(fields.iter().filter_map(|field| Some(field.strip_prefix(ANEW)?.to_owned())).collect())
    }

    /// Takes (or renews) the fence for the rebuild of `space`; `false` when another holds it, or it has lapsed.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn hold(&self, space: &str, how: &'static str, lasting_ms: i64) -> Result<bool, RedisError> {
        let now = now_ms();
        let how = Value::from_static_str(how);
        let args = vec![space.to_owned().into(), now.into(), (now + lasting_ms).into(), how, lasting_ms.into()];
        self.scripts.fence.run(&self.redis, vec![self.names.fence()], args).await
    }

    /// Makes `space` the live one and lifts its fence; `false` when the fence was lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn swap(&self, space: &str) -> Result<bool, RedisError> {
        let mut args = vec![space.to_owned().into(), window::new_epoch().into(), now_ms().into()];
        args.extend(self.made_anew().await?.into_iter().map(|topic| Value::from(format!("{ANEW}{topic}"))));
        let keys = vec![self.names.root().to_owned(), self.names.fence()];
        let swapped = self.scripts.swap.run(&self.redis, keys, args).await?;
        if swapped
            && let Some(window) = &self.window
            && let Err(error) = window.announce().await
        {
            tracing::debug!(%error, "not announced");
        }
        Ok(swapped)
    }

    /// Lifts the fence of the rebuild of `space`.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn lift(&self, space: &str) -> Result<(), RedisError> {
        let args = vec![space.to_owned().into(), now_ms().into()];
        let _: i64 = self.scripts.lift.run(&self.redis, vec![self.names.fence()], args).await?;
        Ok(())
    }
}
