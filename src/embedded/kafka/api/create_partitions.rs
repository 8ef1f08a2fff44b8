//! CreatePartitions: gives topics more partitions.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use kafka_protocol::protocol::VersionRange;

use super::create_topics::check_assignment;
use super::{Answer, Api, Call, lookup, off_thread};
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
        let mut results = Vec::with_capacity(request.topics.len());
        for (name, topic) in lookup::once_each(request.topics, |topic| &topic.name) {
            let result = match topic {
                Ok(topic) => add(broker, topic, request.validate_only).await,
                Err(refused) => Err(refused),
            };
            let (code, message) = call.outcome_of(result);
            let response = CreatePartitionsTopicResult::default().with_name(name);
            results.push(response.with_error_code(code).with_error_message(message));
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
