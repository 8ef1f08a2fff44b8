//! Times at which keys are decided about again.

use fred::interfaces::SortedSetsInterface;

use super::{Store, all};
use crate::redis::{self, RedisError};

impl Store {
    /// The keys of a partition's wake-ups that are due by `until` (ms), the first ones, with their times; and when the
    /// first of all is.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn due(
        &self,
        space: &str,
        homes: &[String],
        until: i64,
        limit: usize,
    ) -> Result<Vec<Vec<(String, f64)>>, RedisError> {
        let asked = async {
            let pipeline = self.redis.client().pipeline();
            for home in homes {
                let (wakes, limit) = (self.names.wakes(space, home), Some((0, limit as i64)));
                let () = pipeline.zrangebyscore(wakes, "-inf", until, true, limit).await?;
            }
            all(&pipeline, homes.len()).await
        };
        redis::run("processor-due", asked).await
    }

    /// When the first wake-up of these partitions is (ms), and how many there are.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn next_wake(&self, space: &str, homes: &[String]) -> Result<(Option<i64>, u64), RedisError> {
        let first = self.first_wakes(space, homes).await?;
        let asked = async {
            let pipeline = self.redis.client().pipeline();
            for home in homes {
                let () = pipeline.zcard(self.names.wakes(space, home)).await?;
            }
            all(&pipeline, homes.len()).await
        };
        let counts: Vec<u64> = redis::run("processor-due", asked).await?;
        Ok((first, counts.iter().sum()))
    }

    async fn first_wakes(&self, space: &str, homes: &[String]) -> Result<Option<i64>, RedisError> {
        let asked = async {
            let pipeline = self.redis.client().pipeline();
            for home in homes {
                let () =
                    pipeline.zrangebyscore(self.names.wakes(space, home), "-inf", "+inf", true, Some((0, 1))).await?;
            }
            all(&pipeline, homes.len()).await
        };
        let first: Vec<Vec<(String, f64)>> = redis::run("processor-due", asked).await?;
        Ok(first.into_iter().flatten().map(|(_, at)| at as i64).min())
    }
}
