//! One group: who is in it, how far it is behind and where that is going, and how its members changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::StatusCode;
use warp::reply::Response;

use crate::clock::now_ms;
use crate::console::chart::{Chart, Line, Unit};
use crate::console::frame::{self, Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::console::spark::spark;
use crate::console::{Console, WINDOW, human};
use crate::kafka::admin::groups::{Broker, Member};
use crate::kafka::admin::positions::Position;
use crate::kafka::watch::Problem;
use crate::kafka::watch::course::{Course, Drain, Trend};
use crate::kafka::watch::trail::Change;

/// Partitions on a page.
const PAGE: usize = 200;
/// Changes that are shown.
const CHANGES: usize = 30;

/// The addresses of one group.
pub fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/groups/{group}", page),
        Route::get("/api/console/groups/{group}", "A group: members, positions, rebalances, the last 15 minutes", one),
    ]
}

/// What is known of a group.
#[derive(Serialize, JsonSchema)]
pub struct One {
    /// When it was looked at, in milliseconds since the epoch; 0 if that was just now.
    pub taken_at: i64,
    /// Why it can't be looked at now.
    pub away: Option<String>,
    /// What could not be seen of the cluster.
    pub problems: Vec<Problem>,
    /// The group.
    pub group: String,
    /// `Stable`, `Empty`, `PreparingRebalance`, …
    pub state: String,
    /// `classic` or `consumer`.
    pub kind: String,
    /// The broker that coordinates it.
    pub coordinator: Broker,
    /// How partitions are shared out.
    pub assignor: Option<String>,
    /// Why its members or offsets are unknown.
    pub problem: Option<String>,
    /// Why it can't be reset or deleted now.
    pub in_use: Option<String>,
    /// Its members.
    pub members: Vec<Member>,
    /// Records that it has yet to read, as far as that is known.
    pub lag: Option<i64>,
    /// Whether partitions come on top of that.
    pub lag_is_partial: bool,
    /// For how long the first of them has waited, in seconds.
    pub lag_seconds: Option<f64>,
    /// Where its lag is going.
    pub trend: Trend,
    /// When its lag will be gone.
    pub drain: Drain,
    /// How far it is, partition by partition, in order.
    pub partitions: Vec<Place>,
    /// How its state, members and assignment changed, newest first.
    pub changes: Vec<Change>,
    /// The last 15 minutes.
    pub charts: Vec<Chart>,
}

/// How far a group is in a partition.
#[derive(Serialize, JsonSchema)]
pub struct Place {
    /// The position.
    #[serde(flatten)]
    pub position: Position,
    /// Where its lag is going.
    pub trend: Trend,
    /// When its lag will be gone.
    pub drain: Drain,
    /// The path of its sparkline.
    #[serde(skip)]
    pub spark: String,
}

impl One {
    async fn new(console: &Arc<Console>, name: &str) -> Result<Self, Refusal> {
        let group = super::seen(console, name).await?;
        let snapshot = console.watch.snapshot();
        let past = console.watch.past();
        let history = &past.history;
        let now = now_ms();
        let way = |course: Option<Course>, lag: Option<i64>| {
            let unknown = Course { points: Vec::new(), trend: Trend::Steady, drain: Drain::Unknown };
            let course = course.unwrap_or(unknown);
            // It may be newer than its history.
            if lag == Some(0) { Course { drain: Drain::Done, ..course } } else { course }
        };
        let place = |position: &Position| {
            let course = history.partition_course(name, &position.topic, position.partition);
            let course = way(course, position.lag);
            let position = Position { lag_seconds: position.lag_seconds_at(now), ..position.clone() };
            Place { position, trend: course.trend, drain: course.drain, spark: spark(&course.points) }
        };
        let course = way(history.course(name), group.lag());
        let chart = |id, title, unit, points: Vec<f32>| {
            let lines = vec![Line::new(name, None, &points)];
            let (stacked, times) = (unit == Unit::Records, history.times());
            Chart { id, title, unit, stacked, bars: false, window: WINDOW, times, lines }
        };
        let charts = history.group(name).map(|series| {
            vec![
                chart("lag", "Lag, records", Unit::Records, history.points(&series.lag)),
                chart("behind", "Behind, seconds", Unit::Seconds, history.points(&series.seconds)),
            ]
        });
        Ok(Self {
            taken_at: snapshot.taken_at,
            away: snapshot.away.clone(),
            problems: Vec::new(),
            lag: group.lag(),
            lag_is_partial: group.is_lag_partial(),
            lag_seconds: group.lag_seconds_at(now),
            trend: course.trend,
            drain: course.drain,
            partitions: group.positions.iter().map(place).collect(),
            changes: past.trail.newest(Some(name)).take(CHANGES).cloned().collect(),
            charts: charts.unwrap_or_default(),
            in_use: group.may_change().err(),
            group: group.group,
            state: group.state,
            kind: group.kind,
            coordinator: group.coordinator,
            assignor: group.assignor,
            problem: group.problem,
            members: group.members,
        })
    }

