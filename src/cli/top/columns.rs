//! The columns of the tables: what stands in them, how they are sorted, and which give way first.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::tz::TimeZone;

use super::details::{PartitionRow, PositionRow};
use super::facts::{GroupRow, TopicRow};
use super::trouble::{Severity, Trouble};
use super::words;
use crate::kafka::admin::groups::is_rebalancing;
use crate::kafka::watch::course::{Drain, Trend};
use crate::kafka::watch::trail::Change;

/// How many points a course in a table has.
const COURSE: u16 = 16;

/// How something is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it stands.
    #[default]
    Plain,
    /// Not worth a look.
    Faint,
    /// As it should be.
    Good,
    /// To be kept in mind.
    Warn,
    /// Wrong.
    Bad,
    /// A course.
    Course,
}

/// What stands in a row's column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The text.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
}

/// A column of rows of `R`.
pub struct Column<R> {
    /// Its title.
    pub title: &'static str,
    /// How wide it is; the one of width 0 takes what is left, and [`LEAST`] at least.
    pub width: u16,
    /// Whether it holds numbers, which stand at the right.
    pub is_number: bool,
    /// When it gives way where there is little room: the largest first, 0 never.
    pub rank: u8,
    /// What stands in it.
    pub cell: fn(&R, &TimeZone) -> Cell,
    /// What comes first when it is sorted by; `None` if that makes no sense.
    pub order: Option<fn(&R, &R) -> Ordering>,
}

/// The least width of the column that takes what is left.
pub const LEAST: u16 = 32;

/// Something that stands in a table.
pub trait Row: Sized + 'static {
    /// The columns.
    const COLUMNS: &'static [Column<Self>];
    /// The column that it is sorted by unless told otherwise.
    const SORTED_BY: usize;
    /// What makes it the same row at the next look.
    fn key(&self) -> Cow<'_, str>;
}

impl<R> Column<R> {
    const fn text(title: &'static str, width: u16, rank: u8, cell: fn(&R, &TimeZone) -> Cell) -> Self {
        Self { title, width, is_number: false, rank, cell, order: None }
    }

    const fn number(title: &'static str, width: u16, rank: u8, cell: fn(&R, &TimeZone) -> Cell) -> Self {
        Self { is_number: true, ..Self::text(title, width, rank, cell) }
    }

    const fn by(self, order: fn(&R, &R) -> Ordering) -> Self {
        Self { order: Some(order), ..self }
    }
}

type OfTopic = Column<TopicRow>;

impl Row for TopicRow {
    const COLUMNS: &'static [Column<Self>] = &[
        OfTopic::text("TOPIC", 0, 0, |row, _| match row.internal {
            true => toned(&row.topic, Tone::Faint),
            false => plain(&row.topic),
        })
        .by(|a, b| a.topic.cmp(&b.topic)),
        OfTopic::number("PARTS", 6, 4, |row, _| plain(row.partitions)).by(|a, b| b.partitions.cmp(&a.partitions)),
        OfTopic::number("IN/S", 10, 0, |row, _| quiet(row.written, words::rate)).by(|a, b| down(a.written, b.written)),
        OfTopic::text("", COURSE, 3, |row, _| course(&row.course)),
        OfTopic::number("BYTES/S", 10, 2, |row, _| quiet(row.bytes, words::bytes_rate))
            .by(|a, b| down(a.bytes, b.bytes)),
        OfTopic::number("OUT/S", 10, 1, |row, _| quiet(row.read, words::rate)).by(|a, b| down(a.read, b.read)),
        OfTopic::number("MESSAGES", 13, 6, |row, _| plain(words::count(row.messages)))
            .by(|a, b| b.messages.cmp(&a.messages)),
        OfTopic::number("SIZE", 10, 5, |row, _| plain(words::bytes(row.size))).by(|a, b| b.size.cmp(&a.size)),
        OfTopic::text("STATE", 18, 1, |row, _| match (row.offline, row.under_replicated) {
            (0, 0) => toned("ok", Tone::Good),
            (0, under) => toned(format!("{under} under-replicated"), Tone::Warn),
            (offline, _) => toned(format!("{offline} offline"), Tone::Bad),
        })
        .by(|a, b| (b.offline, b.under_replicated).cmp(&(a.offline, a.under_replicated))),
    ];
    const SORTED_BY: usize = 2;

    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.topic)
    }
}

type OfGroup = Column<GroupRow>;

