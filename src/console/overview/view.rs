//! What the dashboard shows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::now_ms;
use crate::console::WINDOW;
use crate::console::chart::{Chart, Line, Unit};
use crate::console::frame::segment;
use crate::console::spark::spark;
use crate::kafka::admin::brokers::Broker;
use crate::kafka::admin::groups::Group;
use crate::kafka::watch::course::Trend;
use crate::kafka::watch::history::History;
use crate::kafka::watch::series::Series;
use crate::kafka::watch::trail::Change;
use crate::kafka::watch::{Problem, Snapshot, Watch};

/// Lines of a chart; the rest is one line more.
const LINES: usize = 5;
/// Rows of the short lists.
const ROWS: usize = 8;
/// Partitions in trouble that are listed.
const TROUBLED: usize = 100;
/// Rebalances that are listed.
const REBALANCES: usize = 12;

/// The cluster at a glance.
#[derive(Serialize, JsonSchema)]
pub struct Overview {
    /// When it was looked at, in milliseconds since the epoch; 0 before the first time.
    pub taken_at: i64,
    /// Why it can't be looked at now.
    pub away: Option<String>,
    /// What could not be seen.
    pub problems: Vec<Problem>,
    /// Records written a second.
    pub written: Option<f64>,
    /// Records read a second, by groups that commit.
    pub read: Option<f64>,
    /// Records that groups have yet to read; `None` when it is known of no group.
    pub lag: Option<i64>,
    /// For how long the record has waited that has waited longest, in seconds.
    pub lag_seconds: Option<f64>,
    /// The brokers.
    pub brokers: Vec<BrokerRow>,
    /// How many topics there are, without those of Kafka itself.
    pub topics: usize,
    /// How many partitions they have.
    pub partitions: usize,
    /// Bytes of all replicas on all brokers.
    pub bytes: u64,
    /// How many partitions lack a replica.
    pub under_replicated: usize,
    /// How many partitions can be neither read nor written.
    pub offline: usize,
    /// Some of these partitions.
    pub troubled: Vec<Troubled>,
    /// How many groups there are.
    pub groups: usize,
    /// How many groups are in each state.
    pub states: BTreeMap<String, usize>,
    /// The topics with most to do.
    pub busiest: Vec<TopicRow>,
    /// The groups with the largest lag.
    pub behind: Vec<GroupRow>,
    /// The newest changes of groups, newest first.
    pub rebalances: Vec<Change>,
    /// The last 15 minutes.
    pub charts: Vec<Chart>,
}

/// A broker on the dashboard.
#[derive(Serialize, JsonSchema)]
pub struct BrokerRow {
    /// The broker.
    #[serde(flatten)]
    pub broker: Broker,
    /// How many partitions it leads.
    pub leads: usize,
    /// How many replicas it holds.
    pub replicas: usize,
}

/// A partition in trouble.
#[derive(Serialize, JsonSchema)]
pub struct Troubled {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Whether it can be neither read nor written.
    pub is_offline: bool,
    /// The brokers that should hold all of it and don't.
    pub missing: Vec<i32>,
}

/// A topic on the dashboard.
#[derive(Serialize, JsonSchema)]
pub struct TopicRow {
    /// The topic.
    pub topic: String,
    /// Records written a second.
    pub written: Option<f64>,
    /// Records read a second.
    pub read: Option<f64>,
    /// The path of its sparkline.
    #[serde(skip)]
    pub spark: String,
}

/// A group on the dashboard.
#[derive(Serialize, JsonSchema)]
pub struct GroupRow {
    /// The group.
    pub group: String,
    /// Its state.
    pub state: String,
    /// Records that it has yet to read.
    pub lag: Option<i64>,
    /// Whether there is more to read than that.
    pub lag_is_partial: bool,
    /// For how long the first of them has waited, in seconds.
    pub lag_seconds: Option<f64>,
    /// Where its lag is going.
    pub trend: Trend,
    /// The path of its sparkline.
    #[serde(skip)]
    pub spark: String,
}

impl Overview {
    /// What `watch` has seen.
    pub fn new(watch: &Watch) -> Self {
        let snapshot = watch.snapshot();
        let past = watch.past();
        let history = &past.history;
        let ours = || snapshot.topics.values().filter(|topic| !topic.internal);
        let (under_replicated, offline) = trouble(&snapshot);
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for group in snapshot.groups.values() {
            *states.entry(group.state.clone()).or_default() += 1;
        }
        let waits = snapshot.groups.values().filter_map(|group| group.lag_seconds_at(now_ms()));
        Self {
            taken_at: snapshot.taken_at,
            away: snapshot.away.clone(),
            problems: snapshot.problems.clone(),
            written: history.now(&history.written),
            read: history.now(&history.read),
            lag: snapshot.lag(),
            lag_seconds: waits.reduce(f64::max),
            topics: ours().count(),
            partitions: ours().map(|topic| topic.partitions.len()).sum(),
            bytes: snapshot.brokers.iter().flat_map(|broker| &broker.log_dirs).map(|dir| dir.bytes).sum(),
            under_replicated,
            offline,
            troubled: troubled(&snapshot),
            groups: snapshot.groups.len(),
            states,
            brokers: brokers(&snapshot),
            busiest: busiest(&snapshot, history),
            behind: behind(&snapshot, history),
            rebalances: past.trail.newest(None).take(REBALANCES).cloned().collect(),
            charts: charts(&snapshot, history),
        }
    }
}

