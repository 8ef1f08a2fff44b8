//! IncrementalAlterConfigs: single settings of a topic, together or not at all.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Resource, change};
use crate::embedded::kafka::api::{Answer, Api, Call};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::topics::Refused;
use crate::embedded::kafka::topics::settings::Change;

/// The API.
pub struct IncrementalAlter;

impl Api for IncrementalAlter {
    type Request = IncrementalAlterConfigsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 1 };

    async fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: IncrementalAlterConfigsRequest,
    ) -> Answer<IncrementalAlterConfigsResponse> {
        let mut responses = Vec::with_capacity(request.resources.len());
        for resource in request.resources {
            let response = AlterConfigsResourceResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            let (code, message) = call.outcome_of(alter(broker, resource, request.validate_only).await);
            responses.push(response.with_error_code(code).with_error_message(message));
        }
        IncrementalAlterConfigsResponse::default().with_responses(responses).into()
    }
}

async fn alter(broker: &Arc<Broker>, asked: AlterConfigsResource, validate_only: bool) -> Result<(), Refused> {
    let topic = Resource::new(asked.resource_type, &asked.resource_name)?.topic()?.to_owned();
    let mut seen = HashSet::new();
    if !asked.configs.iter().all(|config| seen.insert(&config.name)) {
        return Err(Refused::new(ResponseError::InvalidRequest, "Error due to duplicate config keys"));
    }
    let changes = asked.configs.into_iter().map(one_change).collect::<Result<_, _>>()?;
    change(broker, move |broker| broker.topics.change(&topic, changes, validate_only)).await
}

fn one_change(config: AlterableConfig) -> Result<(String, Change), Refused> {
    let invalid = |message| Err(Refused::new(ResponseError::InvalidRequest, message));
    let name = config.name.to_string();
    let value = config.value.map(|value| value.to_string());
    let change = match (config.config_operation, value) {
        (1, _) => Change::Unset,
        (0 | 2 | 3, None) => return invalid(format!("Null value not supported for : {name}")),
        (0, Some(value)) => Change::Set(value),
        (2, Some(value)) => Change::Append(value),
        (3, Some(value)) => Change::Subtract(value),
        (other, _) => return invalid(format!("Unknown operation {other} for config {name}")),
    };
    Ok((name, change))
}
