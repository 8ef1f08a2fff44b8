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
use crate::telemetry::metrics::{Kind, Metric, metrics};

metrics! {
    /// Every family of them.
    FAMILIES;
    AGE = Kind::Gauge, "kboard_export_age_seconds", [], "Seconds since the cluster was last seen, which the other families tell of; since the start, if it never was";
    BROKERS = Kind::Gauge, "kafka_brokers", [], "Number of Brokers in the Kafka Cluster.";
    BROKER_INFO = Kind::Gauge, "kafka_broker_info", ["id", "address"], "Information about the Kafka Broker.";
    PARTITIONS = Kind::Gauge, "kafka_topic_partitions", ["topic"], "Number of partitions for this Topic";
    CURRENT_OFFSET = Kind::Gauge, "kafka_topic_partition_current_offset", ["topic", "partition"], "Current Offset of a Broker at Topic/Partition";
    OLDEST_OFFSET = Kind::Gauge, "kafka_topic_partition_oldest_offset", ["topic", "partition"], "Oldest Offset of a Broker at Topic/Partition";
    LEADER = Kind::Gauge, "kafka_topic_partition_leader", ["topic", "partition"], "Leader Broker ID of this Topic/Partition";
    REPLICAS = Kind::Gauge, "kafka_topic_partition_replicas", ["topic", "partition"], "Number of Replicas for this Topic/Partition";
    IN_SYNC = Kind::Gauge, "kafka_topic_partition_in_sync_replica", ["topic", "partition"], "Number of In-Sync Replicas for this Topic/Partition";
    PREFERRED = Kind::Gauge, "kafka_topic_partition_leader_is_preferred", ["topic", "partition"], "1 if Topic/Partition is using the Preferred Broker";
    UNDER_REPLICATED = Kind::Gauge, "kafka_topic_partition_under_replicated_partition", ["topic", "partition"], "1 if Topic/Partition is under Replicated";
    MEMBERS = Kind::Gauge, "kafka_consumergroup_members", ["consumergroup"], "Amount of members in a consumer group";
    COMMITTED = Kind::Gauge, "kafka_consumergroup_current_offset", ["consumergroup", "topic", "partition"], "Current Offset of a ConsumerGroup at Topic/Partition; -1 where it has committed none";
    LAG = Kind::Gauge, "kafka_consumergroup_lag", ["consumergroup", "topic", "partition"], "Current Approximate Lag of a ConsumerGroup at Topic/Partition; -1 where it has committed no offset";
    LAG_SECONDS = Kind::Gauge, "kafka_consumergroup_lag_seconds", ["consumergroup", "topic", "partition"], "Seconds for which the next record of a ConsumerGroup at Topic/Partition has waited; 0 without lag";
    COMMITTED_SUM = Kind::Gauge, "kafka_consumergroup_current_offset_sum", ["consumergroup", "topic"], "Current Offset of a ConsumerGroup at Topic for all partitions";
    LAG_SUM = Kind::Gauge, "kafka_consumergroup_lag_sum", ["consumergroup", "topic"], "Current Approximate Lag of a ConsumerGroup at Topic for all partitions";
}

