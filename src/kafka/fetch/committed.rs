//! How far groups are.

use super::{Cluster, KafkaError};

/// An offset that a group committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset of the record that the group reads next.
    pub offset: i64,
    /// The leader's epoch of the record before; -1 if the group didn't say.
    pub leader_epoch: i32,
    /// What the group noted with it.
    pub metadata: String,
}

/// All offsets that each of `groups` committed, with one request to each coordinator. Each group has its own outcome, in
/// the order of `groups`; one that doesn't exist has committed nothing.
pub async fn committed(cluster: &Cluster, groups: &[&str]) -> Vec<Result<Vec<Committed>, KafkaError>> {
    let _ = (cluster, groups);
    todo!()
}
