//! Consumer groups: the list, one group, and what can be done to it.
//!
//! - [`list`]: all of them, sorted, filtered and paged by the server.
//! - [`one`]: one group: members, lag, rebalances.
//! - [`reset`]: where it may go on from: shown first, then done exactly so, and undone.
//! - [`remove`]: deleting a group, or what it committed for a topic.

mod list;
mod one;
mod remove;
mod reset;

use std::sync::Arc;

pub use one::numbers;

use super::refusal::Refusal;
use super::route::Route;
use super::{Console, human};
use crate::kafka::admin::groups::{self, Group};
use crate::kafka::admin::reset::Move;
use crate::kafka::watch::course::{Drain, Trend};
use crate::kafka::{KafkaError, lookup};

/// The addresses of groups.
pub fn routes() -> Vec<Route> {
    [list::routes(), one::routes(), reset::routes(), remove::routes()].into_iter().flatten().collect()
}

/// The class of a state's badge.
pub fn state_class(state: &str) -> &'static str {
    match state {
        "Stable" => "badge-good",
        state if groups::is_rebalancing(state) => "badge-warn",
        "Dead" | "Unknown" => "badge-bad",
        _ => "",
    }
}

/// A state in running text.
pub fn state_name(state: &str) -> &str {
    match state {
        "Stable" => "stable",
        "Empty" => "empty",
        "Dead" => "dead",
        "PreparingRebalance" | "CompletingRebalance" => "rebalancing",
        other => other,
    }
}

/// An arrow for where a lag is going, with words for those who don't see it.
pub fn trend(trend: Trend) -> &'static str {
    match trend {
        Trend::Rising => {
            r#"<span class="trend warn" title="growing"><span aria-hidden="true">↗</span><span class="visually-hidden">growing</span></span>"#
        }
        Trend::Falling => {
            r#"<span class="trend good" title="shrinking"><span aria-hidden="true">↘</span><span class="visually-hidden">shrinking</span></span>"#
        }
        Trend::Steady => "",
    }
}

/// When a lag will be gone, as people say it.
pub fn drain(drain: Drain) -> String {
    match drain {
        Drain::Done => "–".to_owned(),
        Drain::Soon => "keeps up".to_owned(),
        Drain::In(seconds) => format!("in {}", human::seconds(seconds.max(1.0).round())),
        Drain::Never => "never at this rate".to_owned(),
        Drain::Unknown => "not known yet".to_owned(),
    }
}

/// What a reset does to a partition, as people say it.
pub fn effect(step: &Move) -> String {
    match step.change {
        Some(0) => "stays".to_owned(),
        Some(change) if change < 0 => format!("{} read again", human::counted(-change, "record")),
        Some(change) => format!("{} skipped", human::counted(change, "record")),
        None if step.after.is_some() => "first commit".to_owned(),
        None => "stays".to_owned(),
    }
}

/// The group as the watch saw it, or, if it is newer than that, as it is.
async fn seen(console: &Arc<Console>, name: &str) -> Result<Group, Refusal> {
    match console.watch.snapshot().groups.get(name) {
        Some(group) => Ok(group.clone()),
        None => asked(console, name).await,
    }
}

/// The group as it is now, for those who are about to change it.
async fn asked(console: &Arc<Console>, name: &str) -> Result<Group, Refusal> {
    let listings = groups::list(&console.cluster).await?;
    let found: Vec<_> = listings.iter().filter(|listing| listing.group == name).cloned().collect();
    if let Some(listing) = found.iter().find(|listing| !listing.has_offsets()) {
        let reason =
            format!("group {name:?} is a {} group, which has no offsets like a consumer group's", listing.kind);
        return Err(Refusal::not_found(reason));
    }
    let group = groups::describe(&console.cluster, &found).await?.into_iter().next();
    group.ok_or_else(|| {
        let known: Vec<String> = listings.into_iter().map(|listing| listing.group).collect();
        KafkaError::UnknownGroup { group: name.to_owned(), similar: lookup::near(name, &known) }.into()
    })
}
