//! The settings of the node that clients and tools look at. They can only be read.

use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsSynonym};
use kafka_protocol::protocol::StrBytes;

use crate::embedded::kafka::broker::{Broker, NODE_ID};
use crate::embedded::kafka::topics::settings::{Kind, Settings, Source};

const HOUR_MS: i64 = 3_600_000;

/// All of them: the defaults that topics have, and what holds for the node as a whole.
pub fn of_node(broker: &Broker) -> Vec<DescribeConfigsResourceResult> {
    let defaults = broker.topics.defaults();
    let mut settings = Vec::new();
    for setting in defaults.describe(&Settings::new()) {
        if let Some(name) = setting.definition.of_broker {
            settings.push(entry(
                name,
                setting.value,
                setting.definition.kind,
                setting.source,
                setting.definition.documentation,
            ));
        }
    }
    // Tools look for these where they don't know the ones in milliseconds; they can't say every number of those.
    for (name, ms) in [("log.retention.hours", defaults.retention_ms), ("log.roll.hours", defaults.segment_ms)] {
        let hours = if ms < 0 { Some(-1) } else { (ms % HOUR_MS == 0).then_some(ms / HOUR_MS) };
        let documentation = "The same as the setting in milliseconds, in hours.";
        settings.extend(hours.map(|hours| entry(name, hours.to_string(), Kind::Int, Source::Default, documentation)));
    }
    let advertised = format!("PLAINTEXT://{}:{}", broker.advertised.host, broker.advertised.port);
    let folder = broker.topics.folder().display().to_string();
    let limits = &broker.limits;
    let own = [
        ("advertised.listeners", advertised, Kind::String, "Where clients are told to connect."),
        (
            "auto.create.topics.enable",
            broker.create_topics.to_string(),
            Kind::Boolean,
            "Whether asking for a topic makes it.",
        ),
        ("broker.id", NODE_ID.to_string(), Kind::Int, "The node's number."),
        (
            "connections.max.idle.ms",
            limits.idle.as_millis().to_string(),
            Kind::Long,
            "How long a connection may be idle.",
        ),
        ("default.replication.factor", "1".to_owned(), Kind::Int, "Replicas of a partition: this is a single node."),
        ("delete.topic.enable", "true".to_owned(), Kind::Boolean, "Whether topics can be deleted."),
        ("log.dirs", folder, Kind::String, "The data folder."),
        ("max.connections", limits.connections.to_string(), Kind::Int, "Connections at once."),
        ("node.id", NODE_ID.to_string(), Kind::Int, "The node's number."),
        (
            "num.partitions",
            defaults.partitions.to_string(),
            Kind::Int,
            "Partitions of a topic made without saying how many.",
        ),
        ("socket.request.max.bytes", limits.request_bytes.to_string(), Kind::Int, "Bytes of a request at most."),
    ];
    settings
        .extend(own.map(|(name, value, kind, documentation)| entry(name, value, kind, Source::Broker, documentation)));
    settings.sort_by(|one, other| one.name.cmp(&other.name));
    settings
}

fn entry(
    name: &'static str,
    value: String,
    kind: Kind,
    source: Source,
    documentation: &'static str,
) -> DescribeConfigsResourceResult {
    let (name, value) = (StrBytes::from_static_str(name), Some(StrBytes::from_string(value)));
    let synonym =
        DescribeConfigsSynonym::default().with_name(name.clone()).with_value(value.clone()).with_source(source as i8);
    DescribeConfigsResourceResult::default()
        .with_name(name)
        .with_value(value)
        .with_read_only(true)
        .with_config_source(source as i8)
        .with_synonyms(vec![synonym])
        .with_config_type(kind as i8)
        .with_documentation(Some(StrBytes::from_static_str(documentation)))
}
