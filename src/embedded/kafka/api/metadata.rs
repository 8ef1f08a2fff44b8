//! Metadata: the node, and topics with their partitions. All partitions are led by this node, their only replica.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::{StrBytes, VersionRange};
use uuid::Uuid;

use super::{Answer, Api, Call, off_thread};
use crate::embedded::kafka::broker::{Broker, NODE_ID};
use crate::embedded::kafka::topics::{NewTopic, Topic, name};

/// The API.
pub struct Metadata;

/// What everybody may do to a topic, as bits by Kafka's numbers: read, write, create, delete, alter, describe, describe
/// and alter settings.
pub const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// What everybody may do to the cluster: create, alter, describe, act as its member, describe and alter settings,
/// produce idempotently.
pub const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;
/// The first version in which no topics asked for means none; before, it means all.
const NONE_MEANS_NONE: i16 = 1;
/// The first version in which a topic may be asked for by its id alone.
const BY_ID: i16 = 12;

impl Api for Metadata {
    type Request = MetadataRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 13 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: MetadataRequest) -> Answer<MetadataResponse> {
        let asked = request.topics.filter(|topics| !topics.is_empty() || call.version >= NONE_MEANS_NONE);
        let mut topics = match asked {
            None => broker.topics.all().iter().map(|topic| known(topic)).collect(),
            Some(asked) => {
                let mut topics = Vec::with_capacity(asked.len());
                for topic in asked {
                    topics.push(look_up(broker, call, topic, request.allow_auto_topic_creation).await);
                }
                topics
            }
        };
        if request.include_topic_authorized_operations {
            topics.iter_mut().filter(|topic| topic.error_code == 0).for_each(|topic| {
                topic.topic_authorized_operations = TOPIC_OPERATIONS;
            });
        }
        let mut response = MetadataResponse::default()
            .with_brokers(vec![
                MetadataResponseBroker::default()
                    .with_node_id(NODE_ID.into())
                    .with_host(StrBytes::from_string(broker.advertised.host.clone()))
                    .with_port(broker.advertised.port.into()),
            ])
            .with_cluster_id(Some(StrBytes::from_string(broker.topics.cluster_id().to_owned())))
            .with_controller_id(NODE_ID.into())
            .with_topics(topics);
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = CLUSTER_OPERATIONS;
        }
        response.into()
    }
}

async fn look_up(
    broker: &Arc<Broker>,
    call: &Call,
    asked: MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let MetadataRequestTopic { topic_id, name, .. } = asked;
    let by_name = name.as_ref().filter(|name| topic_id.is_nil() || !name.is_empty());
    if call.version < BY_ID && (by_name.is_none() || !topic_id.is_nil()) {
        return unknown(call, ResponseError::InvalidRequest, name.or_else(|| Some(TopicName::default())), topic_id);
    }
    let Some(by_name) = by_name else {
        return match broker.topics.get_by_id(topic_id) {
            Some(topic) => known(&topic),
            None => unknown(call, ResponseError::UnknownTopicId, None, topic_id),
        };
    };
    if let Some(topic) = broker.topics.get(by_name) {
        return known(&topic);
    }
    let error = match name::check(by_name) {
        Err(refused) => refused.error,
        Ok(()) if may_create && broker.create_topics => match create(broker, by_name).await {
            Ok(topic) => return known(&topic),
            Err(error) => error,
        },
        Ok(()) => ResponseError::UnknownTopicOrPartition,
    };
    unknown(call, error, name, Uuid::nil())
}

/// Makes a topic because somebody asked for it.
async fn create(broker: &Arc<Broker>, name: &str) -> Result<Arc<Topic>, ResponseError> {
    let new = NewTopic { name: name.to_owned(), partitions: -1, ..NewTopic::default() };
    let created = off_thread(broker, |broker| broker.topics.create(new, false)).await?;
    match created {
        // Somebody else may have been quicker, or may have deleted it again.
        Ok(_) | Err(crate::embedded::kafka::topics::Refused { error: ResponseError::TopicAlreadyExists, .. }) => {
            broker.topics.get(name).ok_or(ResponseError::UnknownTopicOrPartition)
        }
        Err(refused) => Err(refused.error),
    }
}

fn known(topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().map(|partition| {
        MetadataResponsePartition::default()
            .with_partition_index(partition.index())
            .with_leader_id(NODE_ID.into())
            .with_leader_epoch(0)
            .with_replica_nodes(vec![BrokerId(NODE_ID)])
            .with_isr_nodes(vec![BrokerId(NODE_ID)])
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.clone()))))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}

fn unknown(call: &Call, error: ResponseError, name: Option<TopicName>, id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_error_code(call.code(error)).with_name(name).with_topic_id(id)
}
