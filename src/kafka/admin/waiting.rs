//! Since when a group's next records have waited.

use std::time::Duration;

use futures::{FutureExt, StreamExt};

use super::groups::Group;
use crate::kafka::{Cluster, KafkaError, log};

/// Partitions that are read at once.
const AT_ONCE: usize = 16;
/// How long one may take before its time is shown as unknown.
const TIMEOUT: Duration = Duration::from_secs(5);
/// One record is wanted, and brokers send its whole batch however little is asked for.
const LEAST_BYTES: i32 = 2;

/// Finds out, for each partition with lag, for how long its next record has waited until `now` (ms). Where it can't be
/// read, that stays unknown.
pub async fn fill(cluster: &Cluster, groups: &mut [Group], now: i64) {
    let positions = groups.iter_mut().flat_map(|group| &mut group.positions);
    let lagging = positions.filter(|position| position.lag.is_some_and(|lag| lag > 0));
    let reads = lagging.map(|position| async move {
        let (Some(committed), Some(earliest)) = (position.committed, position.earliest) else { return };
        let read = timestamp_at(cluster, &position.topic, position.partition, committed.max(earliest));
        match tokio::time::timeout(TIMEOUT, read).await {
            // A producer's clock may be ahead of ours.
            Ok(Ok(Some(written))) => position.lag_seconds = Some((now - written).max(0) as f64 / 1000.0),
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the time of a record is unknown"),
        }
    });
    let reads: Vec<_> = reads.map(FutureExt::boxed).collect();
    futures::stream::iter(reads).buffer_unordered(AT_ONCE).collect::<()>().await;
}

async fn timestamp_at(cluster: &Cluster, topic: &str, partition: i32, offset: i64) -> Result<Option<i64>, KafkaError> {
    let log = log::open_partition(cluster, topic, partition).await?;
    Ok(log.read(offset, i64::MAX, LEAST_BYTES).await?.records.first().map(|record| record.timestamp))
}
