//! Where partitions begin and end, and where they were at a time.

use super::{Cluster, Isolation, KafkaError};

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The first that is still kept.
    Earliest,
    /// The one after the last that can be read: the high watermark, or the last stable offset of committed records.
    Latest,
    /// That of the first record at or after these milliseconds since the epoch.
    Time(i64),
    /// That of the record with the largest timestamp.
    MaxTimestamp,
}

/// Where something is in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The offset.
    pub offset: i64,
    /// The timestamp (ms) of the record there; -1 when a place was asked for and not a record.
    pub timestamp: i64,
}

/// Finds an offset of each of `partitions` (topic and number), with one request to each leader. Each has its own outcome,
/// in the order of `partitions`: `None` when no record is as late.
pub async fn offsets(
    cluster: &Cluster,
    partitions: &[(&str, i32)],
    at: At,
    isolation: Isolation,
) -> Vec<Result<Option<Located>, KafkaError>> {
    let _ = (cluster, partitions, at, isolation);
    todo!()
}
