//! Fetch: records from the logs, waiting for them if there are none yet.
//!
//! There are no fetch sessions: every answer says session 0, after which clients name all their partitions each time.
//! A request that waits sleeps until one of its partitions grows, and takes no memory for an answer while it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::select_all;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::FetchPartition;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::{StrBytes, VersionRange};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Answer, Api, Call, lookup, refused_since, waiting_for_disk};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::topics::Partition;

/// The API.
pub struct Fetch;

/// The first version with an error of the answer as a whole.
const WITH_ERROR: i16 = 7;
/// The first version that calls topics by their ids.
const BY_ID: i16 = 13;
/// The first version that tells where logs start.
const START_OFFSETS: i16 = 5;
/// Bytes of one answer at most, whatever is asked for: the default of Kafka's `fetch.max.bytes`.
const MAX_BYTES: usize = 55 * 1024 * 1024;
/// How long a request waits at most, whatever it asks for.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The epochs of requests outside of a session: of one that would begin one, and of one that wants none.
const WITHOUT_SESSION: [i32; 2] = [0, -1];
/// What stands for an offset where there is none.
const NO_OFFSET: i64 = -1;

impl Api for Fetch {
    type Request = FetchRequest;

    const VERSIONS: VersionRange = VersionRange { min: 4, max: 18 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: FetchRequest) -> Answer<FetchResponse> {
        if request.session_id != 0 || !WITHOUT_SESSION.contains(&request.session_epoch) {
            let error = call.code(ResponseError::FetchSessionIdNotFound);
            return FetchResponse::default().with_error_code(error).into();
        }
        let deadline = Instant::now() + millis(request.max_wait_ms).min(MAX_WAIT);
        let wanted = Wanted::new(broker, call.version >= BY_ID, request);
        call.let_go_of_request();
        let mut ends = None;
        let found = loop {
            let over = Instant::now() >= deadline || broker.stopping.is_cancelled();
            if over || wanted.is_ready() {
                tokio::select! {
                    biased;
                    () = call.reserve(wanted.most()) => {}
                    () = broker.stopping.cancelled() => return Answer::Close("the broker ends".to_owned()),
                }
                let found = wanted.read(call);
                let enough = over || found.failed || found.bytes >= wanted.min_bytes;
                call.keep(if enough { found.bytes } else { 0 });
                if enough {
                    break found;
                }
            }
            // Only who has to wait watches the ends, and looks once more then: what was appended meanwhile ends the wait.
            let Some(ends) = &mut ends else {
                ends = Some(wanted.ends());
                continue;
            };
            tokio::select! {
                () = any_changed(ends) => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = broker.stopping.cancelled() => {}
            }
        };
        FetchResponse::default().with_responses(found.topics).into()
    }

    fn refuse(version: i16) -> Option<(i16, FetchResponse)> {
        // Older answers have room for errors of partitions only.
        refused_since(WITH_ERROR, version, |code| FetchResponse::default().with_error_code(code))
    }
}

async fn any_changed(ends: &mut [watch::Receiver<i64>]) {
    if ends.is_empty() {
        return std::future::pending().await;
    }
    // An error means that the partition is gone, which is a change. Waiting for it marked it as seen.
    drop(select_all(ends.iter_mut().map(|end| Box::pin(end.changed()))).await);
}

fn millis(wait: i32) -> Duration {
    Duration::from_millis(u64::try_from(wait).unwrap_or(0))
}

/// What a request wants.
struct Wanted {
    topics: Vec<WantedTopic>,
    min_bytes: usize,
    max_bytes: usize,
}

struct WantedTopic {
    name: TopicName,
    id: Uuid,
    partitions: Vec<(FetchPartition, Result<Arc<Partition>, ResponseError>)>,
}

/// What was there.
struct Found {
    topics: Vec<FetchableTopicResponse>,
    bytes: usize,
    failed: bool,
}

impl Wanted {
    /// What `request` wants; nothing of its bytes is kept.
    fn new(broker: &Broker, by_id: bool, request: FetchRequest) -> Self {
        let size = |bytes: i32| usize::try_from(bytes).unwrap_or(0);
        let topics = request.topics.into_iter().map(|topic| {
            let found = lookup::topic(broker, by_id, &topic.topic, topic.topic_id);
            let partition = |wanted: FetchPartition| {
                let found = lookup::partition(&found, wanted.partition);
                let epoch = lookup::check_epoch(wanted.current_leader_epoch);
                let found = found.and_then(|partition| epoch.map(|()| partition));
                (wanted.with_unknown_tagged_fields(BTreeMap::new()), found)
            };
            let partitions = topic.partitions.into_iter().map(partition).collect();
            let name = TopicName(StrBytes::from_string(topic.topic.to_string()));
            WantedTopic { name, id: topic.topic_id, partitions }
        });
        let max_bytes = size(request.max_bytes).min(MAX_BYTES);
        Self { topics: topics.collect(), min_bytes: size(request.min_bytes).min(max_bytes), max_bytes }
    }

