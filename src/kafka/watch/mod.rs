//! The cluster as it is, looked at again and again, however many people look on.
//!
//! - [`look`]: one look, with a few requests; [`since`]: for how long records have waited.
//! - [`history`]: rates and lags of the last looks; [`series`]: the values of one of them.
//! - [`course`]: where a lag is going; [`trail`]: the groups' rebalances.
//!
//! Watching joins no group and commits nothing.

pub mod course;
pub mod history;
mod look;
pub mod series;
mod since;
#[cfg(test)]
pub mod testing;
pub mod trail;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::kafka::Cluster;
use crate::kafka::admin::brokers::Broker;
use crate::kafka::admin::groups::Group;
use crate::kafka::admin::topics::Topic;
use crate::telemetry::seldom::Seldom;
use history::History;
use since::Since;
use trail::Trail;

/// How often the console looks at the cluster.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// How long someone who changed something waits for a look that shows it.
const PATIENCE: Duration = Duration::from_secs(10);

/// That the cluster can't be looked at.
static AWAY: Seldom = Seldom::every(Duration::from_secs(60));

/// The cluster at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When looking at it began, in milliseconds since the epoch; 0 before the first time.
    pub begun_at: i64,
    /// When its logs' ends were seen, by the same clock.
    pub taken_at: i64,
    /// Its brokers, by number.
    pub brokers: Vec<Broker>,
    /// Its topics with their offsets and sizes, those of Kafka itself included.
    pub topics: BTreeMap<String, Topic>,
    /// Its groups with their members and positions.
    pub groups: BTreeMap<String, Group>,
    /// What could not be seen.
    pub problems: Vec<Problem>,
    /// Why it could not be looked at since, if that failed.
    pub away: Option<String>,
}

/// A part of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Brokers and their log directories.
    Brokers,
    /// Topics, their partitions and offsets.
    Topics,
    /// Groups.
    Groups,
}

/// Something that could not be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// What it belongs to.
    pub part: Part,
    /// What is missing, and why.
    pub reason: String,
}

impl Problem {
    fn new(part: Part, reason: String) -> Self {
        Self { part, reason }
    }
}

impl Snapshot {
    /// The lag of all groups together, as far as it is known; `None` where there is some, or may be, and it is known of none.
    pub fn lag(&self) -> Option<i64> {
        let known = self.groups.values().filter_map(Group::lag).reduce(|sum, lag| sum + lag);
        let may_lag = |group: &Group| group.has_committed() || group.problem.is_some();
        let is_none = !self.groups.values().any(may_lag) && self.problems_of(Part::Groups).next().is_none();
        known.or(is_none.then_some(0))
    }

    /// Why `part` is not fully known.
    pub fn problems_of(&self, part: Part) -> impl Iterator<Item = &str> {
        self.problems.iter().filter(move |problem| problem.part == part).map(|problem| problem.reason.as_str())
    }
}

/// Looks at a cluster. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    started_at: i64,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    past: Arc<RwLock<Past>>,
    wanted: Arc<Notify>,
}

/// What was seen before.
#[derive(Debug, Default)]
pub struct Past {
    /// Rates and lags.
    pub history: History,
    /// Rebalances.
    pub trail: Trail,
}

impl Watch {
    /// Looks at `cluster` every `interval` from now on, until `shutdown`.
    pub fn start(cluster: Cluster, interval: Duration, shutdown: CancellationToken) -> Self {
        let (sender, snapshots) = watch::channel(Arc::default());
        let watch = Self { started_at: now_ms(), snapshots, past: Arc::default(), wanted: Arc::default() };
        let (past, wanted) = (Arc::clone(&watch.past), Arc::clone(&watch.wanted));
        tokio::spawn(async move {
            shutdown.run_until_cancelled(keep_looking(&cluster, interval, &sender, &past, &wanted)).await
        });
        watch
    }

    /// When it began, in milliseconds since the epoch.
    pub fn started_at(&self) -> i64 {
        self.started_at
    }

    /// The last look.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// Each look from now on.
    pub fn looks(&self) -> watch::Receiver<Arc<Snapshot>> {
        let mut looks = self.snapshots.clone();
        looks.mark_unchanged();
        looks
    }

    /// What was seen before. Don't keep it: looks wait for it.
    pub fn past(&self) -> RwLockReadGuard<'_, Past> {
        self.past.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the cluster looked at now, because something was changed, and waits until that is seen, for a while.
    pub async fn look_now(&self) {
        let changed_at = now_ms();
        let mut looks = self.looks();
        self.wanted.notify_one();
        // A look that had begun before doesn't show it.
        let seen = async { while looks.changed().await.is_ok() && looks.borrow_and_update().begun_at < changed_at {} };
        let _ = tokio::time::timeout(PATIENCE, seen).await;
    }
}

async fn keep_looking(
    cluster: &Cluster,
    every: Duration,
    sender: &watch::Sender<Arc<Snapshot>>,
    past: &RwLock<Past>,
    wanted: &Notify,
) {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut since = Since::new(every);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = wanted.notified() => interval.reset(),
        }
        let before = Arc::clone(&sender.borrow());
        let snapshot = match look::look(cluster, &before, &mut since).await {
            Ok(snapshot) => {
                let mut past = past.write().unwrap_or_else(PoisonError::into_inner);
                past.history.add(&before, &snapshot);
                past.trail.add(&before, &snapshot);
                snapshot
            }
            Err(error) => {
                AWAY.warn("the cluster can't be looked at", &error);
                Snapshot { away: Some(error.to_string()), ..Snapshot::clone(&before) }
            }
        };
        sender.send_replace(Arc::new(snapshot));
    }
}
