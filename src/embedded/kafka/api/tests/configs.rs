//! Settings of topics and of the node.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, alter_configs_request as alter,
    incremental_alter_configs_request as incremental,
};

use super::admin::{create, topic};
use super::node::{Node, text};
use crate::embedded::kafka::testing::batch;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

async fn describe(node: &Node, version: i16, kind: i8, name: &str) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    let asked = DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
    let asked = if version >= 3 { asked.with_include_documentation(true) } else { asked };
    node.call(version, asked).await.results.remove(0)
}

fn setting<'a>(result: &'a DescribeConfigsResult, name: &str) -> &'a DescribeConfigsResourceResult {
    result.configs.iter().find(|config| &*config.name == name).expect(name)
}

async fn change(node: &Node, changes: &[(&str, i8, Option<&str>)], validate_only: bool) -> (i16, Option<String>) {
    let configs = changes.iter().map(|(name, operation, value)| {
        incremental::AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    });
    let resource = incremental::AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("a"))
        .with_configs(configs.collect());
    let asked =
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(validate_only);
    let mut response = node.call(if validate_only { 1 } else { 0 }, asked).await;
    let result = response.responses.remove(0);
    (result.error_code, result.error_message.map(|message| message.to_string()))
}

#[tokio::test]
async fn settings_come_with_source_default_type_and_documentation() {
    let node = Node::start().await;
    create(&node, topic("a", 1)).await;
    assert_eq!(change(&node, &[("retention.ms", 0, Some("1000"))], false).await, (0, None));
    for version in 1..=4 {
        let result = describe(&node, version, TOPIC, "a").await;
        let retention = setting(&result, "retention.ms");
        assert_eq!((retention.value.as_deref(), retention.config_source), (Some("1000"), 1));
        let synonyms: Vec<_> = (retention.synonyms.iter())
            .map(|synonym| (&*synonym.name, synonym.value.as_deref().unwrap_or_default(), synonym.source))
            .collect();
        assert_eq!(synonyms, [("retention.ms", "1000", 1), ("log.retention.ms", "604800000", 5)]);
        let policy = setting(&result, "cleanup.policy");
        assert_eq!((policy.value.as_deref(), policy.config_source, policy.read_only), (Some("delete"), 5, true));
        if version >= 3 {
            assert_eq!((retention.config_type, policy.config_type), (5, 7));
            assert!(result.configs.iter().all(|config| config.documentation.as_ref().is_some_and(|it| !it.is_empty())));
        }
    }
    let plain = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("a"))
        .with_configuration_keys(Some(vec![text("flush.ms"), text("nonsense")]));
    let response = node.call(4, DescribeConfigsRequest::default().with_resources(vec![plain])).await;
    let configs = &response.results[0].configs;
    assert_eq!((configs.len(), &configs[0].synonyms.len(), &configs[0].documentation), (1, &0, &None));
    node.stop().await;
}

#[tokio::test]
async fn the_node_says_its_own_settings() {
    let adapt =
        |options: &mut crate::embedded::kafka::topics::Options, _: &mut _| options.defaults.retention_ms = 7_200_000;
    let node = Node::start_with(tempfile::tempdir().expect("a folder"), adapt).await;
    let result = describe(&node, 4, BROKER, "1").await;
    for (name, value, source) in [
        ("log.retention.ms", "7200000", 4),
        ("log.retention.hours", "2", 5),
        ("log.segment.bytes", "1073741824", 5),
        ("num.partitions", "1", 4),
        ("default.replication.factor", "1", 4),
        ("min.insync.replicas", "1", 5),
        ("auto.create.topics.enable", "false", 4),
        ("message.max.bytes", "1048588", 5),
    ] {
        let setting = setting(&result, name);
        assert_eq!((setting.value.as_deref(), setting.config_source, setting.read_only), (Some(value), source, true));
    }
    assert!(describe(&node, 4, BROKER, "").await.configs.is_empty());
    for (kind, name, error) in [
        (BROKER, "2", ResponseError::InvalidRequest),
        (8, "1", ResponseError::InvalidRequest),
        (99, "1", ResponseError::InvalidRequest),
        (TOPIC, "nowhere", ResponseError::UnknownTopicOrPartition),
    ] {
        let result = describe(&node, 1, kind, name).await;
        assert_eq!(result.error_code, error.code());
        assert!(result.error_message.is_some_and(|message| !message.is_empty()));
    }
    node.stop().await;
}

