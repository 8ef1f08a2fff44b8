//! Becoming a member of a group.

use std::sync::{Arc, OnceLock};

use krafka::consumer::{AutoOffsetReset, Consumer, PartitionAssignmentStrategy};
use tokio_util::sync::CancellationToken;

use super::assignment::{Assignment, Listener};
use super::{Group, GroupHealth, MAX_POLL_RECORDS, backoff};
use crate::kafka::{Cluster, KafkaError};

/// What one partition may give in one fetch.
const PARTITION_BYTES: i32 = 4 * 1024 * 1024;

/// Joins the group, trying again while Kafka is away; `None` when `shutdown` comes first.
pub async fn join(
    group: &Group,
    cluster: &Cluster,
    assignment: &Assignment,
    health: &GroupHealth,
    shutdown: &CancellationToken,
) -> Result<Option<Arc<Consumer>>, KafkaError> {
    let mut backoff = backoff();
    loop {
        match subscribe(group, cluster, assignment, health).await {
            Err(error) if error.is_retriable() => {
                if !backoff.is_failing() {
                    tracing::warn!(group = %group.id, %error, "can't join yet");
                }
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(None),
                    () = tokio::time::sleep(backoff.after_failure()) => {}
                }
            }
            result => return result.map(Some),
        }
    }
}

async fn subscribe(
    group: &Group,
    cluster: &Cluster,
    assignment: &Assignment,
    health: &GroupHealth,
) -> Result<Arc<Consumer>, KafkaError> {
    let slot = Arc::new(OnceLock::new());
    let listener = Listener {
        group: group.id.clone(),
        assignment: assignment.clone(),
        health: health.clone(),
        consumer: Arc::clone(&slot),
    };
    let session_timeout = cluster.settings().session_timeout;
    let consumer = (cluster.member().await?.consumer(&group.id))
        .enable_auto_commit(false)
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .partition_assignment_strategy(PartitionAssignmentStrategy::CooperativeSticky)
        .session_timeout(session_timeout)
        .heartbeat_interval(session_timeout / 3)
        // A join that waits for a dead member outlasts the interval, and krafka's heartbeat of meanwhile, answered after
        // the join, is of an old generation: it takes itself for expelled and joins anew. Under a name of its own it
        // gets its place back; without one it would leave a ghost, for whom all wait in turn, without end.
        .group_instance_id(format!("kboard-{}", uuid::Uuid::new_v4()))
        .max_poll_records(MAX_POLL_RECORDS)
        .max_buffered_records(2 * MAX_POLL_RECORDS)
        .max_partition_fetch_bytes(PARTITION_BYTES)
        .rebalance_listener(listener)
        .build()
        .await
        .map_err(KafkaError::request(format!("join group {}", group.id)))?;
    let consumer = Arc::new(consumer);
    // Nobody else has the slot yet, so it is empty.
    let _ = slot.set(Arc::downgrade(&consumer));
    consumer.subscribe(&group.topics).await.map_err(KafkaError::request("subscribe"))?;
    Ok(consumer)
}
