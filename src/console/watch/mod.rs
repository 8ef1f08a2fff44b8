//! The cluster as it is, looked at every few seconds, however many people look on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::kafka::admin::{groups, topics, waiting};
use crate::kafka::{Cluster, KafkaError};
use crate::telemetry::seldom::Seldom;

/// How often the cluster is looked at.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// That the cluster can't be looked at.
static AWAY: Seldom = Seldom::every(Duration::from_secs(60));

/// The cluster at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it was looked at, in milliseconds since the epoch; 0 before the first time.
    pub taken_at: i64,
    /// Its topics with their offsets and sizes, those of Kafka itself included.
    pub topics: BTreeMap<String, topics::Topic>,
    /// Its groups with their members and positions.
    pub groups: BTreeMap<String, groups::Group>,
    /// Why it could not be looked at the last time, if that failed.
    pub problem: Option<String>,
}

/// Looks at a cluster. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Watch {
    /// Looks at `cluster` from now on, until `shutdown`.
    pub fn start(cluster: Cluster, shutdown: CancellationToken) -> Self {
        let (sender, snapshots) = watch::channel(Arc::default());
        tokio::spawn(async move { shutdown.run_until_cancelled(look_again_and_again(&cluster, &sender)).await });
        Self { snapshots }
    }

    /// The last look.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }
}

async fn look_again_and_again(cluster: &Cluster, sender: &watch::Sender<Arc<Snapshot>>) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let snapshot = look(cluster).await.unwrap_or_else(|error| {
            AWAY.warn("the cluster can't be looked at", &error);
            let last = Snapshot::clone(&sender.borrow());
            Snapshot { problem: Some(error.to_string()), ..last }
        });
        sender.send_replace(Arc::new(snapshot));
    }
}

async fn look(cluster: &Cluster) -> Result<Snapshot, KafkaError> {
    let taken_at = now_ms();
    let names = topics::names(cluster, true).await?;
    let topics = topics::describe(cluster, &names).await?;
    let listings = groups::list(cluster).await?;
    let mut groups = groups::describe(cluster, &listings).await?;
    waiting::fill(cluster, &mut groups, taken_at).await;
    Ok(Snapshot {
        taken_at,
        topics: topics.into_iter().map(|topic| (topic.name.clone(), topic)).collect(),
        groups: groups.into_iter().map(|group| (group.group.clone(), group)).collect(),
        problem: None,
    })
}