fn brokers(snapshot: &Snapshot) -> Vec<BrokerRow> {
    let (mut leads, mut replicas) = (BTreeMap::<i32, usize>::new(), BTreeMap::<i32, usize>::new());
    for partition in snapshot.topics.values().flat_map(|topic| &topic.partitions) {
        partition.leader.into_iter().for_each(|id| *leads.entry(id).or_default() += 1);
        partition.replicas.iter().for_each(|id| *replicas.entry(*id).or_default() += 1);
    }
    let count = |counts: &BTreeMap<i32, usize>, id| counts.get(&id).copied().unwrap_or(0);
    let row = |broker: &Broker| BrokerRow {
        broker: broker.clone(),
        leads: count(&leads, broker.id),
        replicas: count(&replicas, broker.id),
    };
    snapshot.brokers.iter().map(row).collect()
}

/// How many partitions lack a replica, and how many have no leader.
fn trouble(snapshot: &Snapshot) -> (usize, usize) {
    let topics = snapshot.topics.values();
    topics.fold((0, 0), |(under, offline), topic| (under + topic.under_replicated(), offline + topic.leaderless()))
}

fn troubled(snapshot: &Snapshot) -> Vec<Troubled> {
    let partitions = snapshot.topics.values().flat_map(|topic| topic.partitions.iter().map(move |held| (topic, held)));
    let in_trouble = partitions.filter(|(_, partition)| partition.leader.is_none() || partition.is_under_replicated());
    let mut found: Vec<Troubled> = in_trouble
        .map(|(topic, partition)| Troubled {
            topic: topic.name.clone(),
            partition: partition.partition,
            is_offline: partition.leader.is_none(),
            missing: partition.replicas.iter().copied().filter(|id| !partition.isr.contains(id)).collect(),
        })
        .collect();
    // The sort is stable: topics and partitions stay in order.
    found.sort_by_key(|troubled| !troubled.is_offline);
    found.truncate(TROUBLED);
    found
}

fn busiest(snapshot: &Snapshot, history: &History) -> Vec<TopicRow> {
    let names = snapshot.topics.values().filter(|topic| !topic.internal).map(|topic| &topic.name);
    let mut known: Vec<(f64, &String)> = names
        .filter_map(|name| {
            let series = history.topic(name)?;
            let rate = history.now(&series.written).unwrap_or(0.0) + history.now(&series.read).unwrap_or(0.0);
            (rate > 0.0).then_some((rate, name))
        })
        .collect();
    known.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let row = |name: &String| {
        let series = history.topic(name)?;
        Some(TopicRow {
            topic: name.clone(),
            written: history.now(&series.written),
            read: history.now(&series.read),
            spark: spark(&history.points(&series.written)),
        })
    };
    known.into_iter().take(ROWS).filter_map(|(_, name)| row(name)).collect()
}

fn behind(snapshot: &Snapshot, history: &History) -> Vec<GroupRow> {
    let mut lagging: Vec<(i64, &Group)> =
        snapshot.groups.values().map(|group| (group.lag().unwrap_or(0), group)).filter(|(lag, _)| *lag > 0).collect();
    lagging.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.group.cmp(&b.1.group)));
    let row = |group: &Group| {
        let course = history.course(&group.group);
        GroupRow {
            group: group.group.clone(),
            state: group.state.clone(),
            lag: group.lag(),
            lag_is_partial: group.is_lag_partial(),
            lag_seconds: group.lag_seconds_at(now_ms()),
            trend: course.as_ref().map_or(Trend::Steady, |course| course.trend),
            spark: course.map(|course| spark(&course.points)).unwrap_or_default(),
        }
    };
    lagging.into_iter().take(ROWS).map(|(_, group)| row(group)).collect()
}

