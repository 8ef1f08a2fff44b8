//! Where a group may go on from: shown first, then done exactly as shown, and undone with one click.
//!
//! A preview is an address like any other and changes nothing. What it leads to carries the offsets themselves, each with
//! the one that it replaces: if the group has committed anything since, nothing is done. The way back is the same with
//! both exchanged, so nothing has to be remembered here.

use std::collections::HashMap;
use std::sync::Arc;

use krafka::admin::TopicPartition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use crate::console::form::Fields;
use crate::console::frame::{self, Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::console::{Console, human};
use crate::kafka::admin::groups::{self, Group};
use crate::kafka::admin::reset::{self, Move, Selection, Target};
use crate::time;

/// The addresses of resets.
pub fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/groups/{group}/reset", page),
        Route::form("/console/groups/{group}/reset", submit),
        Route::action(
            Method::POST,
            "/api/console/groups/{group}/reset",
            "Move a group's offsets; with dry_run, only show where to",
            move_all,
        ),
        Route::action(
            Method::POST,
            "/api/console/groups/{group}/offsets",
            "Set offsets of a group, if they still are what they are said to be: for what a dry run showed, and to undo a reset",
            set,
        ),
    ]
}

/// An offset to be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Step {
    /// The topic.
    topic: String,
    /// The partition.
    partition: i32,
    /// What is committed now; `null` if nothing is.
    before: Option<i64>,
    /// What is to be committed; `null` to delete what is.
    after: Option<i64>,
}

impl Step {
    fn of(due: &Move) -> Self {
        Self { topic: due.topic.clone(), partition: due.partition, before: due.before, after: due.after }
    }

    fn back(&self) -> Self {
        Self { before: self.after, after: self.before, ..self.clone() }
    }

    fn key(&self) -> TopicPartition {
        TopicPartition::new(&self.topic, self.partition)
    }
}

/// Sets offsets, all of them or, when the group has moved on since they were shown, none.
async fn apply(console: &Arc<Console>, group: &Group, steps: &[Step]) -> Result<(), Refusal> {
    group.may_change().map_err(Refusal::conflict)?;
    let committed = group.committed();
    let say = |offset: Option<i64>| offset.map_or_else(|| "nothing".to_owned(), human::count);
    if let Some((step, now)) =
        steps.iter().map(|step| (step, committed.get(&step.key()).copied())).find(|(step, now)| step.before != *now)
    {
        return Err(Refusal::conflict(format!(
            "group {:?} has moved since this was shown: {}[{}] had {} committed and has {} now; nothing was changed, look at the preview again",
            group.group,
            step.topic,
            step.partition,
            say(step.before),
            say(now),
        )));
    }
    let set: HashMap<TopicPartition, i64> = steps.iter().filter_map(|step| Some((step.key(), step.after?))).collect();
    let gone: Vec<TopicPartition> = steps.iter().filter(|step| step.after.is_none()).map(Step::key).collect();
    if !set.is_empty() {
        groups::move_to(&console.cluster, &group.group, set).await?;
    }
    if !gone.is_empty() {
        groups::forget(&console.cluster, &group.group, gone).await?;
    }
    console.watch.look_now().await;
    Ok(())
}

/// What the form of a reset says.
#[derive(Clone, Debug, Default, Deserialize)]
struct Asked {
    /// Only this topic.
    topic: Option<String>,
    /// Only these partitions of it: `0,2`.
    partitions: Option<String>,
    /// Where to: `earliest`, `latest`, `time`, `offset`, `by` or `group`.
    to: Option<String>,
    time: Option<String>,
    offset: Option<String>,
    by: Option<String>,
    other: Option<String>,
}