    fn partitions(&self) -> impl Iterator<Item = &(FetchPartition, Result<Arc<Partition>, ResponseError>)> {
        self.topics.iter().flat_map(|topic| &topic.partitions)
    }

    fn ends(&self) -> Vec<watch::Receiver<i64>> {
        self.partitions().filter_map(|(_, found)| Some(found.as_ref().ok()?.end_offset())).collect()
    }

    /// Whether there is anything to tell: records, or an error.
    fn is_ready(&self) -> bool {
        self.min_bytes == 0 || self.partitions().any(|(wanted, found)| is_ready(wanted, found))
    }

    /// Bytes that the answer may take.
    fn most(&self) -> usize {
        let most = |(wanted, found): &(FetchPartition, Result<Arc<Partition>, ResponseError>)| match found {
            Ok(partition) if is_ready(wanted, found) => {
                let there = partition.with(|log| Ok(usize::try_from(log.size()).unwrap_or(usize::MAX)));
                there.unwrap_or(0).min(usize::try_from(wanted.partition_max_bytes).unwrap_or(0))
            }
            _ => 0,
        };
        self.partitions().map(most).fold(0, usize::saturating_add).min(self.max_bytes)
    }

    fn read(&self, call: &Call) -> Found {
        let start_offsets = call.version >= START_OFFSETS;
        let mut found = Found { topics: Vec::with_capacity(self.topics.len()), bytes: 0, failed: false };
        for topic in &self.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for (wanted, partition) in &topic.partitions {
                let left = self.max_bytes.saturating_sub(found.bytes);
                let most = usize::try_from(wanted.partition_max_bytes).unwrap_or(0).min(left);
                let result = partition.as_ref().map_err(|error| *error);
                // A record larger than all limits would otherwise hold its reader up for ever.
                let result = result.and_then(|partition| read(partition, wanted.fetch_offset, most, found.bytes == 0));
                let data = PartitionData::default().with_partition_index(wanted.partition);
                partitions.push(match result {
                    Ok(read) => {
                        found.bytes += read.records.len();
                        data.with_high_watermark(read.end)
                            .with_last_stable_offset(read.end)
                            .with_log_start_offset(if start_offsets { read.start } else { NO_OFFSET })
                            .with_aborted_transactions(Some(Vec::new()))
                            .with_records(Some(read.records))
                    }
                    Err(error) => {
                        found.failed = true;
                        data.with_error_code(call.code(error))
                            .with_high_watermark(NO_OFFSET)
                            .with_last_stable_offset(NO_OFFSET)
                            .with_log_start_offset(NO_OFFSET)
                            .with_records(Some(Bytes::new()))
                    }
                });
            }
            let response = FetchableTopicResponse::default().with_topic(topic.name.clone()).with_topic_id(topic.id);
            found.topics.push(response.with_partitions(partitions));
        }
        found
    }
}

/// Whether a partition has something to tell about what is wanted of it.
fn is_ready(wanted: &FetchPartition, found: &Result<Arc<Partition>, ResponseError>) -> bool {
    match found {
        Ok(partition) => partition.with(|log| Ok(log.end_offset())) != Ok(wanted.fetch_offset),
        Err(_) => true,
    }
}

/// What one partition gave.
struct Read {
    start: i64,
    end: i64,
    records: Bytes,
}

fn read(partition: &Partition, offset: i64, most: usize, at_least_one: bool) -> Result<Read, ResponseError> {
    let read = || {
        let (start, end, located) = partition
            .with(|log| Ok((log.start_offset(), log.end_offset(), log.locate(offset, most, at_least_one)?)))?;
        // Others append and read meanwhile.
        let records = located.read().map_err(|error| partition.storage_error("read", &error))?;
        Ok(Read { start, end, records })
    };
    if partition.with(|log| Ok(log.is_cold(offset)))? { waiting_for_disk(read) } else { read() }
}
