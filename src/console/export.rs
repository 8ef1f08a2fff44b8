//! The cluster's metrics for Prometheus, under the names and labels of danielqsj/kafka_exporter, so that dashboards and
//! alerts made for that work on them; and for how long groups are behind, and how old all this is, which it does not tell.
//!
//! They are what the watch has seen: a scrape asks Kafka nothing.

use std::fmt::Write;

use crate::clock::now_ms;
use crate::config::ExportSettings;
use crate::kafka::admin::groups::Group;
use crate::kafka::admin::positions::Position;
use crate::kafka::admin::topics::{Partition, Topic};
use crate::kafka::watch::{Snapshot, Watch};

/// Every family of them.
pub const FAMILIES: &[&str] = &[
    "kboard_export_age_seconds",
    "kafka_brokers",
    "kafka_broker_info",
    "kafka_topic_partitions",
    "kafka_topic_partition_current_offset",
    "kafka_topic_partition_oldest_offset",
    "kafka_topic_partition_leader",
    "kafka_topic_partition_replicas",
    "kafka_topic_partition_in_sync_replica",
    "kafka_topic_partition_leader_is_preferred",
    "kafka_topic_partition_under_replicated_partition",
    "kafka_consumergroup_members",
    "kafka_consumergroup_current_offset",
    "kafka_consumergroup_lag",
    "kafka_consumergroup_lag_seconds",
    "kafka_consumergroup_current_offset_sum",
    "kafka_consumergroup_lag_sum",
];

/// The metrics in Prometheus' text format. While the cluster can't be seen, only how long ago it was; nothing before it
/// was seen once.
pub fn text(watch: &Watch, settings: &ExportSettings) -> String {
    let snapshot = watch.snapshot();
    let mut text = Text(String::new());
    if snapshot.taken_at == 0 {
        return text.0;
    }
    let now = now_ms();
    text.family(
        "kboard_export_age_seconds",
        "Seconds since the cluster was last seen, which the other families tell of",
    );
    text.sample("kboard_export_age_seconds", &[], (now - snapshot.taken_at).max(0) as f64 / 1000.0);
    if snapshot.away.is_some() {
        return text.0;
    }
    brokers(&mut text, &snapshot);
    let topics: Vec<&Topic> = snapshot.topics.values().filter(|topic| settings.has_topic(&topic.name)).collect();
    partitions(&mut text, &topics);
    let groups: Vec<&Group> = snapshot.groups.values().filter(|group| settings.has_group(&group.group)).collect();
    consumer_groups(&mut text, &groups, settings, now);
    text.0
}

/// Prometheus' text format.
struct Text(String);

