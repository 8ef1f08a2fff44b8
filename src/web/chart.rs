//! Charts of the last minutes, drawn as SVG by the server: they are there before scripts arrive, and without them.

use schemars::JsonSchema;
use serde::Serialize;

use super::human;

/// The size of a chart's drawing; its frame stretches it.
const SIZE: (f64, f64) = (720.0, 180.0);
/// How much of its room a bar takes; the rest is the gap to the next.
const BAR: f64 = 0.8;
/// Milliseconds that one row of a chart's table sums up.
const MINUTE: i64 = 60_000;

/// What a chart's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Records a second.
    Rate,
    /// Records.
    Records,
    /// Seconds.
    Seconds,
    /// Things of any kind.
    Count,
    /// Cents.
    Money,
}

impl Unit {
    /// A value as people read it.
    pub fn say(self, value: f64) -> String {
        match self {
            Self::Rate => human::rate(Some(value)),
            Self::Records | Self::Count => human::count(value.round() as i64),
            Self::Seconds => human::length((value * 1000.0).round() as i64),
            Self::Money => human::money(value.round() as i64),
        }
    }

    /// A value as it stands at the side of a chart: as short as it can be.
    fn mark(self, value: f64) -> String {
        let text = self.say(value);
        match self {
            Self::Money => text.strip_suffix(".00").map_or_else(|| text.clone(), str::to_owned),
            _ => text,
        }
    }

    /// Its name, for scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Records => "records",
            Self::Seconds => "seconds",
            Self::Count => "count",
            Self::Money => "money",
        }
    }

    /// A round number, at least as large as `value`, for the top of a chart.
    fn round_up(self, value: f64) -> f64 {
        let steps: &[f64] = match self {
            Self::Rate | Self::Records | Self::Count | Self::Money => &[1.0, 2.0, 5.0],
            Self::Seconds if value > 60.0 => {
                &[60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 43_200.0, 86_400.0]
            }
            Self::Seconds => &[2.0, 5.0, 10.0, 20.0, 30.0, 60.0],
        };
        let least = match self {
            Self::Rate | Self::Seconds => 1.0,
            Self::Records | Self::Count => 2.0,
            Self::Money => 200.0,
        };
        let value = value.max(least);
        if self == Self::Seconds && value <= 86_400.0 {
            return steps.iter().copied().find(|step| *step >= value).unwrap_or(value);
        }
        let (power, steps) = if self == Self::Seconds {
            let days = value / 86_400.0;
            (86_400.0 * 10_f64.powf(days.log10().floor()), &[1.0, 2.0, 5.0][..])
        } else {
            (10_f64.powf(value.log10().floor()), steps)
        };
        steps.iter().map(|step| step * power).find(|rounded| *rounded >= value).unwrap_or(10.0 * power)
    }
}

/// A line of a chart.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Line {
    /// What it tells of.
    pub name: String,
    /// Where more is said of that.
    #[serde(skip)]
    pub href: Option<String>,
    /// Its values, one a time; `null` where there is none.
    pub values: Vec<Option<f32>>,
}

impl Line {
    /// A line through `points`, where NaN is no value.
    pub fn new(name: impl Into<String>, href: Option<String>, points: &[f32]) -> Self {
        let values = points.iter().map(|value| (!value.is_nan()).then_some(*value)).collect();
        Self { name: name.into(), href, values }
    }

    fn now(&self) -> Option<f64> {
        self.values.last().copied().flatten().map(f64::from)
    }

    fn most(&self) -> f64 {
        self.values.iter().flatten().copied().fold(0.0_f32, f32::max).into()
    }
}

/// The time that a chart shows, up to its last value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// How long it is, in minutes.
    pub minutes: u32,
    /// Milliseconds from one value to the next.
    pub step: i64,
}

/// A chart.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Chart {
    /// Its name on the page.
    pub id: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What its values are.
    pub unit: Unit,
    /// Whether its lines lie on each other, so that the uppermost is the sum.
    pub stacked: bool,
    /// Whether each value is that of a length of time, which begins at its time, and is drawn as a bar over it.
    #[serde(skip)]
    pub bars: bool,
    /// The time it shows.
    #[serde(skip)]
    pub window: Window,
    /// When the values were taken, in milliseconds since the epoch.
    pub times: Vec<i64>,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A row of a chart's table: a minute.
pub struct Row {
    /// When it ended, or of bars when it began (ms).
    pub at: i64,
    /// What each line was on average.
    pub values: Vec<String>,
}

