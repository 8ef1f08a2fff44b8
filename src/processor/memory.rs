//! Services on topics and states in memory, with the semantics of the real ones: for tests that drive whole services through
//! any order of events, repetitions, crashes and losses.

use std::collections::BTreeMap;
use std::sync::Arc;

use krafka::ConsumerRecord;

use super::contract::Processor;
use super::outbox::identity;
use super::retry::Retry;
use super::retry::record::PLACE;
use super::step::{Batch, Changes, Emission, Failed, Input, Stored, failed, fold, home_of, input, reopen, step};
use crate::kafka::event::header_str;
use crate::kafka::{Outgoing, dead_letter};

/// Topics, and the time.
#[derive(Debug, Default)]
pub struct World {
    topics: BTreeMap<String, Vec<Vec<Arc<ConsumerRecord>>>>,
    /// Milliseconds since the epoch.
    pub now: i64,
    /// Whether members that lost their partitions go on sending: then a record may stand in a topic twice.
    pub has_zombies: bool,
}

impl World {
    /// One with these topics, each with its number of partitions.
    pub fn new(topics: &[(&str, usize)]) -> Self {
        let topics = topics.iter().map(|(topic, partitions)| ((*topic).to_owned(), vec![Vec::new(); *partitions]));
        Self { topics: topics.collect(), now: 1_000_000, has_zombies: false }
    }

    /// Appends a record to the partition of its key.
    pub fn send(&mut self, record: Outgoing) {
        let Outgoing { topic, key, value, headers, timestamp } = record;
        let partitions = self.topics.get_mut(&topic).unwrap_or_else(|| panic!("there is no topic {topic}"));
        let number = crc32c::crc32c(key.as_deref().unwrap_or_default()) as usize % partitions.len();
        let log = &mut partitions[number];
        let mut record = ConsumerRecord::new(topic, number as i32, log.len() as i64, key, value);
        (record.headers, record.timestamp) = (headers, timestamp);
        log.push(Arc::new(record));
    }

    /// All records of a topic, partition by partition.
    pub fn records(&self, topic: &str) -> impl Iterator<Item = &Arc<ConsumerRecord>> {
        self.topics[topic].iter().flatten()
    }

    fn has(&self, record: &Outgoing) -> bool {
        let wanted = identity(&record.headers);
        wanted.is_some() && self.records(&record.topic).any(|known| identity(&known.headers) == wanted)
    }
}

/// A service: a processor with its states, its offsets and its outbox.
pub struct Service<P: Processor> {
    /// What it does.
    pub processor: P,
    group: String,
    topics: Vec<String>,
    emits: Vec<String>,
    retry: Retry,
    states: BTreeMap<String, Stored<P::State>>,
    offsets: BTreeMap<(String, i32), i64>,
    /// What is to be sent, and whether somebody died sending it.
    outbox: BTreeMap<(String, String), (Outgoing, bool)>,
}

/// What a member has computed and not yet written.
pub struct Pending<S> {
    changes: Changes<S>,
    moved: Option<((String, i32), i64, i64)>,
}