impl Asked {
    /// `None` when nothing was asked for yet.
    fn target(&self) -> Result<Option<Target>, Refusal> {
        let Some(to) = self.to.as_deref() else { return Ok(None) };
        let text = |value: &Option<String>| value.as_deref().unwrap_or_default().trim().to_owned();
        let number = |field: &'static str, value: &Option<String>| {
            let typed = text(value);
            let number = typed.replace([',', ' '], "").replace('−', "-").parse::<i64>();
            number.map_err(|_| Refusal::field(field, format!("expected a whole number, not {typed:?}")))
        };
        Ok(Some(match to {
            "earliest" => Target::Earliest,
            "latest" => Target::Latest,
            "time" => {
                let time = time::parse(&text(&self.time)).map_err(|reason| Refusal::field("time", reason))?;
                Target::Time(time.as_millisecond())
            }
            "offset" => match number("offset", &self.offset)? {
                offset if offset < 0 => return Err(Refusal::field("offset", "offsets begin at 0")),
                offset => Target::Offset(offset),
            },
            "by" => Target::By(number("by", &self.by)?),
            "group" => match text(&self.other) {
                other if other.is_empty() => return Err(Refusal::field("other", "which group is it to follow?")),
                other => Target::Group(other),
            },
            _ => return Err(Refusal::field("to", "expected earliest, latest, time, offset, by or group")),
        }))
    }

    fn selections(&self) -> Result<Vec<Selection>, Refusal> {
        let Some(topic) = self.topic.as_deref() else { return Ok(Vec::new()) };
        let partitions = self.partitions.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let text = partitions.map_or_else(|| topic.to_owned(), |partitions| format!("{topic}:{partitions}"));
        let selection = text.parse().map_err(|_| {
            Refusal::field("partitions", "expected numbers of partitions with commas between them, such as 0,2")
        })?;
        Ok(vec![selection])
    }
}

/// A reset as it is shown.
struct Preview {
    moves: Vec<Move>,
    /// The steps it takes, for the form that does it.
    steps: String,
    due: usize,
    /// Records that are read once more, and that are never read.
    again: i64,
    skipped: i64,
    lag_before: i64,
    lag_after: i64,
}

impl Preview {
    fn new(moves: Vec<Move>, group: &Group) -> Self {
        let steps: Vec<Step> = moves.iter().filter(|step| step.is_due()).map(Step::of).collect();
        let changes = || moves.iter().filter_map(|step| step.change);
        let moved: HashMap<(&str, i32), &Move> =
            moves.iter().map(|step| ((step.topic.as_str(), step.partition), step)).collect();
        let lag_of_others = group
            .positions
            .iter()
            .filter(|position| !moved.contains_key(&(position.topic.as_str(), position.partition)));
        let lag_of_others: i64 = lag_of_others.filter_map(|position| position.lag).sum();
        Self {
            due: steps.len(),
            // Names and numbers: this can always be written.
            steps: serde_json::to_string(&steps).unwrap_or_default(),
            again: -changes().filter(|change| *change < 0).sum::<i64>(),
            skipped: changes().filter(|change| *change > 0).sum(),
            lag_before: group.lag().unwrap_or(0),
            lag_after: lag_of_others + moves.iter().filter_map(|step| step.lag_after).sum::<i64>(),
            moves,
        }
    }
}

#[derive(askama::Template)]
#[template(path = "console/groups/reset.html")]
struct Page {
    frame: Frame,
    group: Group,
    asked: Asked,
    in_use: Option<String>,
    is_projection: bool,
    refusal: Option<Refusal>,
    preview: Option<Preview>,
}

/// A way to say where to, that needs something typed.
struct Choice<'a> {
    to: &'static str,
    field: &'static str,
    title: &'static str,
    what: &'static str,
    hint: &'static str,
    value: &'a str,
}

