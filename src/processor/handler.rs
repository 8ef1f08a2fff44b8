//! Carries a processor out, as a group of the consumer runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use krafka::ConsumerRecord;
use krafka::consumer::TopicPartition;
use rand::RngExt;

use super::Setup;
use super::contract::Processor;
use super::heal::Healing;
use super::outbox::Outbox;
use super::rebuild::Shadow;
use super::step::{Batch, Changes, Failed, Input, Stored, failed, home_of, input, step};
use super::store::{Committed, Hand, Move, Names, Stands, Store};
use crate::clock::now_ms;
use crate::kafka::consumer::{ApplyError, Handler, Outcome, PartitionEffects, Position};
use crate::redis::RedisError;
use crate::redis::window::Place;
use crate::telemetry::instruments::ProcessorInstruments;

/// How often a batch is computed anew because a state had changed meanwhile, before it is tried again later.
const ATTEMPTS: u32 = 30;
/// How long the outbox may take to make room.
const PATIENCE: Duration = Duration::from_secs(5);
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
    next_wake: AtomicI64,
}

/// What a member knows of the live states.
#[derive(Default)]
struct Live {
    /// The space that it works in.
    space: Option<String>,
    /// Whether that space lost what this member had written.
    is_rolled_back: bool,
    /// Partitions whose outbox may hold records that the sender was not given: what a script did is not known when its
    /// answer does not come.
    unsure: BTreeSet<String>,
}

