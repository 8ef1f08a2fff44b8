//! The states anew, from the log alone.
//!
//! A rebuild evolves over what came in and over what was emitted, and decides nothing: what the group has done stands in the
//! log, and what stands there is not done again. It reads what came in up to where the group has handled it, and all that
//! was emitted; members go on from there. What is left to decide then (a wake-up, or an event that was never sent because
//! its outbox was lost) is decided by them, as wake-ups of the new states. A record that failed and neither waits nor is a
//! dead letter, because its outbox was lost, is read once more.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use krafka::ConsumerRecord;
use krafka::admin::TopicPartition as AdminPartition;
use krafka::consumer::TopicPartition;
use uuid::Uuid;

use super::contract::Processor;
use super::handler::{Effect, ProcessorHandler, Shared, home, unavailable};
use super::retry::record::PLACE;
use super::step::{Changes, Emission, Failed, Input, Stored, fold, reopen};
use super::store::{Committed, Hand, Move};
use crate::clock::now_ms;
use crate::kafka::admin::groups;
use crate::kafka::consumer::{ApplyError, Handler, Outcome, PartitionEffects};
use crate::kafka::event::header_str;
use crate::kafka::log;
use crate::kafka::replay::{Part, Range, Rebuild, ReplayError};

/// How long members that lost their states may take to be told by Kafka what became of what they were sending.
const GRACE: Duration = Duration::from_millis(500);
/// How long this process's own may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Open keys that are written at once.
const CHUNK: usize = 1_000;

/// What a rebuild fills.
pub struct Shadow {
    /// Its space, and the token of its fence.
    space: String,
    building: Mutex<Building>,
}

#[derive(Default)]
struct Building {
    /// Up to where each consumed partition counts as handled.
    handled: HashMap<TopicPartition, i64>,
    /// Keys about which something is left to decide.
    open: BTreeMap<String, Open>,
    /// Records that failed: where each waits, and its key.
    waiting: HashMap<String, String>,
    /// The places whose records came back and were handled.
    back: HashSet<String>,
    /// The keys of dead letters.
    dead: BTreeSet<String>,
    /// The space that was the live one when it began.
    before: Option<String>,
}

/// What is known of a key about which something is left to decide.
#[derive(Default)]
struct Open {
    /// The partition whose reader will see to it: the last one that brought something about it.
    home: String,
    /// From where on each consumed partition may have brought what is left to decide.
    since: BTreeMap<String, i64>,
}

impl Building {
    /// Remembers what became of records that failed.
    fn note<E>(&mut self, effect: &Effect<E>) {
        match effect {
            Effect::Nothing => {}
            Effect::Failed(Failed { key, place: None }) => _ = self.dead.insert(key.clone()),
            Effect::Failed(Failed { key, place: Some(place) }) => _ = self.waiting.insert(place.clone(), key.clone()),
            Effect::Event(Input { record, .. }) => {
                self.back.extend(header_str(&record.headers, PLACE).map(str::to_owned));
            }
        }
    }
}

impl Shadow {
    fn new() -> Self {
        Self { space: Uuid::now_v7().simple().to_string(), building: Mutex::default() }
    }

