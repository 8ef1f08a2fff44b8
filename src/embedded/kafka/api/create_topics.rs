//! CreateTopics: makes topics, each of them or none of its partitions. A partition has one replica, here.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{BrokerId, CreateTopicsRequest, CreateTopicsResponse};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::{Answer, Api, Call, lookup, off_thread};
use crate::embedded::kafka::broker::{Broker, NODE_ID};
use crate::embedded::kafka::topics::settings::checked;
use crate::embedded::kafka::topics::{NewTopic, Refused};

/// The API.
pub struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 2, max: 7 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: CreateTopicsRequest) -> Answer<CreateTopicsResponse> {
        let mut results = Vec::with_capacity(request.topics.len());
        for (name, topic) in lookup::once_each(request.topics, |topic| &topic.name) {
            let result = match topic {
                Ok(topic) => create(broker, topic, request.validate_only).await,
                Err(refused) => Err(refused),
            };
            let result = result.unwrap_or_else(|refused| {
                let (code, message) = call.outcome_of(Err(refused));
                CreatableTopicResult::default()
                    .with_error_code(code)
                    .with_error_message(message)
                    .with_num_partitions(-1)
                    .with_replication_factor(-1)
            });
            results.push(result.with_name(name));
        }
        CreateTopicsResponse::default().with_topics(results).into()
    }
}

async fn create(
    broker: &Arc<Broker>,
    topic: CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refused> {
    let partitions = partitions(&topic)?;
    let settings = checked(topic.configs.iter().map(|config| (&*config.name, config.value.as_deref())))?;
    let configs = broker.topics.defaults().describe(&settings).into_iter().map(|setting| {
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(setting.definition.name))
            .with_value(Some(StrBytes::from_string(setting.value)))
            .with_read_only(setting.definition.is_fixed())
            .with_config_source(setting.source as i8)
    });
    let configs = configs.collect();
    let new = NewTopic { name: topic.name.to_string(), partitions, settings };
    let created = off_thread(broker, move |broker| broker.topics.create(new, validate_only)).await;
    let created = created.map_err(|error| Refused::new(error, "the topic could not be created"))??;
    Ok(CreatableTopicResult::default()
        .with_topic_id(created.id)
        .with_num_partitions(created.partitions)
        .with_replication_factor(1)
        .with_configs(Some(configs)))
}

/// How many partitions the topic is to have; -1 for as many as the default says.
fn partitions(topic: &CreatableTopic) -> Result<i32, Refused> {
    let invalid = |message: &str| Err(Refused::new(ResponseError::InvalidRequest, message));
    if topic.assignments.is_empty() {
        check_replication(topic.replication_factor)?;
        return Ok(topic.num_partitions);
    }
    if topic.replication_factor != -1 {
        return invalid("A manual partition assignment was specified, but replication factor was not set to -1.");
    }
    if topic.num_partitions != -1 {
        return invalid("A manual partition assignment was specified, but numPartitions was not set to -1.");
    }
    let mut indexes: Vec<i32> = topic.assignments.iter().map(|assignment| assignment.partition_index).collect();
    indexes.sort_unstable();
    if !indexes.iter().copied().eq(0..indexes.len() as i32) {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err(Refused::new(ResponseError::InvalidReplicaAssignment, message));
    }
    topic.assignments.iter().try_for_each(|assignment| check_assignment(&assignment.broker_ids))?;
    Ok(indexes.len() as i32)
}

fn check_replication(factor: i16) -> Result<(), Refused> {
    let message = match factor {
        -1 | 1 => return Ok(()),
        2.. => format!(
            "Unable to replicate the partition {factor} time(s): the target replication factor of {factor} cannot be reached \
             because this is a single node without replication."
        ),
        _ => "Replication factor must be larger than 0, or -1 to use the default value.".to_owned(),
    };
    Err(Refused::new(ResponseError::InvalidReplicationFactor, message))
}

/// A partition can be on this node, and on no other.
///
/// # Errors
/// It is to be elsewhere.
pub fn check_assignment(brokers: &[BrokerId]) -> Result<(), Refused> {
    let message = match brokers {
        [only] if only.0 == NODE_ID => return Ok(()),
        [] => "The manual partition assignment includes an empty replica list.".to_owned(),
        _ => match brokers.iter().find(|broker| broker.0 != NODE_ID) {
            Some(other) => {
                format!(
                    "The manual partition assignment includes broker {}, but no such broker is registered.",
                    other.0
                )
            }
            None => format!("The manual partition assignment includes the broker {NODE_ID} more than once."),
        },
    };
    Err(Refused::new(ResponseError::InvalidReplicaAssignment, message))
}
