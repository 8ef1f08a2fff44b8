//! OffsetFetch: what groups have committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::VersionRange;

use super::text;
use crate::embedded::kafka::api::{Answer, Api, Call};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::groups::Committed;

/// The API.
pub struct OffsetFetch;

/// The first version that asks for several groups.
const SEVERAL: i16 = 8;
/// The first version that tells epochs.
const EPOCHS: i16 = 5;
/// What stands for an offset or an epoch where nothing was committed.
const NONE: i32 = -1;

/// Committed offsets by topic, in order.
type ByTopic = BTreeMap<String, Vec<(i32, Option<Committed>)>>;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;

    const VERSIONS: VersionRange = VersionRange { min: 1, max: 9 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: OffsetFetchRequest) -> Answer<OffsetFetchResponse> {
        if call.version >= SEVERAL {
            let groups = request.groups.into_iter().map(|asked| group(broker, call, asked));
            return OffsetFetchResponse::default().with_groups(groups.collect()).into();
        }
        let asked = request.topics.map(|topics| {
            let partitions = |topic: &TopicName, indexes: &[i32]| named(topic, indexes);
            topics.iter().flat_map(|topic| partitions(&topic.name, &topic.partition_indexes)).collect()
        });
        match committed(broker, &request.group_id, asked) {
            Ok(found) => OffsetFetchResponse::default()
                .with_topics(found.into_iter().map(|found| topic(call.version, found)).collect()),
            Err(error) => OffsetFetchResponse::default().with_error_code(call.code(error)),
        }
        .into()
    }
}

fn group(broker: &Broker, call: &Call, asked: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let partitions = asked
        .topics
        .map(|topics| topics.iter().flat_map(|topic| named(&topic.name, &topic.partition_indexes)).collect());
    let response = OffsetFetchResponseGroup::default();
    match committed(broker, &asked.group_id, partitions) {
        Ok(found) => response.with_topics(found.into_iter().map(topic_of_group).collect()),
        Err(error) => response.with_error_code(call.code(error)),
    }
    .with_group_id(asked.group_id)
}

fn named(topic: &TopicName, indexes: &[i32]) -> Vec<(String, i32)> {
    indexes.iter().map(|&index| (topic.to_string(), index)).collect()
}

/// What `group` has committed of the partitions, or of all.
fn committed(broker: &Broker, group: &str, asked: Option<Vec<(String, i32)>>) -> Result<ByTopic, ResponseError> {
    let mut topics = ByTopic::new();
    for (topic, index, offset) in broker.groups.committed(group, asked.as_deref())? {
        topics.entry(topic).or_default().push((index, offset));
    }
    Ok(topics)
}

fn topic(version: i16, (name, partitions): (String, Vec<(i32, Option<Committed>)>)) -> OffsetFetchResponseTopic {
    let partitions = partitions.into_iter().map(|(index, committed)| {
        let (offset, epoch, metadata) = parts(committed);
        OffsetFetchResponsePartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(if version >= EPOCHS { epoch } else { NONE })
            .with_metadata(Some(text(metadata)))
    });
    OffsetFetchResponseTopic::default().with_name(TopicName(text(name))).with_partitions(partitions.collect())
}

fn topic_of_group((name, partitions): (String, Vec<(i32, Option<Committed>)>)) -> OffsetFetchResponseTopics {
    let partitions = partitions.into_iter().map(|(index, committed)| {
        let (offset, epoch, metadata) = parts(committed);
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(Some(text(metadata)))
    });
    OffsetFetchResponseTopics::default().with_name(TopicName(text(name))).with_partitions(partitions.collect())
}

fn parts(committed: Option<Committed>) -> (i64, i32, String) {
    committed.map_or((i64::from(NONE), NONE, String::new()), |committed| {
        (committed.offset, committed.leader_epoch, committed.metadata)
    })
}