    /// The topics that it reads, each with how many partitions it has.
    pub fn topics(&self) -> BTreeMap<&str, usize> {
        let mut topics: BTreeMap<&str, usize> = BTreeMap::new();
        self.partitions.iter().for_each(|place| *topics.entry(&place.position.topic).or_default() += 1);
        topics
    }

    /// The topics that it has committed something for, with how many partitions of each.
    pub fn committed_topics(&self) -> BTreeMap<&str, usize> {
        let mut topics: BTreeMap<&str, usize> = BTreeMap::new();
        let committed = self.partitions.iter().filter(|place| place.position.committed.is_some());
        committed.for_each(|place| *topics.entry(&place.position.topic).or_default() += 1);
        topics
    }

    /// The client that reads a partition; where several members have one client's name, the member.
    pub fn reader(&self, place: &Place) -> String {
        let Some(id) = &place.position.member else { return human::UNKNOWN.to_owned() };
        let Some(member) = self.members.iter().find(|member| member.member == *id) else { return id.clone() };
        let namesakes = self.members.iter().filter(|other| other.client == member.client).count();
        if namesakes > 1 { id.clone() } else { format!("{} at {}", member.client, member.host) }
    }
}

/// Partitions as people list them: `0–2, 5`.
pub fn numbers(partitions: &[i32]) -> String {
    let runs = partitions.chunk_by(|a, b| a + 1 == *b);
    let said = runs.map(|run| match run {
        [first, .., last] if run.len() > 2 => format!("{first}–{last}"),
        run => run.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    });
    said.collect::<Vec<_>>().join(", ")
}

/// Which partitions.
#[derive(Clone, Debug, Default, Deserialize)]
struct Wanted {
    /// Only those that it is behind in, or of which something is not known.
    #[serde(default)]
    behind: Option<u8>,
    /// Which page, from 1.
    page: Option<usize>,
}

#[derive(askama::Template)]
#[template(path = "console/groups/one.html")]
struct Page {
    frame: Frame,
    one: One,
    only_behind: bool,
    shown: std::ops::Range<usize>,
    /// The places of the partitions that are what was asked for.
    matching: Vec<usize>,
    page: usize,
    pages: usize,
}

impl Page {
    fn rows(&self) -> impl Iterator<Item = &Place> {
        self.matching[self.shown.clone()].iter().map(|place| &self.one.partitions[*place])
    }
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let wanted: Wanted = request.query()?;
    let only_behind = wanted.behind == Some(1);
    let one = One::new(&console, request.params.text("group")).await?;
    let places = one.partitions.iter().enumerate();
    let matching = places.filter(|(_, place)| !only_behind || place.position.lag != Some(0)).map(|(place, _)| place);
    let matching: Vec<usize> = matching.collect();
    let pages = matching.len().div_ceil(PAGE).max(1);
    let page = wanted.page.unwrap_or(1).clamp(1, pages);
    let shown = (page - 1) * PAGE..(page * PAGE).min(matching.len());
    let frame = Frame::new(&console, Section::Groups, &request);
    Ok(frame::page(&request, StatusCode::OK, &Page { frame, one, only_behind, shown, matching, page, pages }))
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

async fn one(console: Arc<Console>, params: Params, _: Nothing) -> Result<One, Refusal> {
    One::new(&console, params.text("group")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_partitions_are_said_as_such() {
        assert_eq!(numbers(&[0, 1, 2, 5, 7, 8]), "0–2, 5, 7, 8");
        assert_eq!(numbers(&[]), "");
    }
}