    fn building(&self) -> std::sync::MutexGuard<'_, Building> {
        self.building.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Processor> ProcessorHandler<P> {
    /// Evolves the states of a shadow.
    pub(super) async fn fold(
        &self,
        shadow: &Shadow,
        runs: &[PartitionEffects<Effect<P::Event>>],
    ) -> Result<(), ApplyError> {
        let (moves, oldest, newest) = {
            let mut building = shadow.building();
            let effects = runs.iter().flat_map(|run| &run.effects);
            effects.clone().for_each(|effect| building.note(&effect.effect));
            let moved = |run: &PartitionEffects<_>| {
                let handled = *building.handled.get(&run.partition)?;
                Some(Move { partition: home(&run.partition), from: None, to: run.next.min(handled) })
            };
            let times = effects.map(|effect| effect.timestamp);
            (runs.iter().filter_map(moved).collect::<Vec<_>>(), times.clone().min(), times.max())
        };
        let inputs: Vec<&Input<P::Event>> = (runs.iter().flat_map(|run| &run.effects))
            .filter_map(|effect| match &effect.effect {
                Effect::Event(input) => Some(input),
                Effect::Nothing | Effect::Failed(_) => None,
            })
            .collect();
        // The time is that of the log: a state expires when the live one would, but not before the records of the batch.
        let now = now_ms();
        let at = |time: Option<i64>| time.unwrap_or(now).min(now);
        self.fold_inputs(shadow, &inputs, &moves, at(oldest), at(newest)).await
    }

    async fn fold_inputs(
        &self,
        shadow: &Shadow,
        inputs: &[&Input<P::Event>],
        moves: &[Move],
        known_at: i64,
        time: i64,
    ) -> Result<(), ApplyError> {
        let mut known = BTreeMap::new();
        self.load(&shadow.space, inputs.iter().flat_map(|input| &input.keys), known_at, &mut known).await?;
        let (changes, open) = fold(&self.shared.processor, inputs, &known, time);
        self.write(shadow, moves, &changes, time).await?;
        let mut building = shadow.building();
        for (key, is_open) in open {
            if is_open {
                building.open.entry(key).or_default();
            } else {
                building.open.remove(&key);
            }
        }
        for Input { keys, record, .. } in inputs {
            let partition = TopicPartition::new(&*record.topic, record.partition);
            if let Some(key) = keys.first()
                && building.handled.contains_key(&partition)
                && let Some(open) = building.open.get_mut(key)
            {
                open.home = home(&partition);
                open.since.entry(open.home.clone()).or_insert(record.offset);
            }
        }
        Ok(())
    }

    async fn write(
        &self,
        shadow: &Shadow,
        moves: &[Move],
        changes: &Changes<P::State>,
        time: i64,
    ) -> Result<(), ApplyError> {
        match self.shared.store.commit(Hand::Rebuild(&shadow.space), moves, changes, time).await.map_err(unavailable)? {
            Committed::Done => Ok(()),
            // The fence is gone: its keeper says so, too.
            Committed::Fenced => Err(ApplyError::Fenced),
            other => Err(ApplyError::Unavailable(format!("somebody else writes what is being rebuilt: {other:?}"))),
        }
    }

    /// Evolves over what is in the outboxes: it is as good as sent, and may not be in the log yet.
    async fn fold_outboxes(&self, shadow: &Shadow) -> Result<(), ApplyError> {
        let homes: Vec<String> = shadow.building().handled.keys().map(home).collect();
        let mut inputs = Vec::new();
        for home in homes {
            let left = self.shared.outbox.left(&home).await.map_err(unavailable)?;
            for (Emission { record, .. }, offset) in left.into_iter().zip(0..) {
                let mut read = ConsumerRecord::new(record.topic, -1, offset, record.key, record.value);
                (read.headers, read.timestamp) = (record.headers, record.timestamp);
                if let Outcome::Done(effect) = self.plan(&Arc::new(read)) {
                    shadow.building().note(&effect);
                    if let Effect::Event(input) = effect {
                        inputs.push(input);
                    }
                }
            }
        }
        let inputs: Vec<_> = inputs.iter().collect();
        let now = now_ms();
        self.fold_inputs(shadow, &inputs, &[], now, now).await
    }

    /// Has members decide what is left to decide.
    async fn reopen(&self, shadow: &Shadow) -> Result<(), ApplyError> {
        let Building { open, waiting, back, mut dead, before, .. } = std::mem::take(&mut *shadow.building());
        dead.extend(waiting.into_iter().filter(|(place, _)| !back.contains(place)).map(|(_, key)| key));
        let anywhere = self.shared.setup.topics.first().map(|topic| super::step::home_of(topic, 0)).unwrap_or_default();
        let homes: Vec<_> = (open.iter())
            .map(|(key, Open { home, .. })| {
                (key.clone(), if home.is_empty() { anywhere.clone() } else { home.clone() })
            })
            .collect();
        let mut again: BTreeMap<String, i64> = BTreeMap::new();
        for chunk in homes.chunks(CHUNK) {
            let homes: BTreeMap<_, _> = chunk.iter().cloned().collect();
            let now = now_ms();
            let mut known: BTreeMap<String, Stored<P::State>> = BTreeMap::new();
            self.load(&shadow.space, homes.keys(), now, &mut known).await?;
            let needs = |(key, stored): (&String, &Stored<P::State>)| self.shared.processor.needs(key, &stored.state);
            let needed: Vec<String> = known.iter().flat_map(needs).collect();
            self.load(&shadow.space, &needed, now, &mut known).await?;
            let (mut changes, failing) = reopen(&self.shared.processor, &homes, &known, now);
            self.keep_waiting(before.as_deref(), &homes, &mut changes, now).await?;
            self.write(shadow, &[], &changes, now).await?;
            let lost = failing.iter().filter(|key| before.is_none() && !dead.contains(*key));
            for (partition, offset) in lost.filter_map(|key| open.get(key)).flat_map(|open| &open.since) {
                let first = again.entry(partition.clone()).or_insert(*offset);
                *first = (*first).min(*offset);
            }
        }
        let moves: Vec<_> = again.into_iter().map(|(partition, to)| Move { partition, from: None, to }).collect();
        self.write(shadow, &moves, &Changes::default(), now_ms()).await
    }

    /// Records that wait for their turn do so as before.
    async fn keep_waiting(
        &self,
        before: Option<&str>,
        open: &BTreeMap<String, String>,
        changes: &mut Changes<P::State>,
        now: i64,
    ) -> Result<(), ApplyError> {
        let Some(before) = before.filter(|_| self.shared.setup.retry.keep_order) else { return Ok(()) };
        let mut live = BTreeMap::new();
        self.load(before, open.keys(), now, &mut live).await?;
        for write in &mut changes.writes {
            if let Some(stored) = live.remove(&write.key) {
                write.stored.waiting = stored.waiting;
            }
        }
        Ok(())
    }
}

impl<P: Processor> Rebuild for ProcessorHandler<P> {
    fn shadow(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), shadow: Some(Shadow::new()) }
    }

    async fn hold(&self, lasting: Duration) -> Result<bool, ApplyError> {
        let Some(Shadow { space, .. }) = &self.shadow else { return Ok(false) };
        let store = &self.shared.store;
        let held = store.hold(space, "take", lasting.as_millis() as i64).await.map_err(unavailable)?;
        if held {
            store.note(space).await.map_err(unavailable)?;
        }
        Ok(held)
    }

    async fn keep_hold(&self, lasting: Duration) -> Result<bool, ApplyError> {
        let Some(Shadow { space, .. }) = &self.shadow else { return Ok(false) };
        self.shared.store.hold(space, "renew", lasting.as_millis() as i64).await.map_err(unavailable)
    }

    async fn settle(&self, mut range: Range) -> Result<Range, ReplayError> {
        let Some(shadow) = &self.shadow else { return Ok(range) };
        let Shared { setup, store, outbox, .. } = &*self.shared;
        let before = store.live().await.map_err(unavailable)?;
        if !outbox.is_empty(PATIENCE).await {
            return Err(ApplyError::Unavailable("Kafka does not take what is to be sent".to_owned()).into());
        }
        let handled: HashMap<(String, i32), i64> = match &before {
            Some(space) => {
                let offsets = store.offsets(space).await.map_err(unavailable)?;
                offsets.into_iter().filter_map(|(field, offset)| Some((split(&field)?, offset))).collect()
            }
            None => {
                if !range.is_empty() {
                    tokio::time::sleep(GRACE).await;
                }
                let anew = store.made_anew().await.map_err(unavailable)?;
                let committed = groups::offsets(&setup.cluster, &self.shared.group).await?;
                let place =
                    |(partition, offset): (AdminPartition, i64)| ((partition.topic, partition.partition), offset);
                committed.into_iter().map(place).filter(|((topic, _), _)| !anew.contains(topic)).collect()
            }
        };
        let read: BTreeSet<String> = range.parts.iter().map(|part| part.log.topic().to_owned()).collect();
        for topic in [&setup.retry.topic, &setup.retry.dead_letters] {
            if read.contains(topic) {
                continue;
            }
            for log in log::open(&setup.cluster, topic).await? {
                let from = log.start().await?;
                range.parts.push(Part { from, to: from, seen: i64::MAX, log });
            }
        }
        let mut consumed = HashMap::new();
        for part in &mut range.parts {
            let (topic, number) = (part.log.topic().to_owned(), part.log.partition());
            let is_emitted = !setup.topics.contains(&topic) || setup.emits.contains(&topic);
            if setup.topics.contains(&topic) {
                let until = handled.get(&(topic.clone(), number)).copied().unwrap_or(part.from);
                let until = until.clamp(part.from, part.to.max(part.from));
                consumed.insert(TopicPartition::new(topic, number), until);
                part.to = until;
            }
            if is_emitted {
                part.to = part.log.end().await?.max(part.from);
            }
            // What can't be read has its dead letter already, or will get it from a member.
            part.seen = i64::MAX;
        }
        {
            let mut building = shadow.building();
            (building.handled, building.before) = (consumed, before);
        }
        self.fold_outboxes(shadow).await?;
        Ok(range)
    }

    fn stands(&self, range: &Range) -> Vec<(TopicPartition, i64)> {
        let Some(shadow) = &self.shadow else { return Vec::new() };
        let handled = &shadow.building().handled;
        let partitions = range.parts.iter().map(|part| TopicPartition::new(part.log.topic(), part.log.partition()));
        partitions.filter_map(|partition| Some((partition.clone(), *handled.get(&partition)?))).collect()
    }

    async fn swap_into(&self, _live: &Self) -> Result<bool, ApplyError> {
        let Some(shadow) = &self.shadow else { return Ok(false) };
        self.reopen(shadow).await?;
        let swapped = self.shared.store.swap(&shadow.space).await.map_err(unavailable)?;
        self.sweep();
        Ok(swapped)
    }

    async fn discard(&self) -> Result<(), ApplyError> {
        let Some(shadow) = &self.shadow else { return Ok(()) };
        self.shared.store.lift(&shadow.space).await.map_err(unavailable)?;
        self.sweep();
        Ok(())
    }
}

impl<P: Processor> ProcessorHandler<P> {
    /// Removes what is no longer needed, while others go on.
    fn sweep(&self) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            if let Err(error) = shared.store.sweep().await {
                tracing::debug!(%error, "states of before are left in Redis until the next rebuild");
            }
        });
    }
}

/// The topic and partition that a field of the offsets names.
fn split(field: &str) -> Option<(String, i32)> {
    let (topic, partition) = field.rsplit_once(':')?;
    Some((topic.to_owned(), partition.parse().ok()?))
}