impl Page {
    fn choices(&self) -> [Choice<'_>; 4] {
        fn choice<'a>([to, field, title, what, hint]: [&'static str; 5], value: &'a Option<String>) -> Choice<'a> {
            Choice { to, field, title, what, hint, value: value.as_deref().unwrap_or_default() }
        }
        [
            choice(
                ["time", "time", "A time", "the first record from then on", "2h ago, 2026-01-31T12:00Z"],
                &self.asked.time,
            ),
            choice(["offset", "offset", "An offset", "the same in every partition", "1200"], &self.asked.offset),
            choice(["by", "by", "Shift", "so many records on, or back", "-100"], &self.asked.by),
            choice(["group", "other", "As another group", "where that one is", "its name"], &self.asked.other),
        ]
    }

    fn is_to(&self, target: &str) -> bool {
        self.asked.to.as_deref().unwrap_or("earliest") == target
    }

    fn error(&self, field: &str) -> Option<&str> {
        self.refusal.as_ref().filter(|refusal| refusal.field == Some(field)).map(|refusal| refusal.reason.as_str())
    }

    fn problem(&self) -> Option<&str> {
        let shown = ["time", "offset", "by", "other", "partitions"];
        let refusal =
            self.refusal.as_ref().filter(|refusal| refusal.field.is_none_or(|field| !shown.contains(&field)))?;
        Some(&refusal.reason)
    }
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let asked: Asked = request.query()?;
    let group = super::asked(&console, request.params.text("group")).await?;
    let (preview, refusal) = match preview(&console, &group, &asked).await {
        Ok(preview) => (preview, None),
        Err(refusal) => (None, Some(refusal)),
    };
    let status = refusal.as_ref().map_or(StatusCode::OK, |refusal| refusal.status);
    let frame = Frame::new(&console, Section::Groups, &request);
    let in_use = group.may_change().err();
    let is_projection = console.projections.contains(&group.group);
    Ok(frame::page(&request, status, &Page { frame, group, asked, in_use, is_projection, refusal, preview }))
}

async fn preview(console: &Arc<Console>, group: &Group, asked: &Asked) -> Result<Option<Preview>, Refusal> {
    let Some(target) = asked.target()? else { return Ok(None) };
    let selections = asked.selections()?;
    let moves = reset::plan(&console.cluster, &group.group, &group.committed(), &selections, &target).await?;
    Ok(Some(Preview::new(moves, group)))
}

#[derive(askama::Template)]
#[template(path = "console/groups/reset_done.html")]
struct Done {
    frame: Frame,
    group: String,
    steps: Vec<Step>,
    /// The steps back, for the form that undoes it.
    back: String,
    is_undone: bool,
}

async fn submit(console: Arc<Console>, request: Request, fields: Vec<(String, String)>) -> Result<Response, Refusal> {
    let fields = Fields::new(fields);
    let steps: Vec<Step> = serde_json::from_str(fields.text("steps"))
        .map_err(|_| Refusal::bad_request("the form is incomplete; look at the preview again"))?;
    let group = super::asked(&console, request.params.text("group")).await?;
    apply(&console, &group, &steps).await?;
    let back: Vec<Step> = steps.iter().map(Step::back).collect();
    let done = Done {
        frame: Frame::new(&console, Section::Groups, &request),
        group: group.group,
        back: serde_json::to_string(&back).unwrap_or_default(),
        is_undone: fields.text("undo") == "yes",
        steps,
    };
    Ok(frame::page(&request, StatusCode::OK, &done))
}

/// Where to move a group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum To {
    /// To the first record that is there.
    Earliest,
    /// Behind the last record.
    Latest,
    /// To the first record at or after a time: RFC 3339, milliseconds since the epoch, or how long ago (`2h`).
    Time(String),
    /// To this offset.
    Offset(u32),
    /// So many records on, or back if negative.
    By(i64),
    /// To where this other group is.
    Group(String),
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Reset {
    /// Where to.
    to: To,
    /// Only these topics (`orders`) or partitions (`orders:0,2`); all that it has committed when left out.
    #[serde(default)]
    topics: Vec<String>,
    /// Show what it would do, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Outcome {
    /// What it does to each partition.
    moves: Vec<Move>,
    /// Whether that was done.
    applied: bool,
    /// Why it can't be done now.
    in_use: Option<String>,
    /// Whether the group keeps where it is beside its state, so that offsets in Kafka don't move it; `kboard replay` does.
    is_projection: bool,
    /// What does it: for `/api/console/groups/{group}/offsets`.
    steps: Vec<Step>,
    /// What undoes it, for the same.
    undo: Vec<Step>,
}

