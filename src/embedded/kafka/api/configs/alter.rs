//! AlterConfigs: everything that is set on a topic, at once; what isn't named is set no more.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Resource, change};
use crate::embedded::kafka::api::{Answer, Api, Call};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::topics::Refused;

/// The API.
pub struct Alter;

impl Api for Alter {
    type Request = AlterConfigsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: AlterConfigsRequest) -> Answer<AlterConfigsResponse> {
        let mut responses = Vec::with_capacity(request.resources.len());
        for resource in request.resources {
            let response = AlterConfigsResourceResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            let (code, message) = call.outcome_of(alter(broker, resource, request.validate_only).await);
            responses.push(response.with_error_code(code).with_error_message(message));
        }
        AlterConfigsResponse::default().with_responses(responses).into()
    }
}

async fn alter(broker: &Arc<Broker>, asked: AlterConfigsResource, validate_only: bool) -> Result<(), Refused> {
    let topic = Resource::new(asked.resource_type, &asked.resource_name)?.topic()?.to_owned();
    if let Some(null) = asked.configs.iter().find(|config| config.value.is_none()) {
        let message = format!("Null value not supported for : {}", &*null.name);
        return Err(Refused::new(ResponseError::InvalidRequest, message));
    }
    let settings = asked.configs.into_iter();
    let settings =
        settings.map(|config| (config.name.to_string(), config.value.map(|value| value.to_string()))).collect();
    change(broker, move |broker| broker.topics.replace(&topic, settings, validate_only)).await
}
