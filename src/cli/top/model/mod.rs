//! What the screen shows, and how looks change it; [`keys`]: and how keys do.

mod keys;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::details::{self, PartitionRow, PositionRow};
use super::facts::{Facts, GroupRow, TopicRow};
use super::filter::Filter;
use super::looks::Looks;
use super::sheet::{Sheet, View};
use super::trouble::{Subject, Trouble};
use crate::kafka::watch::trail::Change;
use crate::kafka::watch::{Past, Snapshot};
use crate::time;
pub use keys::Next;

/// How many looks may be missed, and how many milliseconds that takes at least, before it is said that Kafka does not answer.
const PATIENCE: (i64, i64) = (3, 3_000);

/// A table of the whole cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// Topics.
    Topics,
    /// Groups.
    Groups,
    /// How groups changed.
    Rebalances,
    /// What is wrong.
    Problems,
}

/// All of them, in their order on the screen.
pub const TABS: [Tab; 4] = [Tab::Topics, Tab::Groups, Tab::Rebalances, Tab::Problems];

/// One topic or group that is looked at closely.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Which of the two.
    pub subject: Subject,
    /// Its name.
    pub name: String,
    view: View,
}

/// All that is drawn.
pub struct Model {
    /// The bootstrap servers.
    pub servers: String,
    /// How often the cluster is looked at.
    pub interval: Duration,
    /// The zone that times are told in.
    pub zone: TimeZone,
    /// The last looks.
    pub looks: Looks,
    /// What they tell.
    pub facts: Facts,
    /// The table that is shown.
    pub tab: Tab,
    /// What is shown in its place.
    pub opened: Option<Opened>,
    /// What is shown of topics and groups.
    pub filter: Filter,
    /// Whether the filter is being typed.
    pub is_typing: bool,
    /// Whether the keys are shown.
    pub shows_help: bool,
    /// Whether looks change nothing.
    pub is_paused: bool,
    /// Whether topics of Kafka itself are shown.
    pub shows_internal: bool,
    views: [View; TABS.len()],
    away: Option<String>,
    seen_at: i64,
    /// When that became known, by the same clock.
    heard_at: i64,
    now: i64,
    /// Rows that a page key goes.
    page: isize,
}

impl Model {
    /// Nothing was seen yet.
    pub fn new(servers: String, interval: Duration, filter: Filter, shows_internal: bool, zone: TimeZone) -> Self {
        Self {
            servers,
            interval,
            zone,
            looks: Looks::default(),
            facts: Facts::default(),
            tab: Tab::Topics,
            opened: None,
            filter,
            is_typing: false,
            shows_help: false,
            is_paused: false,
            shows_internal,
            views: [View::of::<TopicRow>(), View::of::<GroupRow>(), View::of::<Change>(), View::of::<Trouble>()],
            away: None,
            seen_at: 0,
            heard_at: 0,
            now: 0,
            page: 1,
        }
    }

    /// Time goes on; `now` is in milliseconds since the epoch.
    pub fn tick(&mut self, now: i64) {
        self.now = now;
    }

    /// The screen has so many lines.
    pub fn resize(&mut self, lines: u16) {
        self.page = (lines / 2).max(1) as isize;
    }

    /// The cluster was looked at.
    pub fn look(&mut self, snapshot: &Arc<Snapshot>, past: &Past) {
        self.away.clone_from(&snapshot.away);
        (self.seen_at, self.heard_at) = (snapshot.taken_at, self.now);
        if !self.is_paused {
            self.looks.add(Arc::clone(snapshot));
            self.facts = Facts::new(&self.looks, past);
        }
    }

    /// What keeps the cluster from being seen as it is.
    pub fn complaint(&self) -> Option<String> {
        let unseen = self.now - self.seen_at;
        let ago = || time::length((unseen / 1_000) as f64);
        if let Some(reason) = &self.away {
            let seen = if self.seen_at > 0 { format!("; seen {} ago", ago()) } else { String::new() };
            return Some(format!("Kafka does not answer{seen}, trying again: {reason}"));
        }
        let patience = PATIENCE.1.max(PATIENCE.0 * self.interval.as_millis() as i64);
        // A look may take a while after it has seen the logs' ends.
        (self.seen_at > 0 && self.now - self.heard_at > patience)
            .then(|| format!("Kafka has not answered for {}", ago()))
    }

    /// The table that is shown, with text for `height` rows.
    pub fn sheet(&self, height: usize) -> Sheet {
        match &self.opened {
            Some(Opened { subject: Subject::Topic, name, view }) => {
                let rows = details::partitions(&self.looks, name);
                Sheet::new::<PartitionRow>(rows.iter().collect(), view, height, &self.zone)
            }
            Some(Opened { name, view, .. }) => {
                let rows = details::positions(&self.looks, name);
                Sheet::new::<PositionRow>(rows.iter().collect(), view, height, &self.zone)
            }
            None => self.listed(height),
        }
    }

    fn listed(&self, height: usize) -> Sheet {
        let (facts, view, zone) = (&self.facts, &self.views[self.tab as usize], &self.zone);
        match self.tab {
            Tab::Topics => Sheet::new(self.topics().collect(), view, height, zone),
            Tab::Groups => Sheet::new(self.groups().collect(), view, height, zone),
            Tab::Rebalances => {
                let shown = facts.changes.iter().filter(|change| self.filter.matches(&change.group));
                Sheet::new(shown.collect(), view, height, zone)
            }
            Tab::Problems => {
                let shown = facts.problems.iter().filter(|trouble| trouble.is_shown(&self.filter));
                Sheet::new(shown.collect(), view, height, zone)
            }
        }
    }

    /// The topics that are shown.
    pub fn topics(&self) -> impl Iterator<Item = &TopicRow> {
        let topics = self.facts.topics.iter().filter(|topic| self.shows_internal || !topic.internal);
        topics.filter(|topic| self.filter.matches(&topic.topic))
    }

    /// The groups that are shown.
    pub fn groups(&self) -> impl Iterator<Item = &GroupRow> {
        self.facts.groups.iter().filter(|group| self.filter.matches(&group.group))
    }
}