/// The metrics in Prometheus' text format. While the cluster can't be seen, only how long ago it was.
pub fn text(watch: &Watch, settings: &ExportSettings) -> String {
    let snapshot = watch.snapshot();
    let mut text = Text(String::new());
    let now = now_ms();
    let seen_at = if snapshot.taken_at > 0 { snapshot.taken_at } else { watch.started_at() };
    text.family(AGE);
    text.sample(AGE, &[], (now - seen_at).max(0) as f64 / 1000.0);
    if snapshot.away.is_some() || snapshot.taken_at == 0 {
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
    fn family(&mut self, Metric { name, help, .. }: Metric) {
        // Writing to a string can't fail; so below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    /// One of its samples, with the values of its labels in their order.
    fn sample(&mut self, metric: Metric, labels: &[&str], value: impl std::fmt::Display) {
        debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
        self.0 += metric.name;
        for (place, (label, value)) in metric.labels.iter().zip(labels).enumerate() {
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
    text.family(BROKERS);
    text.sample(BROKERS, &[], snapshot.brokers.len());
    text.family(BROKER_INFO);
    for broker in &snapshot.brokers {
        text.sample(BROKER_INFO, &[&broker.id.to_string(), &broker.address], 1);
    }
}

type Of<T> = fn(&T) -> Option<i64>;

fn partitions(text: &mut Text, topics: &[&Topic]) {
    text.family(PARTITIONS);
    for topic in topics {
        text.sample(PARTITIONS, &[&topic.name], topic.partitions.len());
    }
    let families: [(Metric, Of<Partition>); 7] = [
        (CURRENT_OFFSET, |partition| partition.latest),
        (OLDEST_OFFSET, |partition| partition.earliest),
        (LEADER, |partition| partition.leader.map(i64::from)),
        (REPLICAS, |partition| count(&partition.replicas)),
        (IN_SYNC, |partition| count(&partition.isr)),
        (PREFERRED, |partition| {
            Some((partition.leader.is_some() && partition.leader == partition.replicas.first().copied()).into())
        }),
        (UNDER_REPLICATED, |partition| Some(partition.is_under_replicated().into())),
    ];
    for (metric, value) in families {
        text.family(metric);
        for topic in topics {
            for partition in &topic.partitions {
                let Some(value) = value(partition) else { continue };
                text.sample(metric, &[&topic.name, &partition.partition.to_string()], value);
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
    text.family(MEMBERS);
    for group in groups.iter().filter(|group| group.problem.is_none()) {
        text.sample(MEMBERS, &[&group.group], group.members.len());
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
    let families: [(Metric, Of<Position>); 2] = [
        (COMMITTED, |position| Some(position.committed.unwrap_or(NONE))),
        (LAG, |position| match position.committed {
            Some(committed) => Some(position.end? - committed),
            None => position.end.map(|_| NONE),
        }),
    ];
    for (metric, value) in families {
        text.family(metric);
        for (group, topic, positions) in &read {
            for position in *positions {
                let Some(value) = value(position) else { continue };
                text.sample(metric, &[group, topic, &position.partition.to_string()], value);
            }
        }
    }
    text.family(LAG_SECONDS);
    for (group, topic, positions) in &read {
        for position in *positions {
            let Some(seconds) = position.lag_seconds_at(now) else { continue };
            text.sample(LAG_SECONDS, &[group, topic, &position.partition.to_string()], seconds);
        }
    }
    let sums: [(Metric, Of<Position>); 2] = [(COMMITTED_SUM, |p| p.committed), (LAG_SUM, |p| p.lag)];
    for (metric, value) in sums {
        text.family(metric);
        for (group, topic, positions) in &read {
            // Where the logs' ends can't be seen, a lag of nothing would say that all is read.
            let Some(sum) = positions.iter().filter_map(value).reduce(|sum, value| sum + value) else { continue };
            text.sample(metric, &[group, topic], sum);
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
        let families: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(declared, families);
    }

    #[test]
    fn what_is_not_seen_now_is_not_told() {
        let away = Snapshot { away: Some("gone".to_owned()), ..cluster() };
        let told = text(&Watch::showing(away), &ExportSettings::default());
        assert_eq!(samples(&told, "kboard_export_age_seconds").len(), 1, "but for how long it has not been seen");
        assert_eq!(told.lines().filter(|line| !line.starts_with('#')).count(), 1, "{told}");
        let never = text(&Watch::showing(Snapshot::default()), &ExportSettings::default());
        assert_eq!(samples(&never, "kboard_export_age_seconds").len(), 1, "{never}");
        assert_eq!(never.lines().filter(|line| !line.starts_with('#')).count(), 1, "{never}");
    }

    #[test]
    fn a_lag_that_is_not_known_is_not_told_as_none() {
        let mut seen = cluster();
        seen.topics.clear();
        for position in seen.groups.values_mut().flat_map(|group| &mut group.positions) {
            (position.end, position.lag) = (None, None);
        }
        assert_eq!(seen.lag(), None);
        let hidden = Group { problem: Some("not allowed".to_owned()), ..group("billing", false, &[]) };
        assert_eq!(at(1, [], [hidden]).lag(), None, "nobody may see what it has read");
        assert_eq!(at(1, [], [group("new", true, &[])]).lag(), Some(0), "it has read nothing yet");
        let text = text(&Watch::showing(seen), &ExportSettings::default());
        for name in ["kafka_consumergroup_lag", "kafka_consumergroup_lag_sum"] {
            assert_eq!(samples(&text, name), Vec::<String>::new());
        }
        assert_eq!(samples(&text, "kafka_consumergroup_current_offset_sum").len(), 1);
    }
}
