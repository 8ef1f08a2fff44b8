//! A group in memory: the states of a service, its place in the log, its outbox, and the ways in which a process can fail
//! around them. What is written is written together or not at all; everything else is lost when a process ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fixtures::RETENTION;
use super::log::Log;
use crate::apps::Prefix;
use crate::apps::orders::retry::retry;
use crate::apps::orders::service::Service;
use crate::apps::orders::switches::LiveSwitches;
use crate::processor::Processor;
use crate::processor::retry::record::group_of;
use crate::processor::step::{self, Batch, Changes, Input, Stored, Write};

type Place = (String, i32);

/// A batch that was computed, and not yet written.
struct Prepared<T> {
    place: Place,
    from: usize,
    end: usize,
    changes: Changes<T>,
}

/// What can be done with any group.
pub trait Member {
    /// Reads up to `count` records of one of its partitions; a process that is `killed` has computed what to write, but has not
    /// written it. Whether anything was read is told.
    fn poll(&mut self, log: &Log, nth: usize, count: usize, now_ms: i64, killed: bool) -> bool;
    /// Two instances read the same partition; both try to write.
    fn poll_twice(&mut self, log: &Log, nth: usize, other: usize, now_ms: i64);
    /// Decides about keys whose time has come, and says when the next one's will.
    fn wake(&mut self, now_ms: i64) -> Option<i64>;
    /// Sends what is in the outbox; whose acknowledgement is lost is there still, and is sent again. Whether anything was sent.
    fn flush(&mut self, log: &mut Log, lost: bool) -> bool;
    /// The states, as they are kept, by key.
    fn states(&self) -> BTreeMap<String, String>;
    /// The states that follow from the log alone, read in an order that `seed` decides.
    fn rebuilt(&self, log: &Log, seed: u64) -> BTreeMap<String, String>;
    /// How often the state under each key was written.
    fn written(&self) -> &BTreeMap<String, u32>;
}

pub struct Group<S: Service> {
    service: S,
    stored: BTreeMap<String, Stored<S::State>>,
    positions: BTreeMap<Place, usize>,
    outbox: BTreeMap<(String, String), crate::kafka::Outgoing>,
    written: BTreeMap<String, u32>,
    /// Checked after everything that was written.
    holds: fn(&BTreeMap<String, Stored<S::State>>, &LiveSwitches),
    switches: LiveSwitches,
}

impl<S: Service> Group<S> {
    pub fn new(switches: LiveSwitches, holds: fn(&BTreeMap<String, Stored<S::State>>, &LiveSwitches)) -> Self {
        let service = S::new(Prefix::default(), switches.clone(), RETENTION);
        let (stored, positions, outbox, written) = Default::default();
        Self { service, stored, positions, outbox, written, holds, switches }
    }

    fn places(log: &Log) -> Vec<Place> {
        let of_topic = |topic: &&str| {
            let topic = (*topic).to_owned();
            (0..log.partitions_of(&topic)).map(move |partition| (topic.clone(), partition)).collect::<Vec<_>>()
        };
        S::TOPICS.iter().flat_map(of_topic).collect()
    }

    /// What is kept under the keys of the batch, and under those that deciding about them looks at.
    fn load(&self, keys: BTreeSet<String>) -> BTreeMap<String, Stored<S::State>> {
        let at_hand = |keys: &BTreeSet<String>| -> BTreeMap<String, Stored<S::State>> {
            let known = keys.iter().filter_map(|key| Some((key.clone(), self.stored.get(key)?.clone())));
            known.collect()
        };
        let needed = at_hand(&keys).into_iter().flat_map(|(key, stored)| self.service.needs(&key, &stored.state));
        at_hand(&keys.iter().cloned().chain(needed).collect())
    }

    fn changes(&self, inputs: &[Input<S::Event>], woken: Vec<(String, String)>, now_ms: i64) -> Changes<S::State> {
        let keys = inputs.iter().flat_map(|input| input.keys.clone()).chain(woken.iter().map(|(key, _)| key.clone()));
        let stored = self.load(keys.collect());
        let batch = Batch { inputs: inputs.iter().collect(), woken };
        step::step(&self.service, S::GROUP, &retry(&Prefix::default()), &batch, &stored, now_ms)
    }

