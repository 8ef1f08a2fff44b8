//! Groups and resets in the form that people and scripts read.

use serde::Serialize;

use crate::cli::output;
use crate::kafka::admin::groups::{Group, Listing, Member};
use crate::kafka::admin::positions::Position;
use crate::kafka::admin::reset::Move;
use crate::time;

/// What is shown where something is not known.
const UNKNOWN: &str = "-";
/// Topics named in a row of the list; scripts get all.
const MOST_TOPICS: usize = 3;

/// One line of `groups list`.
#[derive(Serialize)]
pub struct Summary {
    group: String,
    state: String,
    kind: String,
    members: usize,
    topics: Vec<String>,
    lag: Option<i64>,
    /// Whether partitions with unknown lag come on top.
    lag_is_partial: bool,
}

impl From<&Group> for Summary {
    fn from(group: &Group) -> Self {
        Self {
            group: group.group.clone(),
            state: group.state.clone(),
            kind: group.kind.clone(),
            members: group.members.len(),
            topics: group.topics().into_iter().map(str::to_owned).collect(),
            lag: group.lag(),
            lag_is_partial: group.is_lag_partial(),
        }
    }
}

impl Summary {
    /// A group of a kind that has no offsets to compare with the log's end.
    pub fn without_offsets(listing: &Listing) -> Self {
        Self {
            group: listing.group.clone(),
            state: listing.state.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
            kind: listing.kind.clone(),
            members: 0,
            topics: Vec::new(),
            lag: None,
            lag_is_partial: false,
        }
    }
}

/// All of `groups describe` about one group.
#[derive(Serialize)]
pub struct Details<'a> {
    #[serde(flatten)]
    group: &'a Group,
    lag: Option<i64>,
    lag_is_partial: bool,
    lag_seconds: Option<f64>,
}

impl<'a> From<&'a Group> for Details<'a> {
    fn from(group: &'a Group) -> Self {
        Self { group, lag: group.lag(), lag_is_partial: group.is_lag_partial(), lag_seconds: group.lag_seconds() }
    }
}

/// The table of `groups list`.
pub fn list(groups: &[Summary]) -> String {
    let row = |group: &Summary| {
        [
            group.group.clone(),
            group.state.clone(),
            group.members.to_string(),
            total(group.lag, group.lag_is_partial),
            topics(&group.topics),
        ]
    };
    output::table(["GROUP", "STATE", "MEMBERS", "LAG", "TOPICS"], &[2, 3], groups.iter().map(row))
}

/// What `groups describe` shows of one group.
pub fn details(details: &Details) -> String {
    let group = details.group;
    let coordinator = format!("{} ({})", group.coordinator.id, group.coordinator.address);
    let lag = match details.lag {
        Some(_) => {
            format!("{} records, {} behind", total(details.lag, details.lag_is_partial), behind(details.lag_seconds))
        }
        None => UNKNOWN.to_owned(),
    };
    let head = [
        ("Group", group.group.as_str()),
        ("State", group.state.as_str()),
        ("Protocol", group.kind.as_str()),
        ("Coordinator", coordinator.as_str()),
        ("Assignor", group.assignor.as_deref().unwrap_or(UNKNOWN)),
        ("Lag", lag.as_str()),
    ];
    let mut parts = vec![head.map(|(name, value)| format!("{name:<12} {value}")).join("\n")];
    if !group.members.is_empty() {
        let row =
            |member: &Member| [member.client.clone(), member.host.clone(), assigned(member), member.member.clone()];
        parts.push(output::table(["CLIENT", "HOST", "PARTITIONS", "MEMBER"], &[], group.members.iter().map(row)));
    }
    match group.positions.is_empty() {
        true => parts.push("It has committed nothing and reads nothing.".to_owned()),
        false => parts.push(positions(group)),
    }
    parts.join("\n\n")
}

fn positions(group: &Group) -> String {
    let row = |position: &Position| {
        [
            position.topic.clone(),
            position.partition.to_string(),
            known(position.committed),
            known(position.end),
            known(position.lag),
            behind(position.lag_seconds),
            group.reader(position).unwrap_or("nobody").to_owned(),
            position.note.unwrap_or_default().to_owned(),
        ]
    };
    let header = ["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "BEHIND", "READ BY", ""];
    output::table(header, &[1, 2, 3, 4, 5], group.positions.iter().map(row))
}

/// The plan of a reset.
pub fn moves(moves: &[Move]) -> String {
    let row = |step: &Move| {
        [
            step.topic.clone(),
            step.partition.to_string(),
            known(step.before),
            known(step.after),
            effect(step),
            step.note.unwrap_or_default().to_owned(),
        ]
    };
    output::table(["TOPIC", "PARTITION", "BEFORE", "AFTER", "EFFECT", ""], &[1, 2, 3], moves.iter().map(row))
}

fn effect(step: &Move) -> String {
    match step.change {
        Some(0) => "none".to_owned(),
        Some(change) if change < 0 => format!("{} read again", change.unsigned_abs()),
        Some(change) => format!("{change} skipped"),
        None if step.after.is_some() => "first commit".to_owned(),
        None => "none".to_owned(),
    }
}

fn assigned(member: &Member) -> String {
    let topic = |(topic, partitions): (&String, &Vec<i32>)| {
        let numbers: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        format!("{topic}:{}", numbers.join(","))
    };
    match member.partitions.is_empty() {
        true => "none".to_owned(),
        false => member.partitions.iter().map(topic).collect::<Vec<_>>().join(" "),
    }
}

fn topics(topics: &[String]) -> String {
    let named = topics.iter().take(MOST_TOPICS).cloned().collect::<Vec<_>>().join(", ");
    match topics.len().saturating_sub(MOST_TOPICS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn total(lag: Option<i64>, is_partial: bool) -> String {
    match lag {
        Some(lag) if is_partial => format!("at least {lag}"),
        lag => known(lag),
    }
}

fn behind(seconds: Option<f64>) -> String {
    known(seconds.map(time::length))
}

fn known<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}
