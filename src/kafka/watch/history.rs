//! The last looks, a quarter of an hour of the console's: a point for each, of what moves.
//!
//! What doesn't move takes next to nothing, however much of it there is; what does takes under a kilobyte a series. Beyond
//! [`MEMORY`], the quietest series begin anew, those of single partitions first.

use std::collections::{BTreeMap, HashMap, VecDeque};

use schemars::JsonSchema;
use serde::Serialize;

use super::trail::{read_between, written_between};
use super::{INTERVAL, Snapshot};

/// How many points a series has: 15 minutes' worth of looks at the console's [`INTERVAL`].
pub const POINTS: usize = 15 * 60 / INTERVAL.as_secs() as usize;
/// Bytes that all series together may take.
pub const MEMORY: usize = 24 * 1024 * 1024;
/// Seconds whose points trends are told from.
const RECENT: f64 = 180.0;
/// Points without which nothing can be said of a trend.
const ENOUGH: usize = 3;
/// Seconds in which somebody who keeps up had nothing left once.
const MOMENT: f64 = 60.0;
/// A change of lag smaller than this part of it, and smaller than so many records, is no trend.
const STEADY: (f64, f64) = (0.02, 5.0);

/// Bytes of a series that moves, about.
const MOVING_BYTES: usize = POINTS * size_of::<f32>() + 64;
/// Bytes of a series' place in the maps, about.
const PLACE_BYTES: usize = size_of::<Series>() + 48;

/// The values of one thing, one a look; NaN where it was not known.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// The look of the last value, counted from 1; 0 before the first.
    last_look: u64,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    /// The same all the time.
    Flat { value: f32, length: usize },
    /// The last ones.
    Moving(Box<Moving>),
}

#[derive(Clone, Debug)]
struct Moving {
    values: VecDeque<f32>,
    /// How often the last one came in a row.
    same: usize,
}

impl Default for Values {
    fn default() -> Self {
        Self::Flat { value: f32::NAN, length: 0 }
    }
}

impl Series {
    fn push(&mut self, look: u64, value: Option<f64>) {
        let value = value.map_or(f32::NAN, |value| value as f32);
        if self.last_look > 0 {
            let missed = usize::try_from(look - self.last_look - 1).unwrap_or(POINTS);
            (0..missed.min(POINTS)).for_each(|_| self.append(f32::NAN));
        }
        self.append(value);
        self.last_look = look;
    }

    fn append(&mut self, new: f32) {
        match &mut self.values {
            Values::Flat { value, length } if *length == 0 || value.to_bits() == new.to_bits() => {
                *value = new;
                *length = (*length + 1).min(POINTS);
            }
            Values::Flat { value, length } => {
                let mut values = VecDeque::with_capacity(POINTS);
                values.extend(std::iter::repeat_n(*value, (*length).min(POINTS - 1)));
                values.push_back(new);
                self.values = Values::Moving(Box::new(Moving { values, same: 1 }));
            }
            Values::Moving(moving) => {
                let Moving { values, same } = &mut **moving;
                *same = if values.back().is_some_and(|last| last.to_bits() == new.to_bits()) { *same + 1 } else { 1 };
                if *same >= POINTS {
                    self.values = Values::Flat { value: new, length: POINTS };
                    return;
                }
                if values.len() == POINTS {
                    values.pop_front();
                }
                values.push_back(new);
            }
        }
    }

    /// Forgets all but the last value.
    fn begin_anew(&mut self) {
        if let Values::Moving(moving) = &self.values {
            self.values = Values::Flat { value: moving.values.back().copied().unwrap_or(f32::NAN), length: 1 };
        }
    }

    fn moves(&self) -> bool {
        matches!(self.values, Values::Moving(_))
    }

    /// How far the largest known value is from the smallest.
    fn spread(&self) -> f32 {
        let Values::Moving(moving) = &self.values else { return 0.0 };
        let known = moving.values.iter().copied().filter(|value| !value.is_nan());
        let (low, high) = known.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        (high - low).max(0.0)
    }

