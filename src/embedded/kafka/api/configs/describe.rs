//! DescribeConfigs: settings with their values, and where those come from.

use std::sync::Arc;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::Resource;
use super::broker::of_node;
use crate::embedded::kafka::api::{Answer, Api, Call};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::topics::Refused;
use crate::embedded::kafka::topics::settings::Described;

/// The API.
pub struct Describe;

impl Api for Describe {
    type Request = DescribeConfigsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 1, max: 4 };

    async fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: DescribeConfigsRequest,
    ) -> Answer<DescribeConfigsResponse> {
        let results = request.resources.into_iter().map(|resource| {
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone())
                .with_error_message(None);
            match describe(broker, &resource) {
                Ok(mut settings) => {
                    for setting in &mut settings {
                        if !request.include_synonyms {
                            setting.synonyms.clear();
                        }
                        if !request.include_documentation {
                            setting.documentation = None;
                        }
                    }
                    result.with_configs(settings)
                }
                Err(refused) => {
                    let (code, message) = call.outcome_of(Err(refused));
                    result.with_error_code(code).with_error_message(message)
                }
            }
        });
        DescribeConfigsResponse::default().with_results(results.collect()).into()
    }
}

fn describe(broker: &Broker, asked: &DescribeConfigsResource) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let mut settings: Vec<_> = match Resource::new(asked.resource_type, &asked.resource_name)? {
        Resource::Topic(name) => {
            let topic = broker.topics.get(name).ok_or_else(|| Refused::unknown_topic(name))?;
            broker.topics.defaults().describe(&topic.settings).into_iter().map(of_topic).collect()
        }
        Resource::Node => of_node(broker),
        Resource::AllNodes => Vec::new(),
    };
    if let Some(names) = &asked.configuration_keys {
        settings.retain(|setting| names.contains(&setting.name));
    }
    Ok(settings)
}

fn of_topic(setting: Described) -> DescribeConfigsResourceResult {
    let synonyms = setting.synonyms.into_iter().map(|synonym| {
        DescribeConfigsSynonym::default()
            .with_name(StrBytes::from_static_str(synonym.name))
            .with_value(Some(StrBytes::from_string(synonym.value)))
            .with_source(synonym.source as i8)
    });
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(setting.definition.name))
        .with_value(Some(StrBytes::from_string(setting.value)))
        .with_read_only(setting.definition.is_fixed())
        .with_config_source(setting.source as i8)
        .with_synonyms(synonyms.collect())
        .with_config_type(setting.definition.kind as i8)
        .with_documentation(Some(StrBytes::from_static_str(setting.definition.documentation)))
}
