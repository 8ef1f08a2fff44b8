//! The last looks, a quarter of an hour of the console's: a point for each, of what moves.
//!
//! What doesn't move takes next to nothing, however much of it there is; what does takes under a kilobyte a series. Beyond
//! [`MEMORY`], the quietest series begin anew, those of single partitions first.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::Snapshot;
use super::course::Course;
use super::series::{POINTS, Series};
use super::trail::{read_between, written_between};

/// Bytes that all series together may take.
pub const MEMORY: usize = 24 * 1024 * 1024;

/// Bytes of a series that moves, about.
const MOVING_BYTES: usize = POINTS * size_of::<f32>() + 64;
/// Bytes of a series' place in the maps, about.
const PLACE_BYTES: usize = size_of::<Series>() + 48;

/// A topic's rates, in records a second.
#[derive(Clone, Debug, Default)]
pub struct TopicSeries {
    /// Written.
    pub written: Series,
    /// Read, by all groups that commit.
    pub read: Series,
}

/// A group's lag.
#[derive(Clone, Debug, Default)]
pub struct GroupSeries {
    /// In records.
    pub lag: Series,
    /// In seconds.
    pub seconds: Series,
    /// In records, by topic and partition.
    partitions: BTreeMap<String, BTreeMap<i32, Series>>,
}

/// All series.
#[derive(Debug, Default)]
pub struct History {
    looks: u64,
    times: VecDeque<i64>,
    /// Records written a second, all topics together.
    pub written: Series,
    /// Records read a second, all groups together.
    pub read: Series,
    /// The lag of all groups together.
    pub lag: Series,
    topics: HashMap<String, TopicSeries>,
    groups: HashMap<String, GroupSeries>,
}

impl History {
    /// When the points were taken (ms since the epoch), oldest first.
    pub fn times(&self) -> Vec<i64> {
        self.times.iter().copied().collect()
    }

    /// The points of a series, as many as there are times.
    pub fn points(&self, series: &Series) -> Vec<f32> {
        series.last(self.times.len(), self.looks)
    }

    /// The last known value of a series.
    pub fn now(&self, series: &Series) -> Option<f64> {
        series.last(1, self.looks).first().filter(|value| !value.is_nan()).map(|value| f64::from(*value))
    }

    /// The rates of a topic, if it was there at the last look.
    pub fn topic(&self, name: &str) -> Option<&TopicSeries> {
        self.topics.get(name)
    }

    /// The lag of a group, if it was there at the last look.
    pub fn group(&self, name: &str) -> Option<&GroupSeries> {
        self.groups.get(name)
    }

    /// The way of a group's whole lag.
    pub fn course(&self, group: &str) -> Option<Course> {
        Some(self.course_of(&self.groups.get(group)?.lag))
    }

    /// The way of a group's lag in one partition.
    pub fn partition_course(&self, group: &str, topic: &str, partition: i32) -> Option<Course> {
        Some(self.course_of(self.groups.get(group)?.partitions.get(topic)?.get(&partition)?))
    }

    fn course_of(&self, lag: &Series) -> Course {
        Course::of(&self.times, self.points(lag))
    }

    /// Adds what was seen at `after`, whose rates are since `before`.
    pub(super) fn add(&mut self, before: &Snapshot, after: &Snapshot) {
        self.looks += 1;
        self.times.push_back(after.taken_at);
        if self.times.len() > POINTS {
            self.times.pop_front();
        }
        let look = self.looks;
        let seconds = (after.taken_at - before.taken_at) as f64 / 1000.0;
        let rate = |records: i64| (before.taken_at > 0 && seconds > 0.0).then(|| records as f64 / seconds);

        let mut read_by_topic: HashMap<&str, i64> = HashMap::new();
        for (name, group) in &after.groups {
            let series = match self.groups.get_mut(name) {
                Some(series) => series,
                None => self.groups.entry(name.clone()).or_default(),
            };
            series.lag.push(look, group.lag().map(|lag| lag as f64));
            series.seconds.push(look, group.lag_seconds());
            for position in &group.positions {
                let topic = match series.partitions.get_mut(&position.topic) {
                    Some(topic) => topic,
                    None => series.partitions.entry(position.topic.clone()).or_default(),
                };
                topic.entry(position.partition).or_default().push(look, position.lag.map(|lag| lag as f64));
            }
            for topic in series.partitions.values_mut() {
                topic.retain(|_, series| series.last_look == look);
            }
            let Some(earlier) = before.groups.get(name) else { continue };
            for (position, records) in read_between(earlier, group) {
                *read_by_topic.entry(position.topic.as_str()).or_default() += records;
            }
        }
        self.groups.retain(|_, series| series.lag.last_look == look);

        let (mut written, mut read) = (None, 0);
        for (name, topic) in &after.topics {
            let earlier = before.topics.get(name);
            // Of one that is new, nothing; where no end is known, nobody knows.
            let records_written = match earlier {
                Some(earlier) => written_between(earlier, topic).map(|(_, records)| records).reduce(|sum, n| sum + n),
                None => Some(0),
            };
            let records_read = read_by_topic.get(name.as_str()).copied().unwrap_or(0);
            let series = match self.topics.get_mut(name) {
                Some(series) => series,
                None => self.topics.entry(name.clone()).or_default(),
            };
            series.written.push(look, records_written.and_then(rate));
            series.read.push(look, rate(records_read));
            if !topic.internal {
                written = written.into_iter().chain(records_written).reduce(|sum, n| sum + n);
                read += records_read;
            }
        }
        self.topics.retain(|_, series| series.written.last_look == look);
        let is_nothing = after.topics.values().all(|topic| topic.internal);
        self.written.push(look, written.or(is_nothing.then_some(0)).and_then(rate));
        self.read.push(look, rate(read));
        self.lag.push(look, after.lag().map(|lag| lag as f64));
        self.keep_within(MEMORY);
    }

