//! Since when a group's next records have waited.

use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};

use super::groups::Group;
use super::positions::Position;
use crate::kafka::fetch::{self, FetchOptions};
use crate::kafka::{Cluster, KafkaError};

/// Partitions that are read at once.
const AT_ONCE: usize = 16;
/// How long one may take before its time is shown as unknown.
const TIMEOUT: Duration = Duration::from_secs(5);
/// One record is wanted, and brokers send its whole batch however little is asked for.
const LEAST_BYTES: usize = 2;

/// Finds out, for each partition with lag, for how long its next record has waited until `now` (ms). Where it can't be
/// read, that stays unknown.
pub async fn fill(cluster: &Cluster, groups: &mut [Group], now: i64) {
    let positions = groups.iter_mut().flat_map(|group| &mut group.positions);
    let lagging: Vec<&mut Position> = positions.filter(|position| position.next().is_some()).collect();
    let places = lagging.iter().filter_map(|position| position.next());
    let found: Vec<_> = written_at(cluster, places).collect().await;
    for (position, written) in lagging.into_iter().zip(found) {
        position.fill_waiting(written, now);
    }
}

/// When the records at these places (topic, partition, offset) were written, in milliseconds since the epoch, in their
/// order and one by one as they are found; `None` where that can't be read.
pub fn written_at<'a>(
    cluster: &'a Cluster,
    places: impl IntoIterator<Item = (&'a str, i32, i64)>,
) -> impl Stream<Item = Option<i64>> + 'a {
    let reads = places.into_iter().map(|(topic, partition, offset)| {
        let read = async move {
            match tokio::time::timeout(TIMEOUT, timestamp_at(cluster, topic, partition, offset)).await {
                Ok(Ok(written)) => written,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the time of a record is unknown");
                    None
                }
                Err(_) => None,
            }
        };
        read.boxed()
    });
    let reads: Vec<_> = reads.collect();
    futures::stream::iter(reads).buffered(AT_ONCE)
}

async fn timestamp_at(cluster: &Cluster, topic: &str, partition: i32, offset: i64) -> Result<Option<i64>, KafkaError> {
    let options = FetchOptions { bytes: LEAST_BYTES, memory: LEAST_BYTES, ..FetchOptions::default() };
    let found = fetch::fetch(cluster, topic, partition, offset, &options).await?;
    Ok(found.records.first().map(|record| record.timestamp))
}
