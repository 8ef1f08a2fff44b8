//! DeleteTopics: deletes topics, and the offsets that groups have committed to them.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use kafka_protocol::protocol::{StrBytes, VersionRange};
use uuid::Uuid;

use super::{Answer, Api, Call, off_thread};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::topics::Refused;

/// The API.
pub struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 1, max: 6 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: DeleteTopicsRequest) -> Answer<DeleteTopicsResponse> {
        let named = request.topic_names.into_iter().map(|name| DeleteTopicState::default().with_name(Some(name)));
        let mut seen = HashSet::new();
        let mut results = Vec::new();
        for asked in request.topics.into_iter().chain(named) {
            let mut result =
                DeletableTopicResult::default().with_name(asked.name.clone()).with_topic_id(asked.topic_id);
            match find(broker, &asked) {
                Ok((name, id)) if seen.insert(name.clone()) => {
                    result.name = Some(TopicName(StrBytes::from_string(name.clone())));
                    result.topic_id = id;
                    if let Err(refused) = delete(broker, name).await {
                        refuse(call, &mut result, refused);
                    }
                }
                Ok(_) => {
                    refuse(call, &mut result, Refused::new(ResponseError::InvalidRequest, "Duplicate topic name."))
                }
                Err(refused) => refuse(call, &mut result, refused),
            }
            results.push(result);
        }
        DeleteTopicsResponse::default().with_responses(results).into()
    }
}

fn find(broker: &Broker, asked: &DeleteTopicState) -> Result<(String, Uuid), Refused> {
    let invalid = |message: &str| Err(Refused::new(ResponseError::InvalidRequest, message));
    let topic = match &asked.name {
        Some(_) if !asked.topic_id.is_nil() => return invalid("You may not specify both topic name and topic id."),
        Some(name) => broker.topics.get(name).ok_or_else(|| Refused::unknown_topic(name))?,
        None if asked.topic_id.is_nil() => return invalid("Neither topic name nor id were specified."),
        None => broker
            .topics
            .get_by_id(asked.topic_id)
            .ok_or_else(|| Refused::new(ResponseError::UnknownTopicId, "This server does not host this topic ID."))?,
    };
    Ok((topic.name.clone(), topic.id))
}

async fn delete(broker: &Arc<Broker>, name: String) -> Result<(), Refused> {
    let deleted = off_thread(broker, move |broker| {
        broker.topics.delete(&name)?;
        broker.groups.forget_topic(&name);
        Ok(())
    });
    deleted.await.map_err(|error| Refused::new(error, "the topic could not be deleted"))?
}

fn refuse(call: &Call, result: &mut DeletableTopicResult, refused: Refused) {
    (result.error_code, result.error_message) = call.outcome_of(Err(refused));
}