impl<P: Processor> Service<P> {
    /// One that has seen nothing.
    pub fn new(processor: P, group: &str, topics: &[&str], emits: &[&str], retry: Retry) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            processor,
            group: group.to_owned(),
            topics: owned(topics),
            emits: owned(emits),
            retry,
            states: BTreeMap::new(),
            offsets: BTreeMap::new(),
            outbox: BTreeMap::new(),
        }
    }

    /// What is known under `key`.
    pub fn state(&self, key: &str) -> P::State {
        self.states.get(key).map(|stored| stored.state.clone()).unwrap_or_default()
    }

    /// Every state that is not the default, as the JSON that is kept.
    pub fn told(&self) -> BTreeMap<String, String> {
        let known = self.states.iter().filter(|(_, stored)| stored.state != P::State::default());
        known.map(|(key, stored)| (key.clone(), serde_json::to_string(&stored.state).unwrap())).collect()
    }

    /// A member reads up to `limit` records of a partition, `again` of which it has seen, and computes what they change.
    pub fn begin(&self, world: &World, topic: &str, partition: i32, again: i64, limit: usize) -> Pending<P::State> {
        let stands = self.stands(topic, partition);
        let log = &world.topics[topic][partition as usize];
        let batch = log.iter().skip((stands - again).max(0) as usize).take(limit);
        let next = batch.clone().next_back().map_or(stands, |last| last.offset + 1).max(stands);
        let unseen: Vec<_> = batch.filter(|record| record.offset >= stands).collect();
        let mut letters = Vec::new();
        let mut inputs = Vec::new();
        for record in unseen {
            match input(&self.processor, &self.group, record) {
                Ok(found) => inputs.extend(found),
                Err(reason) => {
                    letters.push(dead_letter::letter(&self.retry.dead_letters, &self.group, record, &reason, 1));
                }
            }
        }
        let mut changes = self.step(&inputs, Vec::new(), world.now);
        let home = home_of(topic, partition);
        let letter = |(number, record): (usize, Outgoing)| Emission {
            home: home.clone(),
            id: format!("{next:020}:letter:{number}"),
            record,
            step: None,
        };
        changes.emissions.extend(letters.into_iter().enumerate().map(letter));
        Pending { changes, moved: Some(((topic.to_owned(), partition), stands, next)) }
    }

    /// A member computes what the wake-ups change that are due.
    pub fn begin_waking(&self, now: i64) -> Pending<P::State> {
        let mut due: Vec<_> = (self.states.iter())
            .filter_map(|(key, stored)| Some((key, stored.wake.as_ref().filter(|wake| wake.at <= now)?)))
            .collect();
        due.sort_by_key(|(key, wake)| (wake.at, (*key).clone()));
        let woken = due.into_iter().map(|(key, wake)| (key.clone(), wake.home.clone())).collect();
        Pending { changes: self.step(&[], woken, now), moved: None }
    }

    /// Writes it, unless what it was computed from has changed.
    pub fn commit(&mut self, pending: Pending<P::State>) -> bool {
        let Pending { changes, moved } = pending;
        if moved.as_ref().is_some_and(|((topic, partition), from, _)| self.stands(topic, *partition) != *from) {
            return false;
        }
        let version = |key: &String| self.states.get(key).map_or(0, |stored| stored.version);
        if changes.writes.iter().any(|write| version(&write.key) != write.version) {
            return false;
        }
        self.write(changes.writes.into_iter().map(|write| (write.key, write.stored)));
        let left =
            changes.emissions.into_iter().map(|emission| ((emission.home, emission.id), (emission.record, false)));
        self.outbox.extend(left);
        self.offsets.extend(moved.map(|(place, _, next)| (place, next)));
        true
    }

    /// Sends the first of what is to be sent. A member that dies before it has removed it from the outbox leaves it to the
    /// next one, which looks into the log; one that is only taken for dead sends what the next one sends, too.
    pub fn send(&mut self, world: &mut World, how: Sending) {
        let Some((id, (record, is_tried))) = self.outbox.pop_first() else { return };
        let is_sent = is_tried && how != Sending::AsZombie && world.has(&record);
        if !is_sent {
            world.send(record.clone());
        }
        match how {
            Sending::InOrder => {}
            Sending::AndDying => _ = self.outbox.insert(id, (record, true)),
            Sending::AsZombie => _ = self.outbox.insert(id, (record, is_tried)),
        }
    }

    /// Whether everything has been read, decided and sent.
    pub fn is_settled(&self, world: &World) -> bool {
        let is_read = |topic: &String| {
            let mut partitions = world.topics[topic].iter().enumerate();
            partitions.all(|(number, log)| self.stands(topic, number as i32) == log.len() as i64)
        };
        self.outbox.is_empty()
            && self.topics.iter().all(is_read)
            && self.states.values().all(|stored| stored.wake.is_none() && stored.waiting.is_empty())
    }

    /// When the next wake-up is.
    pub fn next_wake(&self) -> Option<i64> {
        self.states.values().filter_map(|stored| Some(stored.wake.as_ref()?.at)).min()
    }

    /// The partitions that it reads.
    pub fn partitions(&self, world: &World) -> Vec<(String, i32)> {
        let of = |topic: &String| (0..world.topics[topic].len()).map(|number| (topic.clone(), number as i32)).collect();
        self.topics.iter().flat_map(|topic| -> Vec<_> { of(topic) }).collect()
    }

    /// Builds the states anew from the log. `is_lost` says that Redis lost everything, and `behind` how many records Kafka
    /// knows less of in each partition than were handled; `order` gives the records any order.
    pub fn rebuild(
        &mut self,
        world: &World,
        is_lost: bool,
        behind: i64,
        mut order: impl FnMut(&mut Vec<Arc<ConsumerRecord>>),
    ) {
        if is_lost {
            self.outbox.clear();
            self.offsets.values_mut().for_each(|offset| *offset = (*offset - behind).max(0));
        }
        let left = self.outbox.values().map(|(record, _)| {
            let mut read = ConsumerRecord::new(record.topic.clone(), -1, 0, record.key.clone(), record.value.clone());
            (read.headers, read.timestamp) = (record.headers.clone(), record.timestamp);
            Arc::new(read)
        });
        let handled = self.topics.iter().flat_map(|topic| {
            world.records(topic).filter(|record| record.offset < self.stands(topic, record.partition))
        });
        let emitted = self.emits.iter().flat_map(|topic| world.records(topic));
        let mut records: Vec<_> = left.chain(handled.cloned()).chain(emitted.cloned()).collect();
        order(&mut records);
        let before = std::mem::take(&mut self.states);
        let mut open = BTreeMap::new();
        for record in &records {
            let Ok(Some(event)) = input(&self.processor, &self.group, record) else { continue };
            let known = self.known(event.keys.iter());
            let (changes, still_open) = fold(&self.processor, &[&event], &known, world.now);
            open.extend(still_open);
            self.write(changes.writes.into_iter().map(|write| (write.key, write.stored)));
        }
        let home = home_of(&self.topics[0], 0);
        open.retain(|_, is_open| *is_open);
        let open: BTreeMap<_, _> = open.into_keys().map(|key| (key, home.clone())).collect();
        let known = self.known(self.states.keys());
        let (changes, failing) = reopen(&self.processor, &open, &known, world.now);
        self.write(changes.writes.into_iter().map(|write| {
            let waiting = before.get(&write.key).filter(|_| !is_lost).map(|stored| stored.waiting.clone());
            (write.key, Stored { waiting: waiting.unwrap_or_default(), ..write.stored })
        }));
        // Records that failed, and whose place among those that wait was in the lost outbox, are read once more.
        let failed = self.failed(world);
        for key in failing.iter().filter(|key| is_lost && !failed.contains(key)) {
            for record in &records {
                let Ok(Some(input)) = input(&self.processor, &self.group, record) else { continue };
                if input.keys.first() == Some(key)
                    && let Some(stands) = self.offsets.get_mut(&(record.topic.to_string(), record.partition))
                {
                    *stands = record.offset.min(*stands);
                }
            }
        }
    }

    /// Keys about which a record waits or is a dead letter.
    fn failed(&self, world: &World) -> Vec<String> {
        let back: Vec<_> = (self.topics.iter())
            .flat_map(|topic| {
                world.records(topic).filter(|record| record.offset < self.stands(topic, record.partition))
            })
            .filter_map(|record| header_str(&record.headers, PLACE))
            .collect();
        let all = world.records(&self.retry.topic).chain(world.records(&self.retry.dead_letters));
        let failed = all.filter_map(|record| failed(&self.processor, &self.group, record));
        failed
            .filter(|Failed { place, .. }| place.as_deref().is_none_or(|at| !back.contains(&at)))
            .map(|failed| failed.key)
            .collect()
    }

    fn stands(&self, topic: &str, partition: i32) -> i64 {
        self.offsets.get(&(topic.to_owned(), partition)).copied().unwrap_or(0)
    }

    fn step(&self, inputs: &[Input<P::Event>], woken: Vec<(String, String)>, now: i64) -> Changes<P::State> {
        let mut known = self.known(inputs.iter().flat_map(|input| &input.keys).chain(woken.iter().map(|(key, _)| key)));
        let decided = inputs.iter().filter_map(|input| input.keys.first()).chain(woken.iter().map(|(key, _)| key));
        let needed: Vec<_> = decided.flat_map(|key| self.processor.needs(key, &known[key].state)).collect();
        known.extend(self.known(needed.iter()));
        let batch = Batch { inputs: inputs.iter().collect(), woken };
        step(&self.processor, &self.group, &self.retry, &batch, &known, now)
    }

    fn known<'a>(&self, keys: impl Iterator<Item = &'a String>) -> BTreeMap<String, Stored<P::State>> {
        keys.map(|key| (key.clone(), self.states.get(key).cloned().unwrap_or_default())).collect()
    }

    fn write(&mut self, writes: impl Iterator<Item = (String, Stored<P::State>)>) {
        self.states.extend(writes);
    }
}

