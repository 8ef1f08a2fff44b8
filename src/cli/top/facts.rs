//! What is known of a cluster, in rows: the same for the screen, the table and JSON.

use std::collections::HashMap;

use serde::Serialize;

use super::looks::Looks;
use super::trouble::{self, Trouble};
use crate::kafka::admin::groups::Group;
use crate::kafka::admin::topics::Topic;
use crate::kafka::watch::course::{Drain, Trend};
use crate::kafka::watch::history::History;
use crate::kafka::watch::trail::{Change, grown_between, read_between, written_between};
use crate::kafka::watch::{Past, Snapshot};

/// A lag that is read in so many seconds is what comes between two commits, and no backlog.
const BETWEEN_COMMITS: f64 = 5.0;
/// Changes of groups that are shown.
const CHANGES: usize = 500;

/// The cluster at one moment. Rates are in records a second, unless they are said to be in bytes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Facts {
    /// When it was looked at, in milliseconds since the epoch; 0 before the first time.
    pub taken_at: i64,
    /// How many seconds rates are told over.
    pub rate_seconds: f64,
    /// How many brokers there are.
    pub brokers: usize,
    /// How many topics there are, without those of Kafka itself.
    pub topic_count: usize,
    /// How many partitions these have.
    pub partitions: usize,
    /// How many groups there are.
    pub group_count: usize,
    /// Partitions that can be neither read nor written.
    pub offline: usize,
    /// Partitions that lack a replica.
    pub under_replicated: usize,
    /// Groups whose members or offsets can't be seen.
    pub unknown_groups: usize,
    /// Records written.
    pub written: Option<f64>,
    /// Bytes by which the logs grow.
    pub bytes: Option<f64>,
    /// Records read by groups.
    pub read: Option<f64>,
    /// Records that groups have yet to read; `None` when it is known of no group.
    pub lag: Option<i64>,
    /// The topics, by name.
    pub topics: Vec<TopicRow>,
    /// The groups, by name.
    pub groups: Vec<GroupRow>,
    /// What is wrong, the worst first.
    pub problems: Vec<Trouble>,
    /// How the groups changed, newest first.
    #[serde(skip)]
    pub changes: Vec<Change>,
    /// How much was written, read and left to be read.
    #[serde(skip)]
    pub courses: Courses,
}

/// Points of what the cluster does as a whole, one a look, oldest first; NaN where it was not known.
#[derive(Clone, Debug, Default)]
pub struct Courses {
    /// Records written a second.
    pub written: Vec<f32>,
    /// Records read a second.
    pub read: Vec<f32>,
    /// Records that groups have yet to read.
    pub lag: Vec<f32>,
}

/// A topic.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TopicRow {
    /// Its name.
    pub topic: String,
    /// Whether it belongs to Kafka itself.
    pub internal: bool,
    /// How many partitions it has.
    pub partitions: usize,
    /// Records written.
    pub written: Option<f64>,
    /// Bytes by which its logs grow, counting each partition once.
    pub bytes: Option<f64>,
    /// Records read by groups.
    pub read: Option<f64>,
    /// How many offsets its partitions span.
    pub messages: Option<i64>,
    /// Bytes on disk, counting each partition once.
    pub size: Option<u64>,
    /// Partitions that can be neither read nor written.
    pub offline: usize,
    /// Partitions that lack a replica.
    pub under_replicated: usize,
    /// Records written a second, one point a look.
    #[serde(skip)]
    pub course: Vec<f32>,
}

/// A group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupRow {
    /// Its name.
    pub group: String,
    /// `Stable`, `Empty`, …; `Unknown` if it can't be seen.
    pub state: String,
    /// How many members it has.
    pub members: usize,
    /// The topics it reads.
    pub topics: Vec<String>,
    /// Records read.
    pub read: Option<f64>,
    /// Records that it has yet to read.
    pub lag: Option<i64>,
    /// Whether partitions with unknown lag come on top.
    pub lag_is_partial: bool,
    /// For how long the first of them has waited, in seconds.
    pub lag_seconds: Option<f64>,
    /// Where its lag is going.
    pub trend: Trend,
    /// When nothing will be left to read.
    pub drain: Drain,
    /// Rebalances seen.
    pub rebalances: usize,
    /// When the last of them was seen, in milliseconds since the epoch.
    pub last_rebalance: Option<i64>,
    /// Why its members or offsets are unknown.
    pub problem: Option<String>,
    /// Its lag, one point a look.
    #[serde(skip)]
    pub course: Vec<f32>,
}

