//! The outbox: what was written to be sent is sent, in order, and removed once Kafka has it.
//!
//! What a batch emits is in Redis before anybody tries to send it. Whoever reads the partition that brought it (its *home*)
//! sends it; if that member dies, the next one finds what is left, looks into the log for what did arrive, and sends the
//! rest. So a killed process neither loses a record nor writes it twice. Only one that is taken for dead and is not may send
//! what its successor sends too; those copies have the same event id.

mod find;
mod record;
mod sender;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fred::interfaces::HashesInterface;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::step::Emission;
use super::store::Names;
use crate::kafka::{Cluster, Producer};
use crate::redis::{self, Redis, RedisError};
use crate::telemetry::instruments::OutboxInstruments;
use sender::Sender;

pub use record::Kept;
#[cfg(test)]
pub use record::identity;

/// Records on their way at most; then the group waits before it takes more in.
const IN_FLIGHT: usize = 20_000;
/// How long a member that had a partition before may take to empty its outbox.
const HANDOVER: Duration = Duration::from_secs(1);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// How long the last records may take at the end. What is not acknowledged by then stays in Redis for the next member.
const FINISH: Duration = Duration::from_millis(1_500);

/// The outbox of one group's member. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedSender<Job>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What the sender is given.
enum Job {
    /// Records to send that nobody has tried to send before.
    Send(Vec<Emission>),
    /// The end.
    Finish,
}

struct Shared {
    cluster: Cluster,
    producer: Producer,
    redis: Redis,
    names: Names,
    group: String,
    /// Records that the sender has and Kafka has not acknowledged.
    pending: AtomicUsize,
    /// Told when that number falls.
    fewer: Notify,
    instruments: OutboxInstruments,
}

impl Outbox {
    /// Starts the sender of `group`.
    pub fn start(cluster: Cluster, producer: Producer, redis: Redis, names: Names, group: String) -> Self {
        let instruments = OutboxInstruments::new(&group);
        let (pending, fewer) = (AtomicUsize::new(0), Notify::new());
        let shared = Arc::new(Shared { cluster, producer, redis, names, group, pending, fewer, instruments });
        let (queue, jobs) = mpsc::unbounded_channel();
        let task = tokio::spawn(Sender::new(Arc::clone(&shared), jobs).run());
        Self { shared, queue, task: Arc::new(Mutex::new(Some(task))) }
    }

    /// Hands over what a batch has put into the outbox.
    pub fn send(&self, emissions: Vec<Emission>) {
        if emissions.is_empty() {
            return;
        }
        self.shared.pending.fetch_add(emissions.len(), Ordering::AcqRel);
        self.shared.instruments.size.increment(emissions.len() as f64);
        if let Err(mpsc::error::SendError(Job::Send(emissions))) = self.queue.send(Job::Send(emissions)) {
            // The sender has ended with the process; they are in Redis.
            self.shared.done(emissions.len());
        }
    }

    /// Waits until there is room for another batch; `false` when there is none in time.
    pub async fn has_room(&self, patience: Duration) -> bool {
        self.shared.falls_to(IN_FLIGHT, patience).await
    }

    /// Waits until everything that was handed over has been acknowledged; `false` when it is not in time.
    pub async fn is_empty(&self, patience: Duration) -> bool {
        self.shared.falls_to(0, patience).await
    }

    /// Sends what whoever read `home` before has left in its outbox. What this member has handed over must be
    /// acknowledged: see [`is_empty`](Self::is_empty).
    ///
    /// # Errors
    /// When Redis or Kafka is away, for people.
    pub async fn recover(&self, home: &str) -> Result<(), String> {
        let deadline = Instant::now() + HANDOVER;
        let mut left = self.left(home).await.map_err(|error| error.to_string())?;
        while !left.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
            left = self.left(home).await.map_err(|error| error.to_string())?;
        }
        if left.is_empty() {
            return Ok(());
        }
        let missing = self.shared.not_sent(left).await?;
        tracing::info!(group = self.shared.group, home, records = missing.len(), "sending what another member left");
        self.send(missing);
        Ok(())
    }

    /// What the outbox of `home` holds, in the order in which it is to be sent.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn left(&self, home: &str) -> Result<Vec<Emission>, RedisError> {
        self.shared.left(home).await
    }

    /// Ends the sender, with a moment for what is on its way.
    pub async fn finish(&self) {
        // It may have ended already.
        let _ = self.queue.send(Job::Finish);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = task
            && timeout(FINISH, &mut task).await.is_err()
        {
            task.abort();
            let left = self.shared.pending.load(Ordering::Acquire);
            tracing::info!(group = self.shared.group, left, "records are left in the outbox for the next member");
        }
    }
}

impl Shared {
    async fn falls_to(&self, limit: usize, patience: Duration) -> bool {
        let falls = async {
            loop {
                let fewer = self.fewer.notified();
                if self.pending.load(Ordering::Acquire) <= limit {
                    return;
                }
                fewer.await;
            }
        };
        timeout(patience, falls).await.is_ok()
    }

    /// So many records are no longer on their way.
    fn done(&self, records: usize) {
        self.pending.fetch_sub(records, Ordering::AcqRel);
        self.instruments.size.decrement(records as f64);
        self.fewer.notify_waiters();
    }

    async fn left(&self, home: &str) -> Result<Vec<Emission>, RedisError> {
        let read = self.redis.client().hgetall(self.names.outbox(home));
        let kept: BTreeMap<String, Bytes> = redis::run("outbox-read", read).await?;
        let emission = |(id, json): (String, Bytes)| match serde_json::from_slice::<Kept<'static>>(&json) {
            Ok(kept) => Some(Emission { home: home.to_owned(), id, record: kept.into_record(), step: None }),
            Err(error) => {
                tracing::error!(group = self.group, home, id, %error, "a record to send can't be read; it stays in Redis");
                None
            }
        };
        Ok(kept.into_iter().filter_map(emission).collect())
    }

    /// Those of `emissions` that the log does not have; the others are removed from the outbox.
    async fn not_sent(&self, emissions: Vec<Emission>) -> Result<Vec<Emission>, String> {
        let records: Vec<_> = emissions.iter().map(|emission| &emission.record).collect();
        let sent = find::sent(&self.cluster, &records).await.map_err(|error| error.to_string())?;
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (emission, is_sent) in emissions.into_iter().zip(sent) {
            if is_sent { found.push(emission) } else { missing.push(emission) }
        }
        let found = found.into_iter().map(|emission| (emission.home, emission.id)).collect();
        self.remove(found).await.map_err(|error| error.to_string())?;
        Ok(missing)
    }

    /// Removes acknowledged records from their outboxes.
    async fn remove(&self, acknowledged: Vec<(String, String)>) -> Result<(), RedisError> {
        let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (home, id) in acknowledged {
            homes.entry(home).or_default().push(id);
        }
        for (home, ids) in homes {
            let () = redis::run("outbox-remove", self.redis.client().hdel(self.names.outbox(&home), ids)).await?;
        }
        Ok(())
    }
}