    /// The last `count` values, oldest first, as of look `now`; NaN where there is none.
    fn last(&self, count: usize, now: u64) -> Vec<f32> {
        let behind = usize::try_from(now - self.last_look).unwrap_or(count).min(count);
        let mut newest_first: Vec<f32> = vec![f32::NAN; if self.last_look == 0 { count } else { behind }];
        match &self.values {
            Values::Flat { value, length } => newest_first.extend(std::iter::repeat_n(*value, *length)),
            Values::Moving(moving) => newest_first.extend(moving.values.iter().rev()),
        }
        newest_first.resize(count, f32::NAN);
        newest_first.reverse();
        newest_first
    }
}

/// Where a lag is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trend {
    /// It grows.
    Rising,
    /// It shrinks.
    Falling,
    /// It does neither, or not enough to speak of.
    Steady,
}

/// How long it takes until nothing is left to read, if everything goes on as in the last minutes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "when", content = "seconds")]
pub enum Drain {
    /// Nothing is left.
    Done,
    /// Nothing was left a moment ago: what is there now has just been written.
    Soon,
    /// So many seconds.
    In(f64),
    /// The lag does not shrink.
    Never,
    /// It was not looked at for long enough to say.
    Unknown,
}

/// What is known of the way of a lag.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// Its points, oldest first.
    pub points: Vec<f32>,
    /// Where it is going.
    pub trend: Trend,
    /// When it will be gone.
    pub drain: Drain,
}

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
        let points = self.points(lag);
        let seconds = |time: &i64| *time as f64 / 1000.0;
        let begin = self.times.back().map_or(0.0, seconds) - RECENT;
        let known: Vec<(f64, f64)> = self
            .times
            .iter()
            .map(seconds)
            .zip(points.iter().map(|lag| f64::from(*lag)))
            .filter(|(time, lag)| *time > begin && !lag.is_nan())
            .collect();
        Course { trend: trend(&known), drain: drain(&known), points }
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

        let (mut written, mut read) = (0, 0);
        for (name, topic) in &after.topics {
            let earlier = before.topics.get(name);
            let records_written =
                earlier.map_or(0, |earlier| written_between(earlier, topic).map(|(_, records)| records).sum());
            let records_read = read_by_topic.get(name.as_str()).copied().unwrap_or(0);
            let series = match self.topics.get_mut(name) {
                Some(series) => series,
                None => self.topics.entry(name.clone()).or_default(),
            };
            series.written.push(look, rate(records_written));
            series.read.push(look, rate(records_read));
            if !topic.internal {
                written += records_written;
                read += records_read;
            }
        }
        self.topics.retain(|_, series| series.written.last_look == look);
        self.written.push(look, rate(written));
        self.read.push(look, rate(read));
        self.lag.push(look, Some(after.lag() as f64));
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

/// The line that lies closest to `points` (seconds, value): its slope a second, and how far they lie from it.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    if points.len() < ENOUGH {
        return None;
    }
    let count = points.len() as f64;
    let mean_time = points.iter().map(|(time, _)| time).sum::<f64>() / count;
    let mean_value = points.iter().map(|(_, value)| value).sum::<f64>() / count;
    let (mut both, mut square) = (0.0, 0.0);
    for (time, value) in points {
        both += (time - mean_time) * (value - mean_value);
        square += (time - mean_time).powi(2);
    }
    if square <= 0.0 {
        return None;
    }
    let slope = both / square;
    let away = |(time, value): &(f64, f64)| (value - mean_value - slope * (time - mean_time)).powi(2);
    Some((slope, (points.iter().map(away).sum::<f64>() / count).sqrt()))
}

fn keeps_up(points: &[(f64, f64)]) -> bool {
    let now = points.last().map_or(0.0, |(time, _)| *time);
    points.iter().rev().take_while(|(time, _)| now - time < MOMENT).any(|(_, left)| *left <= 0.0)
}

fn trend(points: &[(f64, f64)]) -> Trend {
    let (Some((slope, scatter)), Some(first), Some(last)) = (line(points), points.first(), points.last()) else {
        return Trend::Steady;
    };
    let change = slope * (last.0 - first.0);
    let largest = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    if keeps_up(&points[1..]) || change.abs() <= STEADY.1.max(largest * STEADY.0).max(scatter) {
        return Trend::Steady;
    }
    if change > 0.0 { Trend::Rising } else { Trend::Falling }
}

