//! CreatePartitions: gives topics more partitions.

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::create_topics::check_assignment;
use super::{Answer, Api, Call, off_thread};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::topics::Refused;

/// The API.
pub struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 3 };

    async fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: CreatePartitionsRequest,
    ) -> Answer<CreatePartitionsResponse> {
        let mut times: HashMap<StrBytes, usize> = HashMap::new();
        for topic in &request.topics {
            *times.entry(topic.name.0.clone()).or_default() += 1;
        }
        let mut results = Vec::with_capacity(times.len());
        for topic in request.topics {
            let name = topic.name.clone();
            let result = match times.remove(&name.0) {
                Some(1) => add(broker, topic, request.validate_only).await,
                Some(_) => Err(Refused::new(ResponseError::InvalidRequest, "Duplicate topic name.")),
                // It was answered with its first mention.
                None => continue,
            };
            let response = CreatePartitionsTopicResult::default().with_name(name).with_error_message(None);
            results.push(match result {
                Ok(()) => response,
                Err(refused) => response
                    .with_error_code(call.code(refused.error))
                    .with_error_message(Some(StrBytes::from_string(refused.message))),
            });
        }
        CreatePartitionsResponse::default().with_results(results).into()
    }
}

async fn add(broker: &Arc<Broker>, topic: CreatePartitionsTopic, validate_only: bool) -> Result<(), Refused> {
    let name = topic.name.to_string();
    if let Some(assignments) = &topic.assignments {
        let present = broker.topics.get(&name).ok_or_else(|| Refused::unknown_topic(&name))?.partitions.len();
        let more = i64::from(topic.count) - present as i64;
        if more > 0 && assignments.len() as i64 != more {
            let message = format!(
                "Attempted to add {more} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(Refused::new(ResponseError::InvalidReplicaAssignment, message));
        }
        assignments.iter().try_for_each(|assignment| check_assignment(&assignment.broker_ids))?;
    }
    let added = off_thread(broker, move |broker| broker.topics.add_partitions(&name, topic.count, validate_only)).await;
    added.map_err(|error| Refused::new(error, "the partitions could not be created"))?
}