impl Row for GroupRow {
    const COLUMNS: &'static [Column<Self>] = &[
        OfGroup::text("GROUP", 0, 0, |row, _| plain(&row.group)).by(|a, b| a.group.cmp(&b.group)),
        OfGroup::text("STATE", 19, 1, |row, _| state(&row.state)).by(|a, b| a.state.cmp(&b.state)),
        OfGroup::number("MEMBERS", 8, 4, |row, _| plain(row.members)).by(|a, b| b.members.cmp(&a.members)),
        OfGroup::number("TOPICS", 7, 4, |row, _| plain(row.topics.len()))
            .by(|a, b| b.topics.len().cmp(&a.topics.len())),
        OfGroup::number("LAG", 12, 0, |row, _| match row.lag {
            Some(0) => toned("0", Tone::Faint),
            lag => plain(words::lag(lag, row.lag_is_partial)),
        })
        .by(|a, b| b.lag.cmp(&a.lag)),
        OfGroup::text("", 1, 2, |row, _| trend(row.trend)),
        OfGroup::text("", COURSE, 3, |row, _| course(&row.course)),
        OfGroup::number("OUT/S", 10, 0, |row, _| quiet(row.read, words::rate)).by(|a, b| down(a.read, b.read)),
        OfGroup::number("DRAINS IN", 10, 2, |row, _| drain(row)).by(|a, b| until(b.drain).total_cmp(&until(a.drain))),
        OfGroup::number("BEHIND", 8, 5, |row, _| quiet(row.lag_seconds, words::seconds))
            .by(|a, b| down(a.lag_seconds, b.lag_seconds)),
        OfGroup::number("REBALANCES", 11, 2, |row, _| {
            quiet(Some(row.rebalances as f64), |_| row.rebalances.to_string())
        })
        .by(|a, b| b.rebalances.cmp(&a.rebalances)),
        OfGroup::text("LAST", 8, 6, |row, zone| toned(words::clock(row.last_rebalance, zone), Tone::Faint))
            .by(|a, b| b.last_rebalance.cmp(&a.last_rebalance)),
    ];
    const SORTED_BY: usize = 4;

    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.group)
    }
}

type OfChange = Column<Change>;

impl Row for Change {
    const COLUMNS: &'static [Column<Self>] = &[
        OfChange::text("TIME", 8, 0, |row, zone| plain(words::clock(Some(row.at), zone))).by(|a, b| b.at.cmp(&a.at)),
        OfChange::text("GROUP", 0, 0, |row, _| plain(&row.group)).by(|a, b| a.group.cmp(&b.group)),
        OfChange::text("STATE", 40, 1, |row, _| {
            let [from, to] = [&row.from, &row.to].map(|state| state.as_deref().unwrap_or("(none)"));
            let now = state(to);
            if from == to { now } else { toned(format!("{from} → {to}"), now.tone) }
        }),
        OfChange::number("MEMBERS", 8, 2, |row, _| plain(row.members)),
        OfChange::number("MOVED", 6, 2, |row, _| plain(row.moved)).by(|a, b| b.moved.cmp(&a.moved)),
        OfChange::text("CAME", 28, 3, |row, _| plain(row.joined.join(", "))),
        OfChange::text("LEFT", 28, 3, |row, _| plain(row.left.join(", "))),
    ];
    const SORTED_BY: usize = 0;

    fn key(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{} {}", self.at, self.group))
    }
}

type OfTrouble = Column<Trouble>;

impl Row for Trouble {
    const COLUMNS: &'static [Column<Self>] = &[
        OfTrouble::text("SEVERITY", 9, 1, |row, _| match row.severity {
            Severity::Error => toned("error", Tone::Bad),
            Severity::Warning => toned("warning", Tone::Warn),
        })
        .by(|a, b| a.cmp(b)),
        OfTrouble::text("OF", 7, 0, |row, _| plain(row.subject.name())).by(|a, b| a.subject.cmp(&b.subject)),
        OfTrouble::text("NAME", 28, 0, |row, _| plain(&row.name)).by(|a, b| a.name.cmp(&b.name)),
        OfTrouble::text("PROBLEM", 0, 0, |row, _| plain(&row.reason)).by(|a, b| a.reason.cmp(&b.reason)),
    ];
    const SORTED_BY: usize = 0;

    fn key(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{} {} {}", self.subject.name(), self.name, self.reason))
    }
}

type OfPartition = Column<PartitionRow>;

impl Row for PartitionRow {
    const COLUMNS: &'static [Column<Self>] = &[
        OfPartition::number("PARTITION", 10, 0, |row, _| plain(row.partition.partition))
            .by(|a, b| a.partition.partition.cmp(&b.partition.partition)),
        OfPartition::number("IN/S", 10, 0, |row, _| quiet(row.written, words::rate))
            .by(|a, b| down(a.written, b.written)),
        OfPartition::number("LEADER", 7, 1, |row, _| plain(words::known(row.partition.leader)))
            .by(|a, b| a.partition.leader.cmp(&b.partition.leader)),
        OfPartition::text("REPLICAS", 12, 3, |row, _| plain(numbers(&row.partition.replicas))),
        OfPartition::text("ISR", 12, 3, |row, _| plain(numbers(&row.partition.isr))),
        OfPartition::number("EARLIEST", 13, 5, |row, _| plain(words::count(row.partition.earliest))),
        OfPartition::number("LATEST", 13, 4, |row, _| plain(words::count(row.partition.latest)))
            .by(|a, b| b.partition.latest.cmp(&a.partition.latest)),
        OfPartition::number("MESSAGES", 13, 2, |row, _| plain(words::count(row.partition.messages())))
            .by(|a, b| b.partition.messages().cmp(&a.partition.messages())),
        OfPartition::number("SIZE", 10, 2, |row, _| plain(words::bytes(row.partition.size)))
            .by(|a, b| b.partition.size.cmp(&a.partition.size)),
        OfPartition::text("STATE", 0, 0, |row, _| match (row.partition.leader, row.partition.is_under_replicated()) {
            (None, _) => toned("no leader", Tone::Bad),
            (Some(_), true) => toned("under-replicated", Tone::Warn),
            (Some(_), false) => toned("ok", Tone::Good),
        }),
    ];
    const SORTED_BY: usize = 0;

    fn key(&self) -> Cow<'_, str> {
        Cow::Owned(self.partition.partition.to_string())
    }
}