    /// What the next records of a partition change.
    fn prepare(&self, log: &Log, nth: usize, count: usize, now_ms: i64) -> Prepared<S::State> {
        let places = Self::places(log);
        let place = places[nth % places.len()].clone();
        let from = self.positions.get(&place).copied().unwrap_or_default();
        let records = log.records(&place.0, place.1).iter().skip(from).take(count);
        let end = from + records.len();
        let for_us = records.filter(|record| group_of(record).is_none_or(|group| group == S::GROUP));
        let inputs: Vec<_> = for_us.filter_map(|record| input(&self.service, record)).collect();
        Prepared { place, from, end, changes: self.changes(&inputs, Vec::new(), now_ms) }
    }

    /// Writes a batch with its place, unless another instance has written it, or one of its states, meanwhile.
    fn finish(&mut self, batch: Prepared<S::State>) {
        let Prepared { place, from, end, changes } = batch;
        if self.positions.get(&place).copied().unwrap_or_default() == from && self.commit(changes) {
            self.positions.insert(place, end);
        }
    }

    /// Writes everything, unless a state has changed meanwhile.
    fn commit(&mut self, changes: Changes<S::State>) -> bool {
        let version = |key: &str| self.stored.get(key).map_or(0, |stored| stored.version);
        if changes.writes.iter().any(|write| version(&write.key) != write.version) {
            return false;
        }
        for Write { key, stored, cause, .. } in changes.writes {
            let before = self.stored.insert(key.clone(), stored.clone()).unwrap_or_default();
            if before.state != stored.state {
                self.service.written(&key, &stored.state, &cause);
                *self.written.entry(key).or_default() += 1;
            }
        }
        for emission in changes.emissions {
            self.outbox.insert((emission.home, emission.id), emission.record);
        }
        (self.holds)(&self.stored, &self.switches);
        true
    }
}

fn input<P: Processor>(service: &P, record: &Arc<krafka::ConsumerRecord>) -> Option<Input<P::Event>> {
    let event = service.read(record).unwrap()?;
    let keys = service.keys(&event);
    Some(Input { event, keys, record: Arc::clone(record) })
}

impl<S: Service> Member for Group<S> {
    fn poll(&mut self, log: &Log, nth: usize, count: usize, now_ms: i64, killed: bool) -> bool {
        let batch = self.prepare(log, nth, count, now_ms);
        let is_any = batch.end > batch.from;
        if !killed {
            self.finish(batch);
        }
        is_any
    }

    fn poll_twice(&mut self, log: &Log, nth: usize, other: usize, now_ms: i64) {
        let first = self.prepare(log, nth, 3, now_ms);
        let second = self.prepare(log, other, 3, now_ms);
        self.finish(second);
        self.finish(first);
    }

    fn wake(&mut self, now_ms: i64) -> Option<i64> {
        let wakes = self.stored.iter().filter_map(|(key, stored)| Some((key, stored.wake.clone()?)));
        let (due, later): (Vec<_>, Vec<_>) = wakes.partition(|(_, wake)| wake.at <= now_ms);
        let next = later.into_iter().map(|(_, wake)| wake.at).min();
        let woken: Vec<_> = due.into_iter().map(|(key, wake)| (key.clone(), wake.home)).collect();
        let changes = self.changes(&[], woken, now_ms);
        assert!(self.commit(changes));
        next
    }

    fn flush(&mut self, log: &mut Log, lost: bool) -> bool {
        let is_empty = self.outbox.is_empty();
        for record in self.outbox.values() {
            log.send(record.clone());
        }
        if !lost {
            self.outbox.clear();
        }
        !is_empty
    }

    fn states(&self) -> BTreeMap<String, String> {
        texts::<S>(&self.stored)
    }

    fn rebuilt(&self, log: &Log, seed: u64) -> BTreeMap<String, String> {
        use rand::SeedableRng;
        use rand::seq::SliceRandom;

        let records = S::TOPICS.iter().chain(S::EMITS).flat_map(|topic| log.all(topic));
        let mut inputs: Vec<_> = records.filter_map(|record| input(&self.service, record)).collect();
        inputs.shuffle(&mut rand::rngs::StdRng::seed_from_u64(seed));
        let mut stored = BTreeMap::new();
        for batch in inputs.chunks(7) {
            let (changes, _) = step::fold(&self.service, &batch.iter().collect::<Vec<_>>(), &stored, 0);
            for write in changes.writes {
                stored.insert(write.key, write.stored);
            }
        }
        texts::<S>(&stored)
    }

    fn written(&self) -> &BTreeMap<String, u32> {
        &self.written
    }
}

fn texts<S: Service>(stored: &BTreeMap<String, Stored<S::State>>) -> BTreeMap<String, String> {
    let known = stored.iter().filter(|(_, stored)| stored.state != S::State::default());
    known.map(|(key, stored)| (key.clone(), serde_json::to_string(&stored.state).unwrap())).collect()
}
