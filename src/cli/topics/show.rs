//! Topics, partitions and plans in the form that people and scripts read.

use indicatif::HumanBytes;
use serde::Serialize;

use crate::cli::output;
use crate::kafka::admin::plan::{Action, Change, Plan, Step};
use crate::kafka::admin::settings::Settings;
use crate::kafka::admin::topics::{Partition, Topic};

/// What is shown where something is not known.
const UNKNOWN: &str = "-";

/// One line of `topics list`.
#[derive(Serialize)]
pub struct Summary {
    pub name: String,
    pub partitions: usize,
    pub replication_factor: usize,
    pub messages: Option<i64>,
    pub size: Option<u64>,
    pub internal: bool,
    pub under_replicated: usize,
    pub leaderless: usize,
}

impl From<&Topic> for Summary {
    fn from(topic: &Topic) -> Self {
        Self {
            name: topic.name.clone(),
            partitions: topic.partitions.len(),
            replication_factor: topic.replication_factor(),
            messages: topic.messages(),
            size: topic.size(),
            internal: topic.internal,
            under_replicated: topic.under_replicated(),
            leaderless: topic.leaderless(),
        }
    }
}

/// All of `topics describe` about one topic.
#[derive(Serialize)]
pub struct Details {
    #[serde(flatten)]
    pub summary: Summary,
    #[serde(rename = "partition_details")]
    pub partitions: Vec<Partition>,
    /// The settings that the topic has of its own.
    pub config: Settings,
}

/// The table of `topics list`.
pub fn list(topics: &[Summary]) -> String {
    let row = |topic: &Summary| {
        [
            topic.name.clone(),
            topic.partitions.to_string(),
            topic.replication_factor.to_string(),
            known(topic.messages),
            bytes(topic.size),
            health(topic),
        ]
    };
    let header = ["TOPIC", "PARTITIONS", "REPLICAS", "MESSAGES", "SIZE", "STATE"];
    output::table(header, &[1, 2, 3, 4], topics.iter().map(row))
}

/// What `topics describe` shows of one topic.
pub fn details(topic: &Details) -> String {
    let summary = &topic.summary;
    let title = format!(
        "{}: {}, {} each, {}, {}; {}",
        summary.name,
        output::counted(summary.partitions, "partition"),
        output::counted(summary.replication_factor, "replica"),
        summary.messages.map_or_else(|| "messages unknown".to_owned(), |messages| output::counted(messages, "message")),
        bytes(summary.size),
        health(summary),
    );
    let row = |partition: &Partition| {
        [
            partition.partition.to_string(),
            known(partition.leader),
            numbers(&partition.replicas),
            numbers(&partition.isr),
            known(partition.earliest),
            known(partition.latest),
            bytes(partition.size),
            trouble(partition).to_owned(),
        ]
    };
    let header = ["PARTITION", "LEADER", "REPLICAS", "ISR", "EARLIEST", "LATEST", "SIZE", "STATE"];
    let partitions = output::table(header, &[0, 1, 4, 5, 6], topic.partitions.iter().map(row));
    let config = match topic.config.is_empty() {
        true => "Every setting is the brokers' default.".to_owned(),
        false => {
            let row = |(key, setting): (&String, &crate::kafka::admin::settings::Setting)| {
                [key.clone(), setting.value.clone(), known(setting.default.as_ref())]
            };
            output::table(["SETTING", "VALUE", "DEFAULT"], &[], topic.config.iter().map(row))
        }
    };
    format!("{title}\n\n{partitions}\n\n{config}")
}

/// A plan as lines: `+` is created, `~` changed, `=` left as it is, `!` impossible.
pub fn plan(plan: &Plan) -> String {
    plan.steps.iter().flat_map(step).collect::<Vec<_>>().join("\n")
}

fn step(step: &Step) -> Vec<String> {
    let topic = &step.topic;
    match &step.action {
        Action::Same => vec![format!("= {topic}")],
        Action::Refused { reasons } => reasons.iter().map(|reason| format!("! {topic}: {reason}")).collect(),
        Action::Create { partitions, replication_factor, config } => {
            let mut lines = vec![format!("+ {topic}")];
            lines.push(format!("    partitions: {}", chosen(*partitions, "the brokers' default")));
            lines.push(format!("    replication-factor: {}", chosen(*replication_factor, "by the cluster's size")));
            lines.extend(config.iter().map(|(key, value)| format!("    {key}: {value}")));
            lines
        }
        Action::Change { partitions, config } => {
            let mut lines = vec![format!("~ {topic}")];
            if let Some(Change { from, to }) = partitions {
                let warning = "records with a key go to other partitions than before";
                lines.push(format!("    partitions: {from} → {to} ({warning})"));
            }
            lines.extend(config.iter().map(|(key, Change { from, to })| {
                let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(default)".to_owned());
                format!("    {key}: {} → {}", value(from), value(to))
            }));
            lines
        }
    }
}

fn chosen<T: ToString>(value: Option<T>, otherwise: &str) -> String {
    value.map_or_else(|| otherwise.to_owned(), |value| value.to_string())
}

fn known<T: ToString>(value: Option<T>) -> String {
    chosen(value, UNKNOWN)
}

fn bytes(size: Option<u64>) -> String {
    known(size.map(HumanBytes))
}

fn numbers(brokers: &[i32]) -> String {
    brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn health(topic: &Summary) -> String {
    match (topic.leaderless, topic.under_replicated) {
        (0, 0) => "ok".to_owned(),
        (0, under) => format!("{under} under-replicated"),
        (without, _) => format!("{without} without leader"),
    }
}

fn trouble(partition: &Partition) -> &'static str {
    match (partition.leader, partition.is_under_replicated()) {
        (None, _) => "no leader",
        (Some(_), true) => "under-replicated",
        (Some(_), false) => "ok",
    }
}