type Known<P> = BTreeMap<String, Stored<<P as Processor>::State>>;

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

    fn live(&self) -> MutexGuard<'_, Live> {
        self.shared.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The space that this member works in; without one the state has to be asked again.
    fn space(&self, partitions: impl IntoIterator<Item = TopicPartition>) -> Result<String, ApplyError> {
        self.live().space.clone().ok_or_else(|| ApplyError::RolledBack(partitions.into_iter().collect()))
    }

    /// Computes what the batch changes and writes it, until nothing has changed meanwhile.
    async fn apply_live(&self, runs: &[PartitionEffects<Effect<P::Event>>]) -> Result<(), ApplyError> {
        self.settle_unsure().await?;
        self.wait_for_room().await?;
        let partitions = || runs.iter().map(|run| run.partition.clone());
        let mut space = self.space(partitions())?;
        let mut stands: Vec<Option<i64>> = runs.iter().map(|run| run.expected).collect();
        let mut known = Known::<P>::new();
        for attempt in 0..ATTEMPTS {
            let inputs = events(runs, &stands);
            let now = now_ms();
            self.load(&space, inputs.iter().flat_map(|input| &input.keys), now, &mut known).await?;
            let needed = self.needed(inputs.iter().filter_map(|input| input.keys.first()), &known);
            self.load(&space, &needed, now, &mut known).await?;
            let batch = Batch { inputs, woken: Vec::new() };
            let changes = self.step(&batch, &known, now);
            match self.commit(&space, &moves(runs, &stands), &changes).await? {
                Committed::Done => {
                    self.committed(changes);
                    return Ok(());
                }
                Committed::Fenced => return Err(ApplyError::Fenced),
                Committed::Moved => {
                    // A rebuild was put in its place, or it is gone.
                    let moved = self.shared.store.live().await.map_err(unavailable)?;
                    self.live().space.clone_from(&moved);
                    space = self.space(partitions())?;
                    let offsets = self.shared.store.offsets(&space).await.map_err(unavailable)?;
                    stands = runs.iter().map(|run| offsets.get(&home(&run.partition)).copied()).collect();
                    self.unless_behind(runs, &stands, false)?;
                    known.clear();
                }
                Committed::Stands(there) => {
                    self.unless_behind(runs, &there, true)?;
                    stands = there;
                    known.clear();
                }
                Committed::Conflict(states) => self.forget(&changes, &states, &mut known, attempt).await,
            }
        }
        Err(ApplyError::Unavailable("others change the same states all the time".to_owned()))
    }

    /// Wakes keys, each with the partition that sees to it.
    async fn wake(&self, space: &str, woken: Vec<(String, String)>) -> Result<(), ApplyError> {
        let mut known = Known::<P>::new();
        for attempt in 0..ATTEMPTS {
            let now = now_ms();
            self.load(space, woken.iter().map(|(key, _)| key), now, &mut known).await?;
            let needed = self.needed(woken.iter().map(|(key, _)| key), &known);
            self.load(space, &needed, now, &mut known).await?;
            let batch = Batch { inputs: Vec::new(), woken: woken.clone() };
            let changes = self.step(&batch, &known, now);
            match self.commit(space, &[], &changes).await? {
                Committed::Done => {
                    self.committed(changes);
                    return Ok(());
                }
                Committed::Fenced => return Err(ApplyError::Fenced),
                // A rebuild was put in its place, or it is gone: where it stands has to be asked.
                Committed::Moved | Committed::Stands(_) => return Err(ApplyError::RolledBack(Vec::new())),
                Committed::Conflict(states) => self.forget(&changes, &states, &mut known, attempt).await,
            }
        }
        Err(ApplyError::Unavailable("others change the same states all the time".to_owned()))
    }

    fn step(&self, batch: &Batch<'_, P::Event>, known: &Known<P>, now: i64) -> Changes<P::State> {
        let Shared { setup, group, processor, .. } = &*self.shared;
        step(processor, group, &setup.retry, batch, known, now)
    }

    /// The keys that deciding about `keys` looks at besides.
    fn needed<'a>(&self, keys: impl Iterator<Item = &'a String>, known: &Known<P>) -> BTreeSet<String> {
        let states = keys.collect::<BTreeSet<_>>().into_iter().filter_map(|key| Some((key, known.get(key)?)));
        states.flat_map(|(key, stored)| self.shared.processor.needs(key, &stored.state)).collect()
    }

    /// Reads the states under `keys` that are not known yet.
    pub(super) async fn load<'a>(
        &self,
        space: &str,
        keys: impl IntoIterator<Item = &'a String>,
        now: i64,
        known: &mut Known<P>,
    ) -> Result<(), ApplyError> {
        let missing: BTreeSet<&String> = keys.into_iter().filter(|key| !known.contains_key(*key)).collect();
        let missing: Vec<_> = missing.into_iter().collect();
        self.shared.store.load(space, &missing, now, known).await.map_err(unavailable)
    }

    async fn commit(&self, space: &str, moves: &[Move], changes: &Changes<P::State>) -> Result<Committed, ApplyError> {
        let committed = self.shared.store.commit(Hand::Live(space), moves, changes, now_ms()).await;
        if committed.is_err() {
            self.live().unsure.extend(changes.emissions.iter().map(|emission| emission.home.clone()));
        }
        committed.map_err(unavailable)
    }

    /// After a batch was written: what it emits is sent, and what it asked for is remembered.
    fn committed(&self, changes: Changes<P::State>) {
        let first = changes.writes.iter().filter_map(|write| Some(write.stored.wake.as_ref()?.at)).min();
        if let Some(first) = first {
            self.shared.next_wake.fetch_min(first, Ordering::AcqRel);
        }
        for write in changes.writes.iter().filter(|write| write.is_new) {
            self.shared.processor.written(&write.key, &write.stored.state);
        }
        let instruments = &self.shared.instruments;
        instruments.retries.increment(changes.failures.retried);
        for (topic, (permanent, exhausted)) in &changes.failures.dead {
            instruments.gave_up(topic, *permanent, *exhausted);
        }
        self.shared.outbox.send(changes.emissions);
    }

    /// Forgets the states that have changed, and lets others finish what they are at.
    async fn forget(&self, changes: &Changes<P::State>, states: &[usize], known: &mut Known<P>, attempt: u32) {
        self.shared.instruments.conflicts.increment(1);
        for write in states.iter().filter_map(|index| changes.writes.get(*index)) {
            known.remove(&write.key);
        }
        let upto = 2_u64 << attempt.min(5);
        let pause = Duration::from_millis(rand::rng().random_range(0..=upto));
        tokio::time::sleep(pause).await;
    }

    /// Refuses to go on from a state that stands before what this member has applied.
    fn unless_behind(
        &self,
        runs: &[PartitionEffects<Effect<P::Event>>],
        stands: &[Option<i64>],
        is_same_space: bool,
    ) -> Result<(), ApplyError> {
        let is_behind = |run: &PartitionEffects<_>, stands: &Option<i64>| run.expected > *stands;
        let behind = runs.iter().zip(stands).filter(|(run, stands)| is_behind(run, stands));
        let behind: Vec<_> = behind.map(|(run, _)| run.partition.clone()).collect();
        if behind.is_empty() {
            return Ok(());
        }
        self.live().is_rolled_back |= is_same_space;
        Err(ApplyError::RolledBack(behind))
    }

    /// Sends what scripts may have put into outboxes whose answers did not come.
    async fn settle_unsure(&self) -> Result<(), ApplyError> {
        let unsure = self.live().unsure.clone();
        if unsure.is_empty() {
            return Ok(());
        }
        self.recover(unsure.iter().map(String::as_str)).await?;
        self.live().unsure.clear();
        Ok(())
    }

    async fn recover(&self, homes: impl Iterator<Item = &str>) -> Result<(), ApplyError> {
        let outbox = &self.shared.outbox;
        for home in homes {
            // What this member is sending would be taken for what somebody left.
            if !outbox.is_empty(PATIENCE).await {
                return Err(ApplyError::Unavailable("Kafka does not take what is to be sent".to_owned()));
            }
            outbox.recover(home).await.map_err(ApplyError::Unavailable)?;
        }
        Ok(())
    }

    async fn wait_for_room(&self) -> Result<(), ApplyError> {
        if self.shared.outbox.has_room(PATIENCE).await {
            return Ok(());
        }
        Err(ApplyError::Unavailable("Kafka does not take what is to be sent".to_owned()))
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
            Err(reason) => {
                self.shared.instruments.unreadable();
                Outcome::Poison(reason)
            }
        }
    }

    async fn position(&self, partition: &TopicPartition, log: &str) -> Result<Position, ApplyError> {
        let mut stands = self.shared.store.position(place(partition, log)).await.map_err(unavailable)?;
        if stands == Stands::Lost {
            self.shared.healing.heal(&self.shared).await?;
            stands = self.shared.store.position(place(partition, log)).await.map_err(unavailable)?;
        }
        let (space, position) = match stands {
            Stands::Lost => return Err(ApplyError::Fenced),
            Stands::Nowhere(space) => (space, Position::Nowhere),
            Stands::At(space, offset) => (space, Position::At(offset)),
            Stands::OtherLog(space) => (space, Position::OtherLog),
        };
        let mut live = self.live();
        if live.space.as_ref() != Some(&space) {
            live.is_rolled_back = false;
            live.space = Some(space);
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
        let Some(space) = self.live().space.clone() else { return Ok(()) };
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
        let (space, is_rolled_back) = {
            let live = self.live();
            (live.space.clone(), live.is_rolled_back)
        };
        match space {
            // What it says can't be trusted: records are in the log of which it knows nothing any more.
            Some(space) if is_rolled_back => unless_fenced(self.shared.store.drop_space(&space).await),
            _ => Ok(()),
        }
    }

    async fn restart(&self, partition: &TopicPartition, log: &str, end: i64) -> Result<(), ApplyError> {
        unless_fenced(self.shared.store.restart(place(partition, log), end).await)
    }
}

/// The events of `runs` that a state which stands at `stands` has not seen.
fn events<'a, E>(runs: &'a [PartitionEffects<Effect<E>>], stands: &[Option<i64>]) -> Vec<&'a Input<E>> {
    let unseen = runs.iter().zip(stands).flat_map(|(run, stands)| {
        run.effects.iter().filter(move |effect| stands.is_none_or(|stands| effect.offset >= stands))
    });
    unseen
        .filter_map(|effect| match &effect.effect {
            Effect::Event(input) => Some(input),
            Effect::Nothing | Effect::Failed(_) => None,
        })
        .collect()
}

fn moves<E>(runs: &[PartitionEffects<E>], stands: &[Option<i64>]) -> Vec<Move> {
    let moved = |(run, stands): (&PartitionEffects<E>, &Option<i64>)| Move {
        partition: home(&run.partition),
        from: *stands,
        to: run.next.max(stands.unwrap_or(run.next)),
    };
    runs.iter().zip(stands).map(moved).collect()
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
