//! Removing spaces that are no longer needed.

use std::time::Duration;

use fred::interfaces::{HashesInterface, KeysInterface};

use super::Store;
use crate::redis::{self, RedisError};

/// Keys that Redis looks at in one step, and that are removed in one.
const STEP: u32 = 1_000;
/// How long it may do other things between two steps.
const PAUSE: Duration = Duration::from_millis(2);
/// What the fields begin with that name spaces to be removed.
const OLD: &str = "old/";

impl Store {
    /// Notes that `space` has to be removed some day; the swap that makes it the live one takes that back.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn note(&self, space: &str) -> Result<(), RedisError> {
        let note = self.redis.client().hset(self.names.root(), (format!("{OLD}{space}"), "1"));
        redis::run("processor-sweep", note).await
    }

    /// Removes the spaces that are neither the live one nor being filled.
    ///
    /// # Errors
    /// When Redis is away; what is left is removed the next time.
    pub async fn sweep(&self) -> Result<(), RedisError> {
        let client = self.redis.client();
        let fields: Vec<String> = redis::run("processor-sweep", client.hkeys(self.names.root())).await?;
        for space in fields.iter().filter_map(|field| field.strip_prefix(OLD)) {
            let fence: Option<String> = redis::run("processor-sweep", client.get(self.names.fence())).await?;
            let is_filled = fence.is_some_and(|fence| fence.starts_with(space));
            if is_filled || self.live().await?.as_deref() == Some(space) {
                continue;
            }
            // Not measured: it takes pauses.
            self.remove(space).await.map_err(|source| RedisError::Command { operation: "processor-sweep", source })?;
        }
        Ok(())
    }

    async fn remove(&self, space: &str) -> Result<(), fred::error::Error> {
        let client = self.redis.client();
        let pattern = format!("{}*", escaped(&self.names.offsets(space)));
        let mut cursor = "0".to_owned();
        loop {
            let (next, keys): (String, Vec<String>) =
                client.scan_page(cursor, pattern.clone(), Some(STEP), None).await?;
            if !keys.is_empty() {
                let () = client.unlink(keys).await?;
            }
            if next == "0" {
                break;
            }
            cursor = next;
            tokio::time::sleep(PAUSE).await;
        }
        client.hdel(self.names.root(), format!("{OLD}{space}")).await
    }
}

/// `text` as a pattern that only it matches.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_pattern() {
        assert_eq!(escaped("a*b?[c]\\kboard:orders"), "a\\*b\\?\\[c\\]\\\\kboard:orders");
    }
}