impl Text {
    /// Begins a family; its samples follow.
    fn family(&mut self, name: &str, help: &str) {
        // Writing to a string can't fail; so below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0 += name;
        for (place, (label, value)) in labels.iter().enumerate() {
            self.0 += if place == 0 { "{" } else { "," };
            let _ = write!(self.0, "{label}=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.0 += "\\\\",
                    '"' => self.0 += "\\\"",
                    '\n' => self.0 += "\\n",
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        self.0 += if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, " {value}");
    }
}

fn brokers(text: &mut Text, snapshot: &Snapshot) {
    text.family("kafka_brokers", "Number of Brokers in the Kafka Cluster.");
    text.sample("kafka_brokers", &[], snapshot.brokers.len());
    text.family("kafka_broker_info", "Information about the Kafka Broker.");
    for broker in &snapshot.brokers {
        text.sample("kafka_broker_info", &[("id", &broker.id.to_string()), ("address", &broker.address)], 1);
    }
}

type Of<T> = fn(&T) -> Option<i64>;

fn partitions(text: &mut Text, topics: &[&Topic]) {
    text.family("kafka_topic_partitions", "Number of partitions for this Topic");
    for topic in topics {
        text.sample("kafka_topic_partitions", &[("topic", &topic.name)], topic.partitions.len());
    }
    let families: [(&str, &str, Of<Partition>); 7] = [
        ("current_offset", "Current Offset of a Broker at Topic/Partition", |partition| partition.latest),
        ("oldest_offset", "Oldest Offset of a Broker at Topic/Partition", |partition| partition.earliest),
        ("leader", "Leader Broker ID of this Topic/Partition", |partition| partition.leader.map(i64::from)),
        ("replicas", "Number of Replicas for this Topic/Partition", |partition| count(&partition.replicas)),
        ("in_sync_replica", "Number of In-Sync Replicas for this Topic/Partition", |partition| count(&partition.isr)),
        ("leader_is_preferred", "1 if Topic/Partition is using the Preferred Broker", |partition| {
            Some((partition.leader.is_some() && partition.leader == partition.replicas.first().copied()).into())
        }),
        ("under_replicated_partition", "1 if Topic/Partition is under Replicated", |partition| {
            Some(partition.is_under_replicated().into())
        }),
    ];
    for (name, help, value) in families {
        let name = format!("kafka_topic_partition_{name}");
        text.family(&name, help);
        for topic in topics {
            for partition in &topic.partitions {
                let Some(value) = value(partition) else { continue };
                text.sample(&name, &[("topic", &topic.name), ("partition", &partition.partition.to_string())], value);
            }
        }
    }
}

fn count(ids: &[i32]) -> Option<i64> {
    i64::try_from(ids.len()).ok()
}

/// What stands for an offset, or a lag, where nothing was committed.
const NONE: i64 = -1;

fn consumer_groups(text: &mut Text, groups: &[&Group], settings: &ExportSettings, now: i64) {
    text.family("kafka_consumergroup_members", "Amount of members in a consumer group");
    for group in groups.iter().filter(|group| group.problem.is_none()) {
        text.sample("kafka_consumergroup_members", &[("consumergroup", &group.group)], group.members.len());
    }
    // A topic counts as read once something of it was committed.
    let read: Vec<(&str, &str, &[Position])> = groups
        .iter()
        .flat_map(|group| {
            let topics = group.positions.chunk_by(|a, b| a.topic == b.topic);
            topics.map(|positions| (group.group.as_str(), positions[0].topic.as_str(), positions))
        })
        .filter(|(_, topic, positions)| {
            settings.has_topic(topic) && positions.iter().any(|position| position.committed.is_some())
        })
        .collect();
    let families: [(&str, &str, Of<Position>); 2] = [
        ("current_offset", "Current Offset of a ConsumerGroup at Topic/Partition", |position| {
            Some(position.committed.unwrap_or(NONE))
        }),
        ("lag", "Current Approximate Lag of a ConsumerGroup at Topic/Partition", |position| match position.committed {
            Some(committed) => Some(position.end? - committed),
            None => position.end.map(|_| NONE),
        }),
    ];
    for (name, help, value) in families {
        let name = format!("kafka_consumergroup_{name}");
        text.family(&name, help);
        for (group, topic, positions) in &read {
            for position in *positions {
                let Some(value) = value(position) else { continue };
                let partition = position.partition.to_string();
                let labels = [("consumergroup", *group), ("topic", *topic), ("partition", partition.as_str())];
                text.sample(&name, &labels, value);
            }
        }
    }
    text.family(
        "kafka_consumergroup_lag_seconds",
        "Seconds for which the next record of a ConsumerGroup at Topic/Partition has waited; 0 without lag",
    );
    for (group, topic, positions) in &read {
        for position in *positions {
            let Some(seconds) = position.lag_seconds_at(now) else { continue };
            let partition = position.partition.to_string();
            let labels = [("consumergroup", *group), ("topic", *topic), ("partition", partition.as_str())];
            text.sample("kafka_consumergroup_lag_seconds", &labels, seconds);
        }
    }
    let sums: [(&str, &str, Of<Position>); 2] = [
        ("current_offset_sum", "Current Offset of a ConsumerGroup at Topic for all partitions", |p| p.committed),
        ("lag_sum", "Current Approximate Lag of a ConsumerGroup at Topic for all partitions", |p| p.lag),
    ];
    for (name, help, value) in sums {
        let name = format!("kafka_consumergroup_{name}");
        text.family(&name, help);
        for (group, topic, positions) in &read {
            let sum: i64 = positions.iter().filter_map(value).sum();
            text.sample(&name, &[("consumergroup", *group), ("topic", *topic)], sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::watch::testing::{at, group, topic};

    fn samples(text: &str, name: &str) -> Vec<String> {
        let of_it = text.lines().filter_map(|line| line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' '])));
        of_it.map(|rest| rest.trim().to_owned()).collect()
    }

    fn cluster() -> Snapshot {
        let mut orders = topic("orders", &[5..100, 0..7]);
        orders.partitions[1].replicas = vec![2, 1];
        let mut dead = topic("dead", std::slice::from_ref(&(0..1)));
        dead.partitions[0] =
            Partition { leader: None, earliest: None, latest: None, isr: vec![], ..dead.partitions[0].clone() };
        let read = [("orders", 0, Some(90), 100), ("orders", 1, None, 7)];
        at(1, [orders, dead], [group("billing", true, &read), group("odd \"\\\n", false, &[("orders", 0, None, 9)])])
    }

    #[test]
    fn partitions_are_told_as_kafka_exporter_does() {
        let text = text(&Watch::showing(cluster()), &ExportSettings::default());
        let of = |name: &str| samples(&text, &format!("kafka_topic_partition_{name}"));
        assert_eq!(
            of("current_offset"),
            [r#"{topic="orders",partition="0"} 100"#, r#"{topic="orders",partition="1"} 7"#]
        );
        assert_eq!(of("oldest_offset")[0], r#"{topic="orders",partition="0"} 5"#);
        assert_eq!(of("leader").len(), 2, "no leader, no sample");
        assert_eq!(
            of("under_replicated_partition"),
            [
                r#"{topic="dead",partition="0"} 1"#,
                r#"{topic="orders",partition="0"} 0"#,
                r#"{topic="orders",partition="1"} 1"#
            ]
        );
        assert_eq!(of("leader_is_preferred")[2], r#"{topic="orders",partition="1"} 0"#);
        assert_eq!(samples(&text, "kafka_topic_partitions").len(), 2);
        assert_eq!(samples(&text, "kafka_brokers"), ["0"]);
    }

    #[test]
    fn groups_are_told_as_kafka_exporter_does() {
        let text = text(&Watch::showing(cluster()), &ExportSettings::default());
        let of = |name: &str| samples(&text, &format!("kafka_consumergroup_{name}"));
        let billing = r#"{consumergroup="billing",topic="orders""#;
        assert_eq!(
            of("current_offset"),
            [format!(r#"{billing},partition="0"}} 90"#), format!(r#"{billing},partition="1"}} -1"#)]
        );
        assert_eq!(of("lag"), [format!(r#"{billing},partition="0"}} 10"#), format!(r#"{billing},partition="1"}} -1"#)]);
        assert_eq!(
            (of("lag_sum"), of("current_offset_sum")),
            (vec![format!("{billing}}} 10")], vec![format!("{billing}}} 90")])
        );
        assert_eq!(of("members"), [r#"{consumergroup="billing"} 1"#, r#"{consumergroup="odd \"\\\n"} 0"#]);
    }

    #[test]
    fn filters_leave_out_topics_and_groups() {
        let only = |pattern: &str| Some(pattern.parse().unwrap());
        let settings = ExportSettings { on: None, topics: only("^dead$"), groups: only("bill") };
        let text = text(&Watch::showing(cluster()), &settings);
        assert!(!text.contains("orders") && !text.contains("odd") && text.contains("dead"), "{text}");
        assert_eq!(samples(&text, "kafka_consumergroup_members").len(), 1);
    }

    #[test]
    fn every_family_is_declared_once_and_before_its_samples() {
        let text = text(&Watch::showing(cluster()), &ExportSettings::default());
        let mut declared: Vec<&str> = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.strip_suffix(" gauge").unwrap();
                assert!(!declared.contains(&name), "{name}");
                declared.push(name);
            } else if !line.starts_with('#') {
                assert_eq!(line.split(['{', ' ']).next(), declared.last().copied(), "{line}");
            }
        }
        assert_eq!(declared, FAMILIES);
    }

    #[test]
    fn what_is_not_seen_now_is_not_told() {
        let away = Snapshot { away: Some("gone".to_owned()), ..cluster() };
        let told = text(&Watch::showing(away), &ExportSettings::default());
        assert_eq!(samples(&told, "kboard_export_age_seconds").len(), 1, "but for how long it has not been seen");
        assert_eq!(told.lines().filter(|line| !line.starts_with('#')).count(), 1, "{told}");
        assert_eq!(text(&Watch::showing(Snapshot::default()), &ExportSettings::default()), "");
    }
}
