//! A member at work on the live states.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use krafka::consumer::TopicPartition;
use rand::RngExt;

use super::contract::Processor;
use super::handler::{Effect, ProcessorHandler, Shared, home, unavailable};
use super::step::{Batch, Changes, Input, Stored, step};
use super::store::{Committed, Hand, Move};
use crate::clock::now_ms;
use crate::kafka::consumer::{ApplyError, PartitionEffects};

/// How often a batch is computed anew because a state had changed meanwhile, before it is tried again later.
const ATTEMPTS: u32 = 30;
/// How long the outbox may take to make room.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a member knows of the live states.
#[derive(Default)]
pub struct Live {
    /// The space that it works in.
    space: Option<String>,
    /// Where that stands in this member's partitions, as far as it has written to them.
    stands: BTreeMap<String, i64>,
    /// Whether that space lost what this member had written.
    is_rolled_back: bool,
    /// Partitions whose outbox may hold records that the sender was not given: what a script did is not known when its
    /// answer does not come.
    unsure: BTreeSet<String>,
}

impl Live {
    /// The space that it works in.
    pub fn space(&self) -> Option<&str> {
        self.space.as_deref()
    }

    /// Works in `space` from now on; whether that is another than before.
    pub fn is_in(&mut self, space: String) -> bool {
        if self.space.as_ref() == Some(&space) {
            return false;
        }
        *self = Self { space: Some(space), unsure: std::mem::take(&mut self.unsure), ..Self::default() };
        true
    }

    /// The space that lost what this member had written, if it did.
    pub fn rolled_back(&self) -> Option<String> {
        self.space.clone().filter(|_| self.is_rolled_back)
    }

    /// It has to be asked where the states stand.
    fn forget(&mut self) {
        *self = Self { unsure: std::mem::take(&mut self.unsure), ..Self::default() };
    }
}

/// States as they were read.
pub type Known<P> = BTreeMap<String, Stored<<P as Processor>::State>>;

impl<P: Processor> ProcessorHandler<P> {
    /// The space that this member works in; without one the state has to be asked again.
    fn space(&self, partitions: impl IntoIterator<Item = TopicPartition>) -> Result<String, ApplyError> {
        self.live().space.clone().ok_or_else(|| ApplyError::RolledBack(partitions.into_iter().collect()))
    }

    /// Computes what the batch changes and writes it, until nothing has changed meanwhile.
    pub(super) async fn apply_live(&self, runs: &[PartitionEffects<Effect<P::Event>>]) -> Result<(), ApplyError> {
        self.settle_unsure().await?;
        self.wait_for_room().await?;
        let partitions = || runs.iter().map(|run| run.partition.clone());
        let mut space = self.space(partitions())?;
        let mut stands: Vec<Option<i64>> = runs.iter().map(|run| run.expected).collect();
        let mut known = Known::<P>::new();
        for attempt in 0..ATTEMPTS {
            let started = Instant::now();
            let inputs = events(runs, &stands);
            let now = now_ms();
            self.load(&space, inputs.iter().flat_map(|input| &input.keys), now, &mut known).await?;
            let needed = self.needed(inputs.iter().filter_map(|input| input.keys.first()), &known);
            self.load(&space, &needed, now, &mut known).await?;
            let batch = Batch { inputs, woken: Vec::new() };
            let changes = self.step(&batch, &known, now);
            let moves = moves(runs, &stands);
            match self.commit(&space, &moves, &changes).await? {
                Committed::Done => {
                    self.live().stands.extend(moves.into_iter().map(|moved| (moved.partition, moved.to)));
                    self.committed(changes, started);
                    return Ok(());
                }
                Committed::Fenced => return Err(ApplyError::Fenced),
                Committed::Moved => {
                    // A rebuild was put in its place, or it is gone.
                    match self.shared.store.live().await.map_err(unavailable)? {
                        Some(moved) => _ = self.live().is_in(moved),
                        None => self.live().forget(),
                    }
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

    /// Wakes keys, each with the partition that sees to it. Those must stand where this member has left them: a state that
    /// has lost what was written to it may ask for what has been done.
    pub(super) async fn wake(&self, space: &str, woken: Vec<(String, String)>) -> Result<(), ApplyError> {
        let stay: Vec<_> = {
            let live = self.live();
            let homes: BTreeSet<&String> = woken.iter().map(|(_, home)| home).collect();
            let stay = |home: &&String| live.stands.get(*home).map(|at| ((*home).clone(), *at));
            homes.iter().filter_map(stay).map(|(partition, at)| Move { partition, from: Some(at), to: at }).collect()
        };
        let mut known = Known::<P>::new();
        for attempt in 0..ATTEMPTS {
            let (now, started) = (now_ms(), Instant::now());
            self.load(space, woken.iter().map(|(key, _)| key), now, &mut known).await?;
            let needed = self.needed(woken.iter().map(|(key, _)| key), &known);
            self.load(space, &needed, now, &mut known).await?;
            let batch = Batch { inputs: Vec::new(), woken: woken.clone() };
            let changes = self.step(&batch, &known, now);
            match self.commit(space, &stay, &changes).await? {
                Committed::Done => {
                    self.committed(changes, started);
                    return Ok(());
                }
                Committed::Fenced => return Err(ApplyError::Fenced),
                // A rebuild was put in its place, or it is gone: where it stands has to be asked.
                Committed::Moved => return Err(ApplyError::RolledBack(Vec::new())),
                Committed::Stands(there) => {
                    let is_behind = stay.iter().zip(&there).any(|(stay, there)| stay.from > *there);
                    self.live().is_rolled_back |= is_behind;
                    return Err(ApplyError::RolledBack(Vec::new()));
                }
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

    /// After a batch was written, which was begun at `started`: what it emits is sent, and what it asked for is remembered.
    fn committed(&self, changes: Changes<P::State>, started: Instant) {
        let first = changes.writes.iter().filter_map(|write| Some(write.stored.wake.as_ref()?.at)).min();
        if let Some(first) = first {
            self.shared.next_wake.fetch_min(first, Ordering::AcqRel);
        }
        for write in changes.writes.iter().filter(|write| write.is_new) {
            self.shared.processor.written(&write.key, &write.stored.state, &write.cause);
        }
        for step in changes.steps {
            step.tell(&self.shared.group, started.elapsed());
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
    pub(super) async fn settle_unsure(&self) -> Result<(), ApplyError> {
        let unsure = self.live().unsure.clone();
        if unsure.is_empty() {
            return Ok(());
        }
        self.recover(unsure.iter().map(String::as_str)).await?;
        self.live().unsure.clear();
        Ok(())
    }

    pub(super) async fn recover(&self, homes: impl Iterator<Item = &str>) -> Result<(), ApplyError> {
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

    pub(super) async fn wait_for_room(&self) -> Result<(), ApplyError> {
        if self.shared.outbox.has_room(PATIENCE).await {
            return Ok(());
        }
        Err(ApplyError::Unavailable("Kafka does not take what is to be sent".to_owned()))
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