/// How a member sends a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// And removes it from the outbox.
    InOrder,
    /// And dies.
    AndDying,
    /// Although it lost its partitions, and without a look into the log.
    AsZombie,
}

/// Anything that a test may have happen to a service, whatever its processor.
pub trait Actor {
    /// Something happens that `choose` chooses: it gives a number below the one that it is given.
    fn act(&mut self, world: &mut World, choose: &mut dyn FnMut(u32) -> u32);
    /// Does everything that is to be done now; whether it did anything.
    fn work_off(&mut self, world: &mut World) -> bool;
    /// When it has something to do by itself.
    fn wants(&self) -> Option<i64>;
}

impl<P: Processor> Actor for Service<P> {
    fn act(&mut self, world: &mut World, choose: &mut dyn FnMut(u32) -> u32) {
        let partitions = self.partitions(world);
        let read = |choose: &mut dyn FnMut(u32) -> u32| {
            let (topic, partition) = partitions[choose(partitions.len() as u32) as usize].clone();
            (topic, partition, i64::from(choose(3)), 1 + choose(6) as usize)
        };
        match choose(16) {
            0..=5 => {
                let (topic, partition, again, limit) = read(choose);
                let pending = self.begin(world, &topic, partition, again, limit);
                assert!(self.commit(pending), "nobody was at it meanwhile");
            }
            6..=7 => {
                // Two members at once; the one that is late must notice if they meet.
                let (first, second) = (read(choose), read(choose));
                let late = self.begin(world, &first.0, first.1, first.2, first.3);
                let early = self.begin(world, &second.0, second.1, second.2, second.3);
                self.commit(early);
                self.commit(late);
            }
            8 => {
                // Dies before it has written anything.
                let (topic, partition, again, limit) = read(choose);
                drop(self.begin(world, &topic, partition, again, limit));
            }
            9 => {
                let pending = self.begin_waking(world.now);
                self.commit(pending);
            }
            10..=12 => self.send(world, Sending::InOrder),
            13 => self.send(world, Sending::AndDying),
            14 if world.has_zombies => self.send(world, Sending::AsZombie),
            14 => self.send(world, Sending::AndDying),
            _ => {
                let (is_lost, behind) = (choose(2) == 0, i64::from(choose(4)));
                self.rebuild(world, is_lost, behind, |records| {
                    for at in (1..records.len()).rev() {
                        records.swap(at, choose(at as u32 + 1) as usize);
                    }
                });
            }
        }
    }

    fn work_off(&mut self, world: &mut World) -> bool {
        let mut worked = false;
        for (topic, partition) in self.partitions(world) {
            let before = self.stands(&topic, partition);
            let pending = self.begin(world, &topic, partition, 0, usize::MAX);
            assert!(self.commit(pending));
            worked |= self.stands(&topic, partition) > before;
        }
        if self.next_wake().is_some_and(|at| at <= world.now) {
            let pending = self.begin_waking(world.now);
            assert!(self.commit(pending));
            worked = true;
        }
        while !self.outbox.is_empty() {
            self.send(world, Sending::InOrder);
            worked = true;
        }
        worked
    }

    fn wants(&self) -> Option<i64> {
        self.next_wake()
    }
}

/// Lets everything happen that is left to happen, however long it takes.
pub fn settle(world: &mut World, services: &mut [&mut dyn Actor]) {
    for _ in 0..100_000 {
        if services.iter_mut().fold(false, |worked, service| service.work_off(world) | worked) {
            continue;
        }
        let Some(next) = services.iter().filter_map(|service| service.wants()).min() else { return };
        world.now = world.now.max(next);
    }
    panic!("it never comes to rest");
}