impl Chart {
    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.values.iter().flatten().all(|value| *value == 0.0))
    }

    /// What is said when there is nothing to draw.
    pub fn nothing(&self) -> String {
        let minutes = self.window.minutes;
        match self.unit {
            _ if self.times.len() < 2 => "The first points come in some seconds.".to_owned(),
            Unit::Rate | Unit::Count | Unit::Money => format!("Nothing in the last {minutes} minutes."),
            Unit::Records | Unit::Seconds => format!("No lag in the last {minutes} minutes."),
        }
    }

    /// What its top stands for.
    fn top(&self) -> f64 {
        let highest = match self.stacked {
            true => (0..self.times.len()).map(|at| self.sum_at(self.lines.len(), at)).fold(0.0, f64::max),
            false => self.lines.iter().map(Line::most).fold(0.0, f64::max),
        };
        self.unit.round_up(highest)
    }

    /// The marks at its left side, from the top down.
    pub fn marks(&self) -> [String; 3] {
        let top = self.top();
        [self.unit.mark(top), self.unit.mark(top / 2.0), "0".to_owned()]
    }

    /// The marks below it, from the first to the last.
    pub fn ages(&self) -> [String; 4] {
        let third = self.window.minutes / 3;
        let age = |thirds| format!("{} min", third * thirds);
        [format!("{} ago", age(3)), age(2), age(1), "now".to_owned()]
    }

    /// What each line is now, and all together.
    pub fn legend(&self) -> impl Iterator<Item = (&Line, String)> {
        let say = |value: Option<f64>| value.map_or_else(|| human::UNKNOWN.to_owned(), |value| self.unit.say(value));
        self.lines.iter().map(move |line| (line, say(line.now())))
    }

    /// What it shows, in words.
    pub fn summary(&self) -> String {
        let line = |line: &Line| {
            let now = line.now().map_or_else(|| "unknown".to_owned(), |now| self.unit.say(now));
            format!("{}: now {now}, at most {}", line.name, self.unit.say(line.most()))
        };
        let lines: Vec<String> = self.lines.iter().map(line).collect();
        format!("The last {} minutes. {}.", self.window.minutes, lines.join("; "))
    }

    /// Its values as a table, a row a minute, newest first.
    pub fn rows(&self) -> Vec<Row> {
        let points = usize::try_from(MINUTE / self.window.step.max(1)).unwrap_or_default().max(1);
        let ends = (0..self.times.len()).rev().step_by(points);
        let row = |end: usize| {
            let first = (end + 1).saturating_sub(points);
            let mean = |line: &Line| {
                let known: Vec<f32> = line.values[first..=end].iter().flatten().copied().collect();
                match known.is_empty() {
                    true => human::UNKNOWN.to_owned(),
                    false => self.unit.say(f64::from(known.iter().sum::<f32>()) / known.len() as f64),
                }
            };
            Row { at: self.times[end], values: self.lines.iter().map(mean).collect() }
        };
        ends.map(row).collect()
    }

    /// The path of each line, in the drawing's units; of a stacked chart, that of the area under it; or that of its bars.
    pub fn paths(&self) -> Vec<String> {
        let top = self.top();
        let y = |value: f64| SIZE.1 * (1.0 - value.max(0.0) / top);
        let draw = |number: usize| match self.stacked {
            _ if self.bars => (0..self.times.len()).map(|at| self.bar(number, at, y)).collect(),
            false => self.path(|at| self.lines[number].values[at].map(|value| y(f64::from(value)))),
            true => {
                let upper = self.path(|at| {
                    self.lines[number].values[at]?;
                    Some(y(self.sum_at(number + 1, at)))
                });
                let known = (0..self.times.len()).filter(|at| self.lines[number].values[*at].is_some());
                let lower = known.rev().map(|at| format!("L{:.1} {:.1}", self.x(at), y(self.sum_at(number, at))));
                if upper.is_empty() { upper } else { format!("{upper}{}Z", lower.collect::<String>()) }
            }
        };
        (0..self.lines.len()).map(draw).collect()
    }

    /// The sum of the first `lines` lines.
    fn sum_at(&self, lines: usize, at: usize) -> f64 {
        self.lines[..lines].iter().filter_map(|line| line.values[at]).map(f64::from).sum()
    }

    fn x(&self, at: usize) -> f64 {
        let last = self.times.last().copied().unwrap_or(0) + self.breadth();
        SIZE.0 * (1.0 - (last - self.times[at]) as f64 / self.span() as f64)
    }

    /// How long a value holds, in milliseconds: nothing, unless it is a bar.
    fn breadth(&self) -> i64 {
        if self.bars { self.window.step } else { 0 }
    }

    /// Milliseconds from its left side to its right.
    fn span(&self) -> i64 {
        i64::from(self.window.minutes) * MINUTE - (self.window.step - self.breadth())
    }

    /// A bar of a line; on those of the lines before it, if they are stacked.
    fn bar(&self, line: usize, at: usize, y: impl Fn(f64) -> f64) -> String {
        let Some(value) = self.lines[line].values[at].map(f64::from).filter(|value| *value > 0.0) else {
            return String::new();
        };
        let base = if self.stacked { self.sum_at(line, at) } else { 0.0 };
        let room = SIZE.0 * self.breadth() as f64 / self.span() as f64;
        let (left, width) = (self.x(at) + room * (1.0 - BAR) / 2.0, room * BAR);
        format!("M{left:.1} {:.1}V{:.1}h{width:.1}V{:.1}Z", y(base), y(base + value), y(base))
    }

    fn path(&self, y: impl Fn(usize) -> Option<f64>) -> String {
        let mut path = String::new();
        let mut is_down = false;
        for at in 0..self.times.len() {
            let value = y(at);
            if let Some(y) = value {
                path += &format!(
                    "{}{:.1} {y:.1}",
                    if is_down || self.stacked && !path.is_empty() { "L" } else { "M" },
                    self.x(at)
                );
            }
            is_down = value.is_some();
        }
        path
    }

    /// Its values, for the script that shows them one by one.
    pub fn data(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|line| (&line.name, &line.values)).collect();
        let (unit, span, breadth) = (self.unit.name(), self.span(), self.breadth());
        let data =
            serde_json::json!({ "unit": unit, "span": span, "breadth": breadth, "times": self.times, "lines": lines });
        data.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(stacked: bool, lines: &[&[f32]]) -> Chart {
        let times = (0..lines[0].len() as i64).map(|number| number * 5_000).collect();
        let lines = lines.iter().map(|points| Line::new("line", None, points)).collect();
        let window = Window { minutes: 15, step: 5_000 };
        Chart { id: "chart", title: "Chart", unit: Unit::Records, stacked, bars: false, window, times, lines }
    }

    #[test]
    fn the_top_is_round_and_no_value_lies_above_it() {
        for (unit, value, top) in [
            (Unit::Records, 0.0, 2.0),
            (Unit::Records, 101.0, 200.0),
            (Unit::Rate, 0.3, 1.0),
            (Unit::Rate, 5_000.0, 5_000.0),
            (Unit::Seconds, 45.0, 60.0),
            (Unit::Seconds, 61.0, 120.0),
            (Unit::Seconds, 86_401.0, 172_800.0),
            (Unit::Money, 0.0, 200.0),
            (Unit::Money, 12_345.0, 20_000.0),
        ] {
            assert_eq!(unit.round_up(value), top, "{value}");
        }
        assert_eq!((Unit::Money.mark(20_000.0), Unit::Money.say(20_000.0)), ("$200".into(), "$200.00".into()));
        for unit in [Unit::Rate, Unit::Records, Unit::Seconds] {
            for power in 0..40 {
                let value = 1.7_f64.powi(power);
                assert!(
                    unit.round_up(value) >= value && unit.round_up(value) <= value.max(1.0) * 6.0,
                    "{unit:?} {value}"
                );
            }
        }
    }

    #[test]
    fn a_line_ends_at_the_right_and_is_broken_where_nothing_is_known() {
        let chart = chart(false, &[&[1.0, f32::NAN, 2.0, 1.0]]);
        let path = &chart.paths()[0];
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert!(path.contains("M716.0 0.0") && path.ends_with("L720.0 90.0"), "{path}");
        assert_eq!(chart.marks(), ["2", "1", "0"]);
    }

    #[test]
    fn stacked_lines_lie_on_each_other() {
        let chart = chart(true, &[&[1.0, 1.0], &[1.0, 3.0]]);
        assert_eq!(chart.marks()[0], "5");
        let paths = chart.paths();
        assert!(paths[1].contains("L720.0 36.0") && paths[1].ends_with('Z'), "{paths:?}");
        assert!(paths[1].contains("L720.0 144.0"), "its lower side is the other's upper: {paths:?}");
    }

    #[test]
    fn bars_stand_on_each_other_over_the_time_that_they_are_of() {
        let window = Window { minutes: 2, step: 60_000 };
        let chart = Chart { bars: true, window, times: vec![0, 60_000], ..chart(true, &[&[1.0, 0.0], &[1.0, 2.0]]) };
        assert_eq!(
            chart.paths(),
            ["M36.0 180.0V90.0h288.0V180.0Z", "M36.0 90.0V0.0h288.0V90.0ZM396.0 180.0V0.0h288.0V180.0Z"]
        );
        assert_eq!(chart.rows().iter().map(|row| row.at).collect::<Vec<_>>(), [60_000, 0]);
    }

    #[test]
    fn the_table_sums_up_minutes_newest_first() {
        let points: Vec<f32> = (0..30).map(|number| number as f32).collect();
        let rows = chart(false, &[&points]).rows();
        assert_eq!(rows.iter().map(|row| row.at).collect::<Vec<_>>(), [145_000, 85_000, 25_000]);
        assert_eq!(rows[0].values, ["24"]);
    }
}