#[tokio::test]
async fn single_settings_are_changed_together_or_not_at_all() {
    let node = Node::start().await;
    create(&node, topic("a", 1)).await;
    let settings = || node.broker.topics.get("a").expect("there").settings.clone();
    assert_eq!(change(&node, &[("retention.ms", 0, Some("1")), ("flush.ms", 0, Some("2"))], true).await.0, 0);
    assert!(settings().is_empty(), "it was validated only");
    assert_eq!(change(&node, &[("retention.ms", 0, Some("1")), ("flush.ms", 0, Some("2"))], false).await.0, 0);
    assert_eq!(settings().len(), 2);
    for (changes, code, words) in [
        (&[("flush.ms", 1, None), ("segment.ms", 0, Some("x"))][..], 40, "Not a number of type LONG"),
        (&[("nonsense", 0, Some("x"))], 40, "Unknown topic config name: nonsense"),
        (&[("flush.ms", 0, None)], 42, "Null value not supported for : flush.ms"),
        (&[("flush.ms", 1, None), ("flush.ms", 1, None)], 42, "duplicate config keys"),
        (&[("flush.ms", 2, Some("1"))], 40, "Can't APPEND to key flush.ms because its type is not LIST."),
        (&[("flush.ms", 9, Some("1"))], 42, "Unknown operation"),
        (&[("cleanup.policy", 2, Some("compact"))], 40, "doesn't compact"),
    ] {
        let (refused, message) = change(&node, changes, false).await;
        assert_eq!(refused, code);
        assert!(message.expect("a message").contains(words));
        assert_eq!(settings().len(), 2);
    }
    assert_eq!(change(&node, &[("flush.ms", 1, None)], false).await.0, 0);
    assert_eq!(settings().into_keys().collect::<Vec<_>>(), ["retention.ms"]);
    node.stop().await;
}

#[tokio::test]
async fn all_settings_are_replaced_and_those_of_the_node_are_not() {
    let node = Node::start().await;
    create(&node, topic("a", 1)).await;
    change(&node, &[("retention.ms", 0, Some("1"))], false).await;
    let replace = |kind, name: &str, config: (&str, Option<&str>)| {
        let config = alter::AlterableConfig::default().with_name(text(config.0)).with_value(config.1.map(text));
        let resource = alter::AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configs(vec![config]);
        AlterConfigsRequest::default().with_resources(vec![resource])
    };
    for version in [0, 2] {
        let response = node.call(version, replace(TOPIC, "a", ("flush.ms", Some("2")))).await;
        assert_eq!((response.responses[0].error_code, &response.responses[0].error_message), (0, &None));
        let topic = node.broker.topics.get("a").expect("there");
        assert_eq!(topic.settings.iter().collect::<Vec<_>>(), [(&"flush.ms".to_owned(), &"2".to_owned())]);
    }
    for (asked, code) in [
        (replace(TOPIC, "a", ("flush.ms", None)), 42),
        (replace(TOPIC, "b", ("flush.ms", Some("1"))), 3),
        (replace(BROKER, "1", ("log.retention.ms", Some("1"))), 42),
        (replace(BROKER, "", ("log.retention.ms", Some("1"))), 42),
    ] {
        let response = node.call(2, asked).await;
        assert_eq!(response.responses[0].error_code, code);
        assert!(response.responses[0].error_message.is_some());
    }
    node.stop().await;
}

#[tokio::test]
async fn changed_settings_are_in_force_at_once_and_after_a_restart() {
    let node = Node::start().await;
    create(&node, topic("a", 1)).await;
    let append = |node: &Node| {
        let partition = node.broker.topics.partition("a", 0).expect("there");
        partition.append(batch(10), 0).map(|appended| appended.base_offset)
    };
    assert_eq!(append(&node), Ok(0));
    change(&node, &[("max.message.bytes", 0, Some("9"))], false).await;
    assert_eq!(append(&node), Err(ResponseError::MessageTooLarge));
    let node = Node::start_with(node.stop().await, |_, _| {}).await;
    assert_eq!(append(&node), Err(ResponseError::MessageTooLarge));
    change(&node, &[("max.message.bytes", 1, None)], false).await;
    assert_eq!(append(&node), Ok(10));
    node.stop().await;
}