fn drain(points: &[(f64, f64)]) -> Drain {
    let Some((_, left)) = points.last() else { return Drain::Unknown };
    if *left <= 0.0 {
        return Drain::Done;
    }
    if keeps_up(&points[1..]) {
        return Drain::Soon;
    }
    match (line(points).map(|(slope, _)| slope), trend(points)) {
        (None, _) => Drain::Unknown,
        (Some(slope), Trend::Falling) => Drain::In(left / -slope),
        (Some(_), Trend::Rising | Trend::Steady) => Drain::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::watch::testing::{at, group, topic};

    fn every_five_seconds(values: impl IntoIterator<Item = f64>) -> Vec<(f64, f64)> {
        values.into_iter().enumerate().map(|(number, value)| (number as f64 * 5.0, value)).collect()
    }

    #[test]
    fn a_series_keeps_the_last_points_in_order_and_knows_its_gaps() {
        let mut series = Series::default();
        assert!(series.last(2, 0).iter().all(|value| value.is_nan()));
        for look in 1..=400_u64 {
            series.push(look, Some(look as f64));
        }
        let last = series.last(POINTS, 400);
        assert_eq!((last.len(), last[0], last[POINTS - 1]), (POINTS, 221.0, 400.0));
        series.push(403, Some(7.0));
        let last = series.last(4, 403);
        assert_eq!((last[0], last[3]), (400.0, 7.0));
        assert!(last[1].is_nan() && last[2].is_nan());
        assert!(series.last(2, 404)[1].is_nan(), "nothing is known of a look that it missed");
    }

    #[test]
    fn what_does_not_move_takes_no_room_and_what_came_to_rest_gives_it_back() {
        let mut series = Series::default();
        (1..=50).for_each(|look| series.push(look, Some(3.0)));
        assert!(!series.moves());
        series.push(51, Some(4.0));
        assert!(series.moves());
        let last = series.last(POINTS, 51);
        assert!(last[POINTS - 52].is_nan(), "it began at the first look");
        assert_eq!((last[POINTS - 51], last[POINTS - 2], last[POINTS - 1]), (3.0, 3.0, 4.0));
        let until = 51 + POINTS as u64;
        (52..until).for_each(|look| series.push(look, Some(4.0)));
        assert!(!series.moves());
        assert!(series.last(POINTS, until - 1).iter().all(|value| *value == 4.0));
    }

    #[test]
    fn a_trend_is_more_than_a_ripple() {
        assert_eq!(trend(&every_five_seconds([1000.0, 1003.0, 999.0, 1001.0])), Trend::Steady);
        assert_eq!(trend(&every_five_seconds([1000.0, 900.0, 800.0, 700.0])), Trend::Falling);
        assert_eq!(trend(&every_five_seconds([0.0, 50.0, 100.0])), Trend::Rising);
        assert_eq!(trend(&every_five_seconds([100.0])), Trend::Steady);
        let noise = (0..36).map(|number| 500.0 + f64::from((number * 7_919) % 401));
        assert_eq!(trend(&every_five_seconds(noise)), Trend::Steady, "up and down is no way");
    }

    #[test]
    fn a_lag_that_shrinks_is_gone_in_time_and_one_that_grows_never() {
        let Drain::In(seconds) = drain(&every_five_seconds([1000.0, 900.0, 800.0, 700.0])) else {
            panic!("it shrinks by 20 a second")
        };
        assert!((seconds - 35.0).abs() < 0.01, "{seconds}");
        assert_eq!(drain(&every_five_seconds([10.0, 20.0, 300.0])), Drain::Never);
        assert_eq!(drain(&every_five_seconds([500.0, 500.0, 500.0])), Drain::Never);
        assert_eq!(drain(&every_five_seconds([500.0, 100.0, 0.0])), Drain::Done);
        assert_eq!(drain(&every_five_seconds([500.0, 0.0, 300.0, 400.0])), Drain::Soon);
        assert_eq!(drain(&every_five_seconds([500.0, 100.0])), Drain::Unknown);
        assert_eq!(drain(&[]), Drain::Unknown);
    }

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