fn charts(snapshot: &Snapshot, history: &History) -> Vec<Chart> {
    let topics: Vec<&String> =
        snapshot.topics.values().filter(|topic| !topic.internal).map(|topic| &topic.name).collect();
    let topic_lines = |pick: fn(&History, &str) -> Option<Vec<f32>>, all: &Series| {
        let points = topics.iter().filter_map(|name| Some(((*name).clone(), pick(history, name)?)));
        let href = |name: &str| format!("/console/topics/{}", segment(name));
        let sum = |points: &[f32]| points.iter().filter(|value| !value.is_nan()).sum::<f32>();
        with_rest(largest(points, sum, href), &history.points(all), topics.len())
    };
    let group_lines = |pick: fn(&History, &str) -> Option<Vec<f32>>| {
        let points = snapshot.groups.keys().filter_map(|name| Some((name.clone(), pick(history, name)?)));
        let href = |name: &str| format!("/console/groups/{}", segment(name));
        let most = |points: &[f32]| points.iter().copied().filter(|value| !value.is_nan()).fold(0.0, f32::max);
        largest(points, most, href)
    };
    let chart = |id, title, unit, lines| {
        let (stacked, times) = (unit == Unit::Rate, history.times());
        Chart { id, title, unit, stacked, bars: false, window: WINDOW, times, lines }
    };
    vec![
        chart("written", "Written, records a second", Unit::Rate, topic_lines(written, &history.written)),
        chart("read", "Read, records a second", Unit::Rate, topic_lines(read, &history.read)),
        chart("lag", "Lag, records", Unit::Records, group_lines(lag)),
        chart("behind", "Behind, seconds", Unit::Seconds, group_lines(seconds)),
    ]
}

fn written(history: &History, topic: &str) -> Option<Vec<f32>> {
    history.topic(topic).map(|series| history.points(&series.written))
}

fn read(history: &History, topic: &str) -> Option<Vec<f32>> {
    history.topic(topic).map(|series| history.points(&series.read))
}

fn lag(history: &History, group: &str) -> Option<Vec<f32>> {
    history.group(group).map(|series| history.points(&series.lag))
}

fn seconds(history: &History, group: &str) -> Option<Vec<f32>> {
    history.group(group).map(|series| history.points(&series.seconds))
}

/// The lines that weigh most; those that weigh nothing are left out.
fn largest(
    points: impl Iterator<Item = (String, Vec<f32>)>,
    weight: impl Fn(&[f32]) -> f32,
    href: impl Fn(&str) -> String,
) -> Vec<Line> {
    let mut weighed: Vec<(f32, String, Vec<f32>)> =
        points.map(|(name, points)| (weight(&points), name, points)).filter(|(weight, ..)| *weight > 0.0).collect();
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    weighed.truncate(LINES);
    weighed.into_iter().map(|(_, name, points)| Line::new(name.clone(), Some(href(&name)), &points)).collect()
}

/// `lines`, and one for what is left of `all` of `count` things.
fn with_rest(mut lines: Vec<Line>, all: &[f32], count: usize) -> Vec<Line> {
    if lines.len() < LINES || count <= LINES {
        return lines;
    }
    let rest = |(at, all): (usize, &f32)| {
        let shown: f32 = lines.iter().filter_map(|line| line.values.get(at).copied().flatten()).sum();
        // The sums are of rounded numbers.
        if all - shown > all * 1e-3 { all - shown } else { 0.0 * all }
    };
    let rest: Vec<f32> = all.iter().enumerate().map(rest).collect();
    if rest.iter().any(|value| *value > 0.0) {
        lines.push(Line::new("all others", None, &rest));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::watch::testing::{at, topic};

    #[test]
    fn offline_partitions_are_listed_before_those_that_lack_a_replica() {
        let mut first = topic("a", &[0..1, 0..1]);
        first.partitions[0].replicas = vec![1, 2, 3];
        let mut second = topic("b", &[0..1, 0..1]);
        second.partitions[1].leader = None;
        second.partitions[1].isr.clear();
        let snapshot = at(1, [first, second], []);
        assert_eq!(trouble(&snapshot), (2, 1));
        let listed: Vec<_> = troubled(&snapshot).into_iter().map(|t| (t.topic, t.partition, t.missing)).collect();
        assert_eq!(listed, [("b".to_owned(), 1, vec![1]), ("a".to_owned(), 0, vec![2, 3])]);
    }

    #[test]
    fn what_is_not_among_the_largest_is_one_line() {
        let points = (0..9).map(|number| (format!("t{number}"), vec![number as f32]));
        let lines = largest(points, |points| points[0], str::to_owned);
        let lines = with_rest(lines, &[36.0], 9);
        let names: Vec<_> = lines.iter().map(|line| (line.name.as_str(), line.values[0])).collect();
        assert_eq!(names[0], ("t8", Some(8.0)));
        assert_eq!(names[5], ("all others", Some(6.0)));
        let few =
            largest([("t".to_owned(), vec![0.0]), ("u".to_owned(), vec![1.0])].into_iter(), |p| p[0], str::to_owned);
        assert_eq!(with_rest(few, &[1.0], 2).len(), 1);
    }
}
