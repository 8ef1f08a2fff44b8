//! What is wrong with a cluster, and with whom.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::filter::Filter;
use crate::kafka::admin::brokers::Broker;
use crate::kafka::admin::groups::Group;
use crate::kafka::admin::topics::{Partition, Topic};
use crate::kafka::watch::Snapshot;

/// Notes of positions that are told elsewhere, or of groups that have only just begun.
const TOLD: [&str; 2] = ["no leader", "nothing committed"];

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Trouble {
    /// How bad it is.
    pub severity: Severity,
    /// With what.
    pub subject: Subject,
    /// Its name; empty for the cluster itself.
    pub name: String,
    /// What it is.
    pub reason: String,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something doesn't work, or can't be seen.
    Error,
    /// Something may stop working.
    Warning,
}

/// What something is wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The cluster.
    Cluster,
    /// A broker.
    Broker,
    /// A topic.
    Topic,
    /// A group.
    Group,
}

impl Trouble {
    /// Whether it is shown: what is wrong with the whole cluster or a broker always is.
    pub fn is_shown(&self, filter: &Filter) -> bool {
        matches!(self.subject, Subject::Cluster | Subject::Broker) || filter.matches(&self.name)
    }
}

impl Subject {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Broker => "broker",
            Self::Topic => "topic",
            Self::Group => "group",
        }
    }
}

/// All that is wrong, the worst first.
pub fn all(snapshot: &Snapshot) -> Vec<Trouble> {
    let unseen = snapshot.problems.iter().map(|problem| Trouble {
        severity: Severity::Error,
        subject: Subject::Cluster,
        name: String::new(),
        reason: problem.reason.clone(),
    });
    let mut found: Vec<Trouble> = unseen
        .chain(snapshot.brokers.iter().flat_map(of_broker))
        .chain(snapshot.topics.values().flat_map(of_topic))
        .chain(snapshot.groups.values().flat_map(of_group))
        .collect();
    found.sort();
    found
}

fn of_broker(broker: &Broker) -> Vec<Trouble> {
    let trouble =
        |severity, reason| Trouble { severity, subject: Subject::Broker, name: broker.id.to_string(), reason };
    let fenced = broker.is_fenced.then(|| trouble(Severity::Error, "it is fenced".to_owned()));
    let problem = broker
        .problem
        .iter()
        .map(|problem| trouble(Severity::Warning, format!("its logs' sizes are unknown: {problem}")));
    let failed = broker.log_dirs.iter().filter_map(|dir| Some((dir, dir.problem.as_ref()?)));
    let failed = failed.map(|(dir, problem)| trouble(Severity::Error, format!("{}: {problem}", dir.path)));
    fenced.into_iter().chain(problem).chain(failed).collect()
}

fn of_topic(topic: &Topic) -> Vec<Trouble> {
    let trouble = |severity, reason| Trouble { severity, subject: Subject::Topic, name: topic.name.clone(), reason };
    let numbers = |is_one: fn(&Partition) -> bool| -> Vec<i32> {
        topic.partitions.iter().filter(|partition| is_one(partition)).map(|partition| partition.partition).collect()
    };
    let offline = numbers(|partition| partition.leader.is_none());
    let under = numbers(|partition| partition.leader.is_some() && partition.is_under_replicated());
    let offline =
        (!offline.is_empty()).then(|| trouble(Severity::Error, format!("no leader: {}", partitions(&offline))));
    let under = (!under.is_empty()).then(|| {
        let missing: BTreeSet<i32> =
            under.iter().filter_map(|number| topic.partition(*number)).flat_map(missing).collect();
        let brokers = missing.iter().map(|broker| format!("broker {broker}")).collect::<Vec<_>>().join(", ");
        trouble(Severity::Warning, format!("under-replicated: {}, without {brokers}", partitions(&under)))
    });
    offline.into_iter().chain(under).collect()
}

/// The brokers that should have all of a partition and don't.
fn missing(partition: &Partition) -> impl Iterator<Item = i32> {
    partition.replicas.iter().copied().filter(|broker| !partition.isr.contains(broker))
}

fn of_group(group: &Group) -> Vec<Trouble> {
    let trouble = |severity, reason| Trouble { severity, subject: Subject::Group, name: group.group.clone(), reason };
    if let Some(problem) = &group.problem {
        return vec![trouble(Severity::Error, problem.clone())];
    }
    let mut notes: BTreeMap<(&str, &str), Vec<i32>> = BTreeMap::new();
    for position in &group.positions {
        if let Some(note) = position.note.filter(|note| !TOLD.contains(note)) {
            notes.entry((note, &position.topic)).or_default().push(position.partition);
        }
    }
    let told = notes.iter().map(|((note, topic), numbers)| {
        trouble(Severity::Warning, format!("{note}: {topic}, {}", partitions(numbers)))
    });
    told.collect()
}

/// `partition 3`, `partitions 0, 2 to 5`.
fn partitions(numbers: &[i32]) -> String {
    let mut ranges: Vec<(i32, i32)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let named = ranges.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    });
    let plural = if numbers.len() == 1 { "" } else { "s" };
    format!("partition{plural} {}", named.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::watch::testing::{at, group, topic};
    use crate::kafka::watch::{Part, Problem};

    fn told(snapshot: &Snapshot) -> Vec<(Severity, &'static str, String)> {
        let told = all(snapshot).into_iter();
        told.map(|it| (it.severity, it.subject.name(), format!("{}: {}", it.name, it.reason))).collect()
    }

    #[test]
    fn a_cluster_in_order_has_no_trouble() {
        let snapshot = at(1, [topic("t", &[0..5, 0..0])], [group("g", true, &[("t", 0, None, 5)])]);
        assert_eq!(told(&snapshot), []);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_it_is_wrong_with_the_worst_first() {
        let mut orders = topic("orders", &[0..1, 0..1, 0..1, 0..1, 0..1]);
        orders.partitions[0].replicas = vec![1, 3];
        for number in [1, 2, 3] {
            orders.partitions[number].leader = None;
        }
        let mut reader = group("reader", true, &[("orders", 0, Some(0), 1)]);
        reader.positions[0].note = Some("records before the log's start are gone");
        let lost = Group { problem: Some("no answer".to_owned()), ..group("lost", false, &[]) };
        let mut snapshot = at(1, [orders], [reader, lost]);
        snapshot.problems = vec![Problem { part: Part::Groups, reason: "broker 3: no answer".to_owned() }];
        use Severity::{Error, Warning};
        let expected = [
            (Error, "cluster", ": broker 3: no answer"),
            (Error, "topic", "orders: no leader: partitions 1 to 3"),
            (Error, "group", "lost: no answer"),
            (Warning, "topic", "orders: under-replicated: partition 0, without broker 3"),
            (Warning, "group", "reader: records before the log's start are gone: orders, partition 0"),
        ];
        assert_eq!(told(&snapshot), expected.map(|(severity, subject, text)| (severity, subject, text.to_owned())));
    }

    #[test]
    fn partitions_in_a_row_are_told_as_a_range() {
        assert_eq!(partitions(&[7]), "partition 7");
        assert_eq!(partitions(&[0, 2, 3, 5, 6, 7]), "partitions 0, 2, 3, 5 to 7");
    }
}
