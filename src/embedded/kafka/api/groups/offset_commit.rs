//! OffsetCommit: how far a group has read.

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use kafka_protocol::protocol::VersionRange;

use super::identity;
use crate::embedded::kafka::api::{Answer, Api, Call, lookup};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::groups::{Commit, PartitionResult};

/// The API.
pub struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;

    const VERSIONS: VersionRange = VersionRange { min: 2, max: 9 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: OffsetCommitRequest) -> Answer<OffsetCommitResponse> {
        let member = identity(&request.member_id, request.group_instance_id.as_ref());
        let commits = known(broker, &request.topics);
        let committed =
            broker.groups.commit(&request.group_id, request.generation_id_or_member_epoch, &member, commits);
        let committed = committed.as_ref().map(|committed| outcomes(committed)).map_err(|error| *error);
        // What was not committed because it isn't there gets that for an answer.
        let outcome = |topic: &str, index| match &committed {
            Ok(outcomes) => *outcomes.get(&(topic, index)).unwrap_or(&Err(ResponseError::UnknownTopicOrPartition)),
            Err(error) => Err(*error),
        };
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let index = partition.partition_index;
                let result = outcome(&topic.name, index);
                OffsetCommitResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(call.code_of(result))
            });
            let partitions = partitions.collect();
            OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions)
        });
        OffsetCommitResponse::default().with_topics(topics.collect()).into()
    }
}

/// The commits of partitions that there are.
fn known(broker: &Broker, topics: &[OffsetCommitRequestTopic]) -> Vec<Commit> {
    let commits = topics.iter().filter_map(|topic| {
        let found = lookup::named(broker, &topic.name).ok()?;
        let exists =
            move |partition: &&OffsetCommitRequestPartition| found.partition(partition.partition_index).is_some();
        Some(topic.partitions.iter().filter(exists).map(|partition| commit(&topic.name, partition)))
    });
    commits.flatten().collect()
}

fn commit(topic: &str, partition: &OffsetCommitRequestPartition) -> Commit {
    Commit {
        topic: topic.to_owned(),
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_deref().unwrap_or_default().to_owned(),
    }
}

/// What became of each partition that was committed, by topic and number.
fn outcomes(committed: &[PartitionResult]) -> HashMap<(&str, i32), Result<(), ResponseError>> {
    committed.iter().map(|(topic, index, result)| ((topic.as_str(), *index), *result)).collect()
}
