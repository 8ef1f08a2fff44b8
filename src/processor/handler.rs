//! Carries a processor out, as a group of the consumer runtime.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use krafka::ConsumerRecord;
use krafka::consumer::TopicPartition;

use super::Setup;
use super::contract::Processor;
use super::heal::Healing;
use super::live::Live;
use super::outbox::Outbox;
use super::rebuild::Shadow;
use super::step::{Failed, Input, failed, home_of, input};
use super::store::{Names, Stands, Store};
use crate::clock::now_ms;
use crate::kafka::consumer::{ApplyError, Handler, Outcome, PartitionEffects, Position};
use crate::redis::RedisError;
use crate::redis::window::Place;
use crate::telemetry::instruments::ProcessorInstruments;

/// Keys that are woken in one batch.
const WOKEN: usize = 1_000;
/// How soon the member looks again when wake-ups are due that may not happen yet, in milliseconds.
const LOOK_AGAIN_MS: i64 = 20;
/// No wake-up is known.
const NEVER: i64 = i64::MAX;

/// What a record is to a group.
#[derive(Clone, Debug)]
pub enum Effect<E> {
    /// Of no concern.
    Nothing,
    /// An event.
    Event(Input<E>),
    /// To a rebuild: a record that failed waits, or is a dead letter.
    Failed(Failed),
}

/// The handler of a processor's group: of a member, or of a rebuild.
pub struct ProcessorHandler<P: Processor> {
    pub(super) shared: Arc<Shared<P>>,
    /// What a rebuild fills; `None` of a member.
    pub(super) shadow: Option<Shadow>,
}

/// What a member and the rebuilds that it starts share.
pub struct Shared<P> {
    pub(super) setup: Setup,
    /// The group's id.
    pub(super) group: String,
    pub(super) processor: P,
    pub(super) store: Store,
    pub(super) outbox: Outbox,
    pub(super) instruments: ProcessorInstruments,
    healing: Healing,
    live: Mutex<Live>,
    /// When the next wake-up of this member's partitions is, in milliseconds since the epoch.
    pub(super) next_wake: AtomicI64,
}

impl<P: Processor> ProcessorHandler<P> {
    /// A member's.
    pub fn new(setup: Setup, processor: P) -> Self {
        let names = Names::new(&setup.prefix, &setup.group);
        let store = Store::new(setup.redis.clone(), names.clone(), setup.window.clone());
        let (cluster, producer, redis) = (setup.cluster.clone(), setup.producer.clone(), setup.redis.clone());
        let group = setup.group_id();
        let outbox = Outbox::start(cluster, producer, redis, names, group.clone());
        let instruments = ProcessorInstruments::new(&group);
        let (healing, live, next_wake) = (Healing::default(), Mutex::default(), AtomicI64::new(NEVER));
        let shared = Shared { setup, group, processor, store, outbox, instruments, healing, live, next_wake };
        Self { shared: Arc::new(shared), shadow: None }
    }