    /// Bytes that the series take, about.
    pub fn memory(&self) -> usize {
        let bytes = |series: &Series| PLACE_BYTES + if series.moves() { MOVING_BYTES } else { 0 };
        let topics = self.topics.iter().map(|(name, topic)| name.len() + bytes(&topic.written) + bytes(&topic.read));
        let groups = self.groups.iter().map(|(name, group)| {
            let partitions = group.partitions.values().flat_map(BTreeMap::values).map(bytes).sum::<usize>();
            name.len() + bytes(&group.lag) + bytes(&group.seconds) + partitions
        });
        topics.chain(groups).sum()
    }

    fn keep_within(&mut self, memory: usize) {
        let excess = self.memory().saturating_sub(memory);
        if excess == 0 {
            return;
        }
        // Somewhat more, so that this isn't done again at the next look.
        let wanted = excess / MOVING_BYTES + 1 + memory / MOVING_BYTES / 10;
        let mut moving: Vec<(u8, &mut Series)> = Vec::new();
        for group in self.groups.values_mut() {
            moving.extend(group.partitions.values_mut().flat_map(BTreeMap::values_mut).map(|series| (0, series)));
            moving.extend([(1, &mut group.seconds), (2, &mut group.lag)]);
        }
        for topic in self.topics.values_mut() {
            moving.extend([(1, &mut topic.read), (2, &mut topic.written)]);
        }
        moving.retain(|(_, series)| series.moves());
        moving.sort_by(|(a, first), (b, second)| a.cmp(b).then(first.spread().total_cmp(&second.spread())));
        moving.into_iter().take(wanted).for_each(|(_, series)| series.begin_anew());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::watch::course::{Drain, Trend};
    use crate::kafka::watch::testing::{at, group, topic};

    #[test]
    fn how_often_one_looks_does_not_change_what_is_said_of_a_lag() {
        for seconds in [1, 5, 20] {
            let mut history = History::default();
            let mut before = Snapshot::default();
            for time in (0..=600).step_by(seconds) {
                // It grew for eight minutes, and shrinks by 10 a second since.
                let lag = if time < 480 { 1_000 + 4 * time } else { 2_920 - 10 * (time - 480) } as i64;
                let after = at(1 + time as i64 * 1_000, [], [group("g", true, &[("t", 0, Some(0), lag)])]);
                history.add(&before, &after);
                before = after;
            }
            let course = history.course("g").unwrap();
            assert_eq!(course.trend, Trend::Falling, "every {seconds} s");
            let Drain::In(left) = course.drain else { panic!("every {seconds} s: {:?}", course.drain) };
            assert!((200.0..400.0).contains(&left), "every {seconds} s: {left}");
        }
    }

    #[test]
    fn rates_are_records_a_second_between_two_looks() {
        let mut history = History::default();
        let first = at(10_000, [topic("t", &[0..100, 0..50])], [group("g", true, &[("t", 0, Some(40), 100)])]);
        let second = at(15_000, [topic("t", &[0..150, 0..50])], [group("g", true, &[("t", 0, Some(60), 150)])]);
        history.add(&Snapshot::default(), &first);
        assert_eq!(history.now(&history.topic("t").unwrap().written), None, "one look has no rate");
        history.add(&first, &second);
        let topic = history.topic("t").unwrap();
        assert_eq!((history.now(&topic.written), history.now(&topic.read)), (Some(10.0), Some(4.0)));
        assert_eq!((history.now(&history.written), history.now(&history.read)), (Some(10.0), Some(4.0)));
        assert_eq!(history.now(&history.lag), Some(90.0));
        assert_eq!(history.points(&history.group("g").unwrap().lag), [60.0, 90.0]);
    }

    #[test]
    fn a_group_that_was_reset_has_not_read() {
        let mut history = History::default();
        let before =
            at(10_000, [topic("t", std::slice::from_ref(&(0..100)))], [group("g", false, &[("t", 0, Some(0), 100)])]);
        let after =
            at(15_000, [topic("t", std::slice::from_ref(&(0..100)))], [group("g", false, &[("t", 0, Some(100), 100)])]);
        history.add(&before, &after);
        assert_eq!(history.now(&history.read), Some(0.0));
    }

    #[test]
    fn memory_stays_below_its_bound_and_partitions_give_way_first() {
        let mut history = History::default();
        let mut before = Snapshot::default();
        let names: Vec<String> = (0..40).map(|number| format!("group-{number}")).collect();
        for look in 1..=20_i64 {
            let groups = names.iter().map(|name| {
                let positions: Vec<_> = (0..10).map(|partition| ("t", partition, Some(0), look * 10)).collect();
                group(name, true, &positions)
            });
            let after = at(look * 5_000, [], groups);
            history.add(&before, &after);
            before = after;
            history.keep_within(100_000);
            assert!(history.memory() <= 100_000, "{}", history.memory());
        }
        let groups = || names.iter().filter_map(|name| history.group(name));
        assert!(groups().all(|group| group.lag.moves()), "the groups' own series have room");
        // Which groups' partitions give way among equals is left to the map.
        assert!(groups().any(|group| group.partitions["t"].values().any(|series| !series.moves())));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut history = History::default();
        let first = at(5_000, [topic("t", &[])], [group("g", true, &[])]);
        let second = at(10_000, [], []);
        history.add(&Snapshot::default(), &first);
        history.add(&first, &second);
        assert!(history.topic("t").is_none() && history.group("g").is_none());
    }
}
