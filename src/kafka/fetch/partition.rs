//! One piece of one partition.

use super::{Cluster, FetchOptions, Fetched, KafkaError};

/// Reads from `from` on what one answer of the partition's leader has: nothing at the end of the log, after
/// [`FetchOptions::max_wait`]. An offset that is no longer kept, or not yet there, begins at the log's start or, beyond the
/// end, gives nothing.
///
/// # Errors
/// [`KafkaError::UnknownTopic`], [`KafkaError::UnknownPartition`]; other errors when the leader doesn't answer.
pub async fn fetch(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    from: i64,
    options: &FetchOptions,
) -> Result<Fetched, KafkaError> {
    let _ = (cluster, topic, partition, from, options);
    todo!()
}
