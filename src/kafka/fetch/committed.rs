//! How far groups are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, OffsetFetchRequest, OffsetFetchResponse,
};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::{Cluster, KafkaError};
use crate::backoff::Backoff;
use crate::kafka::wire::{Brokers, REQUEST_PATIENCE, WireError, format_address};

/// FindCoordinator for one group, and for many.
const FIND_ONE: VersionRange = VersionRange { min: 1, max: 3 };
const FIND_MANY: VersionRange = VersionRange { min: 4, max: 6 };
/// OffsetFetch for one group, from the version on that answers for all topics, and for many.
const FETCH_ONE: VersionRange = VersionRange { min: 2, max: 7 };
const FETCH_MANY: VersionRange = VersionRange { min: 8, max: 9 };
/// Groups in one request, where many are possible; their answers stay small enough.
const GROUPS: usize = 1_000;
/// Requests at once, where only one group is possible.
const AT_ONCE: usize = 16;
/// How often is asked for what has no coordinator, or another one than was told.
const ATTEMPTS: usize = 4;

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

type Outcome = Result<Vec<Committed>, WireError>;
type Outcomes = HashMap<String, Outcome>;

/// All offsets that each of `groups` committed, with one request to each coordinator. Each group has its own outcome, in
/// the order of `groups`; one that doesn't exist has committed nothing.
pub async fn committed(cluster: &Cluster, groups: &[&str]) -> Vec<Result<Vec<Committed>, KafkaError>> {
    let brokers = cluster.brokers();
    let mut outcomes = Outcomes::new();
    let mut open = groups.to_vec();
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    for attempt in 1..=ATTEMPTS {
        outcomes.extend(attempt_all(brokers, &open).await);
        open.retain(|group| matches!(outcomes.get(*group), Some(Err(error)) if error.is_retriable()));
        if open.is_empty() || attempt == ATTEMPTS {
            break;
        }
        tokio::time::sleep(backoff.after_failure()).await;
    }
    let outcome = |group: &&str| {
        // What an answer leaves out has no coordinator that knows of it.
        let missing = || Err(WireError::Refused(ResponseError::CoordinatorNotAvailable));
        let outcome = outcomes.get(*group).cloned().unwrap_or_else(missing);
        outcome.map_err(KafkaError::wire(format!("read the offsets of group {group:?}")))
    };
    groups.iter().map(outcome).collect()
}

async fn attempt_all(brokers: &Arc<Brokers>, groups: &[&str]) -> Outcomes {
    let (coordinators, mut outcomes) = coordinators(brokers, groups).await;
    let parts =
        coordinators.iter().flat_map(|(address, groups)| groups.chunks(GROUPS).map(move |part| (address, part)));
    let asked = join_all(parts.map(|(address, groups)| ask(brokers, address, groups))).await;
    outcomes.extend(asked.into_iter().flatten());
    outcomes
}

/// Where the coordinators are, with the groups of each, and the groups that have none.
async fn coordinators(brokers: &Arc<Brokers>, groups: &[&str]) -> (HashMap<Arc<str>, Vec<String>>, Outcomes) {
    let keys: Vec<_> = groups.iter().map(|group| StrBytes::from_string((*group).to_owned())).collect();
    let request = |_| FindCoordinatorRequest::default().with_coordinator_keys(keys.clone());
    let answers = match brokers.ask_any::<FindCoordinatorRequest>(FIND_MANY, request).await {
        Err(WireError::Unsupported { .. }) => {
            let one = |key: &StrBytes| {
                let key = key.clone();
                async move {
                    let request = |_| FindCoordinatorRequest::default().with_key(key.clone());
                    let found = brokers.ask_any::<FindCoordinatorRequest>(FIND_ONE, request).await;
                    (key.to_string(), found.and_then(|found| only_coordinator(&found)))
                }
            };
            stream::iter(keys.iter().map(one)).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await
        }
        Err(error) => keys.iter().map(|key| (key.to_string(), Err(error.clone()))).collect(),
        Ok(found) => (found.coordinators.iter())
            .map(|found| {
                let address = format_address(&found.host, found.port);
                (found.key.to_string(), WireError::check(found.error_code).map(|()| address))
            })
            .collect(),
    };
    let (mut coordinators, mut failed) = (HashMap::<_, Vec<_>>::new(), Outcomes::new());
    for (group, found) in answers {
        match found {
            Ok(address) => coordinators.entry(address).or_default().push(group),
            Err(error) => drop(failed.insert(group, Err(error))),
        }
    }
    (coordinators, failed)
}

fn only_coordinator(found: &FindCoordinatorResponse) -> Result<Arc<str>, WireError> {
    WireError::check(found.error_code).map(|()| format_address(&found.host, found.port))
}

async fn ask(brokers: &Arc<Brokers>, address: &Arc<str>, groups: &[String]) -> Vec<(String, Outcome)> {
    let request = |_| {
        let group = |group: &String| OffsetFetchRequestGroup::default().with_group_id(id(group)).with_topics(None);
        OffsetFetchRequest::default().with_groups(groups.iter().map(group).collect())
    };
    match brokers.ask::<OffsetFetchRequest>(address, FETCH_MANY, REQUEST_PATIENCE, request).await {
        Ok(response) => response.groups.iter().map(|group| (group.group_id.to_string(), outcome(group))).collect(),
        Err(WireError::Unsupported { .. }) => {
            // Boxed, so that this can be shown to run on any thread.
            let one = groups.iter().map(|group| ask_one(brokers, address, group).boxed());
            stream::iter(one.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await
        }
        Err(error) => groups.iter().map(|group| (group.clone(), Err(error.clone()))).collect(),
    }
}

async fn ask_one(brokers: &Arc<Brokers>, address: &Arc<str>, group: &str) -> (String, Outcome) {
    let request = |_| OffsetFetchRequest::default().with_group_id(id(group)).with_topics(None);
    let found = brokers.ask::<OffsetFetchRequest>(address, FETCH_ONE, REQUEST_PATIENCE, request).await;
    (group.to_owned(), found.and_then(|found| only_outcome(&found)))
}

fn id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

fn outcome(group: &OffsetFetchResponseGroup) -> Outcome {
    WireError::check(group.error_code)?;
    let partitions = group.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |found| (topic, found)));
    let found = partitions.filter_map(|(topic, found)| {
        let (partition, error_code, metadata) = (found.partition_index, found.error_code, found.metadata.as_deref());
        offset(&topic.name, partition, found.committed_offset, found.committed_leader_epoch, metadata, error_code)
    });
    found.collect()
}

/// The same of the answer of a version that has one group.
fn only_outcome(response: &OffsetFetchResponse) -> Outcome {
    WireError::check(response.error_code)?;
    let partitions = response.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |found| (topic, found)));
    let found = partitions.filter_map(|(topic, found)| {
        let (partition, error_code, metadata) = (found.partition_index, found.error_code, found.metadata.as_deref());
        offset(&topic.name, partition, found.committed_offset, found.committed_leader_epoch, metadata, error_code)
    });
    found.collect()
}

/// What an answer says of a partition: nothing if nothing was committed.
fn offset(
    topic: &str,
    partition: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: Option<&str>,
    error_code: i16,
) -> Option<Result<Committed, WireError>> {
    if let Err(error) = WireError::check(error_code) {
        return Some(Err(error));
    }
    let metadata = metadata.unwrap_or_default().to_owned();
    (offset >= 0).then(|| Ok(Committed { topic: topic.to_owned(), partition, offset, leader_epoch, metadata }))
}