type OfPosition = Column<PositionRow>;

impl Row for PositionRow {
    const COLUMNS: &'static [Column<Self>] = &[
        OfPosition::text("TOPIC", 0, 0, |row, _| plain(&row.position.topic))
            .by(|a, b| (&a.position.topic, a.position.partition).cmp(&(&b.position.topic, b.position.partition))),
        OfPosition::number("PARTITION", 10, 0, |row, _| plain(row.position.partition))
            .by(|a, b| a.position.partition.cmp(&b.position.partition)),
        OfPosition::number("COMMITTED", 13, 3, |row, _| plain(words::count(row.position.committed))),
        OfPosition::number("END", 13, 3, |row, _| plain(words::count(row.position.end))),
        OfPosition::number("LAG", 12, 0, |row, _| match row.position.lag {
            Some(0) => toned("0", Tone::Faint),
            lag => plain(words::count(lag)),
        })
        .by(|a, b| b.position.lag.cmp(&a.position.lag)),
        OfPosition::number("OUT/S", 10, 1, |row, _| quiet(row.read, words::rate)).by(|a, b| down(a.read, b.read)),
        OfPosition::number("BEHIND", 8, 2, |row, _| quiet(row.position.lag_seconds, words::seconds))
            .by(|a, b| down(a.position.lag_seconds, b.position.lag_seconds)),
        OfPosition::text("READ BY", 24, 2, |row, _| match &row.reader {
            Some(reader) => plain(reader),
            None => toned("nobody", Tone::Faint),
        })
        .by(|a, b| a.reader.cmp(&b.reader)),
        OfPosition::text("NOTE", 18, 4, |row, _| toned(row.position.note.unwrap_or_default(), Tone::Warn)),
    ];
    const SORTED_BY: usize = 0;

    fn key(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{}[{}]", self.position.topic, self.position.partition))
    }
}

/// A group's state.
pub fn state(state: &str) -> Cell {
    let tone = match state {
        "Stable" => Tone::Good,
        "Dead" | "Unknown" => Tone::Bad,
        rebalancing if is_rebalancing(rebalancing) => Tone::Warn,
        _ => Tone::Faint,
    };
    toned(state, tone)
}

/// Where a lag is going.
pub fn trend(trend: Trend) -> Cell {
    let tone = match trend {
        Trend::Rising => Tone::Warn,
        Trend::Falling => Tone::Good,
        Trend::Steady => Tone::Faint,
    };
    toned(words::arrow(trend), tone)
}

/// When a group's lag will be gone.
pub fn drain(row: &GroupRow) -> Cell {
    let tone = match row.drain {
        Drain::Never => Tone::Warn,
        Drain::In(_) => Tone::Plain,
        Drain::Done | Drain::Soon | Drain::Unknown => Tone::Faint,
    };
    toned(words::drain(row.drain), tone)
}

/// Brokers in a list.
pub fn numbers(brokers: &[i32]) -> String {
    brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn plain(text: impl ToString) -> Cell {
    toned(text, Tone::Plain)
}

fn toned(text: impl ToString, tone: Tone) -> Cell {
    Cell { text: text.to_string(), tone }
}

fn course(points: &[f32]) -> Cell {
    toned(words::spark(points, COURSE.into()), Tone::Course)
}

/// A number that is not worth a look when it is nothing.
fn quiet(number: Option<f64>, word: impl Fn(Option<f64>) -> String) -> Cell {
    let tone = if number.unwrap_or(0.0) == 0.0 { Tone::Faint } else { Tone::Plain };
    toned(word(number), tone)
}

/// The largest first, and last what is not known.
fn down(a: Option<f64>, b: Option<f64>) -> Ordering {
    // None is less than any number, and no rate is NaN.
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}

/// Seconds until nothing is left, to sort by.
fn until(drain: Drain) -> f64 {
    match drain {
        Drain::Unknown => -1.0,
        Drain::Done => 0.0,
        Drain::Soon => 0.5,
        Drain::In(seconds) => seconds,
        Drain::Never => f64::INFINITY,
    }
}