async fn move_all(console: Arc<Console>, params: Params, wanted: Reset) -> Result<Outcome, Refusal> {
    let target = match wanted.to {
        To::Earliest => Target::Earliest,
        To::Latest => Target::Latest,
        To::Time(text) => {
            let time = time::parse(&text).map_err(|reason| Refusal::field("to", reason))?;
            Target::Time(time.as_millisecond())
        }
        To::Offset(offset) => Target::Offset(offset.into()),
        To::By(records) => Target::By(records),
        To::Group(other) => Target::Group(other),
    };
    let selections: Result<Vec<Selection>, String> = wanted.topics.iter().map(|text| text.parse()).collect();
    let selections = selections.map_err(|reason| Refusal::field("topics", reason))?;
    let group = super::asked(&console, params.text("group")).await?;
    let moves = reset::plan(&console.cluster, &group.group, &group.committed(), &selections, &target).await?;
    let steps: Vec<Step> = moves.iter().filter(|step| step.is_due()).map(Step::of).collect();
    if !wanted.dry_run {
        apply(&console, &group, &steps).await?;
    }
    let undo = steps.iter().map(Step::back).collect();
    let is_projection = console.projections.contains(&group.group);
    Ok(Outcome { moves, applied: !wanted.dry_run, in_use: group.may_change().err(), is_projection, steps, undo })
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Offsets {
    /// The offsets.
    steps: Vec<Step>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Set {
    /// How many were set or deleted.
    set: usize,
    /// What undoes it.
    undo: Vec<Step>,
}

async fn set(console: Arc<Console>, params: Params, offsets: Offsets) -> Result<Set, Refusal> {
    let group = super::asked(&console, params.text("group")).await?;
    apply(&console, &group, &offsets.steps).await?;
    Ok(Set { set: offsets.steps.len(), undo: offsets.steps.iter().map(Step::back).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(to: &str, change: impl FnOnce(&mut Asked)) -> Result<Option<Target>, Option<&'static str>> {
        let mut asked = Asked { to: Some(to.to_owned()), ..Asked::default() };
        change(&mut asked);
        asked.target().map_err(|refusal| refusal.field)
    }

    #[test]
    fn what_is_asked_for_is_understood_or_refused_at_its_field() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(to("earliest", |_| ()), Ok(Some(Target::Earliest)));
        assert_eq!(to("offset", |asked| asked.offset = some("1,200")), Ok(Some(Target::Offset(1_200))));
        assert_eq!(to("by", |asked| asked.by = some("−50")), Ok(Some(Target::By(-50))));
        assert_eq!(to("time", |asked| asked.time = some("1700000000000")), Ok(Some(Target::Time(1_700_000_000_000))));
        assert_eq!(to("group", |asked| asked.other = some(" b ")), Ok(Some(Target::Group("b".to_owned()))));
        assert_eq!(to("offset", |asked| asked.offset = some("-1")), Err(Some("offset")));
        assert_eq!(to("by", |asked| asked.by = some("many")), Err(Some("by")));
        assert_eq!(to("time", |_| ()), Err(Some("time")));
        assert_eq!(to("group", |_| ()), Err(Some("other")));
        assert_eq!(to("elsewhere", |_| ()), Err(Some("to")));
        assert_eq!(Asked::default().target().unwrap(), None);
        let asked = Asked { topic: some("t"), partitions: some("0, x"), ..Asked::default() };
        assert_eq!(asked.selections().unwrap_err().field, Some("partitions"));
    }

    #[test]
    fn the_way_back_leads_to_where_it_began() {
        let step = Step { topic: "t".to_owned(), partition: 0, before: None, after: Some(7) };
        assert_eq!(step.back(), Step { before: Some(7), after: None, ..step.clone() });
        assert_eq!(step.back().back(), step);
    }
}