    /// Its outbox.
    pub fn outbox(&self) -> Outbox {
        self.shared.outbox.clone()
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Processor> Handler for ProcessorHandler<P> {
    type Effect = Effect<P::Event>;

    fn concerns(&self, record: &ConsumerRecord, group: &str) -> bool {
        self.shared.processor.concerns(group, record)
    }

    fn plan(&self, record: &Arc<ConsumerRecord>) -> Outcome<Effect<P::Event>> {
        let Shared { setup, group, processor, .. } = &*self.shared;
        let is_of_retries = *record.topic == *setup.retry.topic && !setup.topics.contains(&setup.retry.topic);
        if self.shadow.is_some() && (is_of_retries || *record.topic == *setup.retry.dead_letters) {
            return Outcome::Done(failed(processor, group, record).map_or(Effect::Nothing, Effect::Failed));
        }
        match input(processor, group, record) {
            Ok(input) => Outcome::Done(input.map_or(Effect::Nothing, Effect::Event)),
            Err(reason) => Outcome::Poison(reason),
        }
    }

    async fn position(&self, partition: &TopicPartition, log: &str) -> Result<Position, ApplyError> {
        let ask = async || self.shared.store.position(place(partition, log)).await.map_err(unavailable);
        let mut stands = ask().await?;
        if stands == Stands::Lost {
            let _turn = self.shared.healing.turn().await;
            // Another partition may have asked, and had it healed.
            stands = ask().await?;
            if stands == Stands::Lost {
                self.shared.healing.heal(&self.shared).await?;
                stands = ask().await?;
            }
        }
        let (space, position) = match stands {
            Stands::Lost => return Err(ApplyError::Fenced),
            Stands::Nowhere(space) => (space, Position::Nowhere),
            Stands::At(space, offset) => (space, Position::At(offset)),
            Stands::OtherLog(space) => (space, Position::OtherLog),
        };
        if self.live().is_in(space) {
            self.shared.next_wake.store(0, Ordering::Release);
        }
        Ok(position)
    }

    async fn assigned(&self, partition: &TopicPartition) -> Result<(), ApplyError> {
        self.recover(std::iter::once(home(partition).as_str())).await?;
        // Its wake-ups are not known yet.
        self.shared.next_wake.store(0, Ordering::Release);
        if let Some(window) = self.shared.store.window() {
            // Who had the partition before may have died between writing a batch and announcing it.
            window.announce().await.map_err(unavailable)?;
        }
        Ok(())
    }

    async fn apply(&self, batch: &[PartitionEffects<Effect<P::Event>>]) -> Result<(), ApplyError> {
        match &self.shadow {
            None => self.apply_live(batch).await,
            Some(shadow) => self.fold(shadow, batch).await,
        }
    }

    fn next_tick(&self) -> Option<i64> {
        Some(self.shared.next_wake.load(Ordering::Acquire)).filter(|at| *at != NEVER)
    }

    async fn tick(&self, partitions: &[TopicPartition], until: i64) -> Result<(), ApplyError> {
        self.settle_unsure().await?;
        let Some(space) = self.live().space().map(str::to_owned) else { return Ok(()) };
        let homes: Vec<_> = partitions.iter().map(home).collect();
        let store = &self.shared.store;
        loop {
            let due = store.due(&space, &homes, until, WOKEN).await.map_err(unavailable)?;
            let count: usize = due.iter().map(Vec::len).sum();
            if count == 0 {
                break;
            }
            self.wait_for_room().await?;
            let mut woken: Vec<_> = (homes.iter().zip(due))
                .flat_map(|(home, due)| due.into_iter().map(move |(key, at)| (at, key, home.clone())))
                .collect();
            woken.sort_by(|(at, key, _), (other_at, other, _)| at.total_cmp(other_at).then_with(|| key.cmp(other)));
            self.wake(&space, woken.into_iter().map(|(_, key, home)| (key, home)).collect()).await?;
        }
        let (first, count) = store.next_wake(&space, &homes).await.map_err(unavailable)?;
        // Those that are due and may not happen yet wait for the records before them.
        let next = first.map_or(NEVER, |first| first.max(now_ms() + if first <= now_ms() { LOOK_AGAIN_MS } else { 0 }));
        self.shared.next_wake.store(next, Ordering::Release);
        self.shared.instruments.wakes.set(count as f64);
        Ok(())
    }

    async fn rewound(&self) -> Result<(), ApplyError> {
        let rolled_back = self.live().rolled_back();
        match rolled_back {
            // What it says can't be trusted: records are in the log of which it knows nothing any more.
            Some(space) => unless_fenced(self.shared.store.drop_space(&space).await),
            None => Ok(()),
        }
    }

    async fn restart(&self, partition: &TopicPartition, log: &str, end: i64) -> Result<(), ApplyError> {
        unless_fenced(self.shared.store.restart(place(partition, log), end).await)
    }
}

/// The name of a partition, as states and outboxes keep it.
pub fn home(partition: &TopicPartition) -> String {
    home_of(partition.topic(), partition.partition())
}

fn place<'a>(partition: &'a TopicPartition, log: &'a str) -> Place<'a> {
    Place { topic: partition.topic(), partition: partition.partition(), log }
}

fn unless_fenced(done: Result<bool, RedisError>) -> Result<(), ApplyError> {
    if done.map_err(unavailable)? { Ok(()) } else { Err(ApplyError::Fenced) }
}

pub(super) fn unavailable(error: RedisError) -> ApplyError {
    ApplyError::Unavailable(error.to_string())
}