impl Facts {
    /// What `looks` and all that was seen before tell.
    pub fn new(looks: &Looks, past: &Past) -> Self {
        let Some(now) = looks.now() else { return Self::default() };
        let history = &past.history;
        let read = read_by_topic(looks, now);
        let topics: Vec<TopicRow> =
            (now.topics.values()).map(|topic| row_of_topic(topic, looks, &read, history)).collect();
        let groups: Vec<GroupRow> = now.groups.values().map(|group| row_of_group(group, looks, past)).collect();
        let ours = || topics.iter().filter(|topic| !topic.internal);
        Self {
            taken_at: now.taken_at,
            rate_seconds: looks.seconds(),
            brokers: now.brokers.len(),
            topic_count: ours().count(),
            partitions: ours().map(|topic| topic.partitions).sum(),
            group_count: groups.len(),
            offline: topics.iter().map(|topic| topic.offline).sum(),
            under_replicated: topics.iter().map(|topic| topic.under_replicated).sum(),
            unknown_groups: groups.iter().filter(|group| group.problem.is_some()).count(),
            written: total(ours().map(|topic| topic.written)),
            bytes: total(ours().map(|topic| topic.bytes)),
            read: total(ours().map(|topic| topic.read)),
            lag: now.lag(),
            problems: trouble::all(now),
            changes: past.trail.newest(None).take(CHANGES).cloned().collect(),
            courses: Courses {
                written: history.points(&history.written),
                read: history.points(&history.read),
                lag: history.points(&history.lag),
            },
            topics,
            groups,
        }
    }
}

/// The sum of what is known.
fn total(rates: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    rates.flatten().reduce(|sum, rate| sum + rate)
}

/// Records that all groups together read of each topic in a second.
fn read_by_topic<'a>(looks: &'a Looks, now: &'a Snapshot) -> HashMap<&'a str, f64> {
    let mut read: HashMap<&str, f64> = HashMap::new();
    for between in now.groups.keys().filter_map(|name| looks.group(name)) {
        for (position, records) in read_between(between.before, between.after) {
            *read.entry(position.topic.as_str()).or_default() += between.rate(records);
        }
    }
    read
}

fn row_of_topic(topic: &Topic, looks: &Looks, read: &HashMap<&str, f64>, history: &History) -> TopicRow {
    let between = looks.topic(&topic.name);
    let rate = |count: fn(&Topic, &Topic) -> Option<i64>| {
        let between = between.as_ref()?;
        count(between.before, between.after).map(|count| between.rate(count))
    };
    TopicRow {
        topic: topic.name.clone(),
        internal: topic.internal,
        partitions: topic.partitions.len(),
        written: rate(|before, after| written_between(before, after).map(|(_, records)| records).reduce(|a, b| a + b)),
        bytes: rate(|before, after| grown_between(before, after).and_then(|bytes| i64::try_from(bytes).ok())),
        read: between.as_ref().map(|_| read.get(topic.name.as_str()).copied().unwrap_or(0.0)),
        messages: topic.messages(),
        size: topic.size(),
        offline: topic.leaderless(),
        under_replicated: topic.under_replicated(),
        course: history.topic(&topic.name).map(|series| history.points(&series.written)).unwrap_or_default(),
    }
}

fn row_of_group(group: &Group, looks: &Looks, past: &Past) -> GroupRow {
    let between = looks.group(&group.group);
    let course = past.history.course(&group.group);
    let rebalances = past.trail.rebalances(&group.group);
    let read = between
        .map(|between| between.rate(read_between(between.before, between.after).map(|(_, records)| records).sum()));
    GroupRow {
        group: group.group.clone(),
        state: group.state.clone(),
        members: group.members.len(),
        topics: group.topics().into_iter().map(str::to_owned).collect(),
        read,
        lag: group.lag(),
        lag_is_partial: group.is_lag_partial(),
        lag_seconds: group.lag_seconds(),
        trend: course.as_ref().map_or(Trend::Steady, |course| course.trend),
        drain: drain(course.as_ref().map_or(Drain::Unknown, |course| course.drain), group.lag(), read),
        rebalances: rebalances.count,
        last_rebalance: rebalances.last,
        problem: group.problem.clone(),
        course: course.map(|course| course.points).unwrap_or_default(),
    }
}

/// When a lag will be gone. Looked at every second, one that goes up and down between commits is never seen at nothing.
fn drain(drain: Drain, lag: Option<i64>, read: Option<f64>) -> Drain {
    match (drain, lag, read) {
        (_, Some(0), _) => Drain::Done,
        (Drain::Never, Some(lag), Some(read)) if lag as f64 <= read * BETWEEN_COMMITS => Drain::Soon,
        (drain, ..) => drain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_between_two_commits_is_no_backlog() {
        assert_eq!(drain(Drain::Never, Some(200), Some(40.0)), Drain::Soon);
        assert_eq!(drain(Drain::Never, Some(201), Some(40.0)), Drain::Never);
        assert_eq!(drain(Drain::Never, Some(1), Some(0.0)), Drain::Never);
        assert_eq!(drain(Drain::In(9.0), Some(1), Some(40.0)), Drain::In(9.0));
        assert_eq!(drain(Drain::Never, Some(0), None), Drain::Done);
        assert_eq!(drain(Drain::Unknown, None, None), Drain::Unknown);
    }
}
