//! A Kafka broker of one node, for development, tests and a single machine: it speaks Kafka's protocol, so that every
//! Kafka client and tool works with it, and keeps its topics and groups in one folder.
//!
//! - [`server`]: the listener; connections and their requests.
//! - [`api`]: what can be asked, one file an API or a family.
//! - [`topics`]: which topics there are, and their settings; each partition has a [`log`].
//! - [`groups`]: the coordinator of consumer groups.
//! - [`producer_ids`]: numbers for idempotent producers. [`memory`]: what requests in flight may take.
//! - `clock`: the time by which records are old.
//!
//! It knows nothing of the rest of kboard but its settings and metrics.

pub mod api;
pub mod broker;
mod clock;
pub mod groups;
mod instruments;
pub mod log;
pub mod memory;
pub mod producer_ids;
pub mod server;
#[cfg(test)]
mod testing;
pub mod topics;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

pub use broker::{Advertised, Broker, Limits};
pub use topics::OpenError;

use crate::clock::now_ms;
use crate::config::Fsync;
use clock::Clock;
use groups::{Coordinator, GroupSettings};
use instruments::StateInstruments;
use producer_ids::ProducerIds;
use topics::settings::Flush;
use topics::{Options, Registry};

/// How often records that have waited long enough are flushed.
const FLUSH_CHECK: Duration = Duration::from_secs(1);
/// How often segments are removed by age and size; Kafka's default of `log.retention.check.interval.ms`.
const RETENTION_CHECK: Duration = Duration::from_secs(300);

/// How the broker is run.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    /// The folder of its data.
    pub folder: PathBuf,
    /// Where clients are told to connect.
    pub advertised: Advertised,
    /// Whether asking for a topic makes it.
    pub auto_create: bool,
    /// When records are forced to the disk.
    pub fsync: Fsync,
}

/// A broker that runs.
pub struct Running {
    broker: Arc<Broker>,
    server: JoinHandle<()>,
    upkeep: JoinHandle<()>,
}

/// Opens what is in the folder and serves it on `listener`.
///
/// # Errors
/// The folder is in use, can't be read or written, or holds something else.
pub async fn start(listener: TcpListener, settings: BrokerSettings) -> Result<Running, OpenError> {
    let open = move || {
        let mut options = Options::new(&settings.folder);
        options.defaults.flush = flush(settings.fsync);
        let topics = Registry::open(options)?;
        let producer_ids =
            ProducerIds::open(&settings.folder).map_err(|source| unreadable(&settings.folder, source))?;
        Ok::<_, OpenError>((topics, producer_ids, settings))
    };
    let (topics, producer_ids, settings) = match tokio::task::spawn_blocking(open).await {
        Ok(opened) => opened?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    let groups = Coordinator::open(&settings.folder, GroupSettings::default())
        .map_err(|source| unreadable(&settings.folder, source))?;
    forget_deleted(&groups, &topics);
    let mut broker = Broker::new(settings.advertised, Limits::default(), topics, groups, producer_ids);
    broker.create_topics = settings.auto_create;
    let broker = Arc::new(broker);
    let server = tokio::spawn(server::serve(listener, Arc::clone(&broker)));
    let upkeep = tokio::spawn(keep_up(Arc::clone(&broker)));
    Ok(Running { broker, server, upkeep })
}

/// Finishes what deletions left undone when the last process was killed: offsets of a topic that is gone would be taken
/// for those of another that gets its name.
fn forget_deleted(groups: &Coordinator, topics: &Registry) {
    let committed = groups.list().into_iter().filter_map(|listing| groups.committed(&listing.group, None).ok());
    let named: BTreeSet<String> = committed.flatten().map(|(topic, ..)| topic).collect();
    named.iter().filter(|topic| topics.get(topic).is_none()).for_each(|topic| groups.forget_topic(topic));
}

fn unreadable(folder: &Path, source: io::Error) -> OpenError {
    OpenError::File { what: "use what is in", path: folder.to_owned(), source }
}

/// When records are flushed, in the terms of topics.
fn flush(fsync: Fsync) -> Flush {
    match fsync {
        Fsync::Always => Flush { messages: 1, ms: i64::MAX },
        Fsync::Interval => Flush { messages: i64::MAX, ms: 1_000 },
        Fsync::Never => Flush { messages: i64::MAX, ms: i64::MAX },
    }
}

impl Running {
    /// Finishes the requests in hand, and writes what makes the next start quick.
    ///
    /// # Errors
    /// It can't be written; then the next start reads the logs again.
    pub async fn stop(self) -> io::Result<()> {
        self.broker.stopping.cancel();
        // Whoever waits for other members is answered, and can be heard out.
        self.broker.groups.close();
        let _ = tokio::join!(self.server, self.upkeep);
        tokio::task::spawn_blocking(move || self.broker.topics.close()).await.map_err(io::Error::other)?
    }
}

/// Flushes and removes what is due, and tells what there is, until the broker ends.
async fn keep_up(broker: Arc<Broker>) {
    let mut tick = tokio::time::interval(FLUSH_CHECK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut retained, mut clock) = (Instant::now(), Clock::new(now_ms()));
    let state = Arc::new(Mutex::new(StateInstruments::new()));
    while broker.stopping.run_until_cancelled(tick.tick()).await.is_some() {
        let now = now_ms();
        let mut retain_by = None;
        if retained.elapsed() >= RETENTION_CHECK {
            retained = Instant::now();
            retain_by = Some(clock.believed(now));
        }
        let (broker, told) = (Arc::clone(&broker), Arc::clone(&state));
        let work = move || {
            broker.topics.flush_due(now);
            if let Some(now) = retain_by {
                broker.topics.retain(now);
            }
            told.lock().unwrap_or_else(PoisonError::into_inner).tell(&broker);
        };
        if let Err(error) = tokio::task::spawn_blocking(work).await {
            tracing::error!(%error, "the upkeep of the logs failed");
        }
    }
}
