//! What an app says of a processor: how it reads records, what they make of its states, and what follows from those.

use std::collections::BTreeMap;
use std::time::Duration;

use krafka::ConsumerRecord;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::retry::record::group_of;
use super::step::Cause;
use crate::kafka::Outgoing;
use crate::telemetry::trace::TraceContext;

/// One service: it consumes events, keeps a state under each key, and emits events of its own.
///
/// [`evolve`](Processor::evolve) says what an event makes of the states, [`decide`](Processor::decide) what is to be done
/// given them. The two are apart so that a state can be rebuilt from the log without doing anything twice: a rebuild evolves
/// over what came in *and* over what was emitted, and decides only where the log has no answer yet. (The pattern is Chassaing's
/// Decider, <https://thinkbeforecoding.com/post/2021/12/17/functional-event-sourcing-decider>.)
pub trait Processor: Send + Sync + 'static {
    /// A record as this processor understands it, with where it stands in the log if that matters.
    type Event: Clone + Send + Sync + 'static;
    /// What is known under one key. The default is to know nothing; such a state is not kept.
    type State: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Understands a record; `None` when it is of no concern. Pure.
    ///
    /// # Errors
    /// Why it can never be understood: it goes to the dead-letter topic.
    fn read(&self, record: &ConsumerRecord) -> Result<Option<Self::Event>, String>;

    /// The keys of the states that the event changes, or that deciding after it looks at; the one it is about comes first.
    /// Those of an event that is emitted are among those of what it follows from, or among the [`needs`](Processor::needs) of the
    /// key that was decided about.
    fn keys(&self, event: &Self::Event) -> Vec<String>;

    /// What the event makes of the states of its [`keys`](Processor::keys). Pure and total, and the same in whatever order
    /// events come and however often one comes: that is what makes a rebuilt state equal to the live one, byte for byte.
    fn evolve(&self, event: &Self::Event, states: &mut States<Self::State>);

    /// What is to be done about `key`, after an event about it or when it asked to be woken. Pure given `moment`; the same
    /// decision has the same event ids, so that whoever sees it twice can tell.
    ///
    /// # Errors
    /// When it can't be done now, or ever: see [`Failure`].
    fn decide(
        &self,
        key: &str,
        states: &States<Self::State>,
        moment: &Moment,
    ) -> Result<Decision<Self::Event>, Failure>;

    /// The other keys that deciding about `key` looks at when no event named them.
    fn needs(&self, _key: &str, _state: &Self::State) -> Vec<String> {
        Vec::new()
    }

    /// The record that tells of an emitted event.
    fn write(&self, event: &Self::Event) -> Outgoing;

    /// Under which indexes the state of `key` is found. Derived from the state alone: entries appear, move and go with it.
    fn indexes(&self, _key: &str, _state: &Self::State) -> Vec<Index> {
        Vec::new()
    }

    /// What viewers are told when the state of `key` changed: a JSON object. `None` when it does not concern them.
    fn announce(&self, _key: &str, _state: &Self::State) -> Option<String> {
        None
    }

    /// The trace in which is seen what becomes of `key` when it was woken: that of what it has waited for since, if it is known.
    fn waited(&self, _key: &str, _state: &Self::State) -> Option<TraceContext> {
        None
    }

    /// Told after a changed state of `key` has been written. What is done here may be missed, if the process ends just before,
    /// and is not done twice for one change: a line of the log, which `cause` gives its trace and its correlation.
    fn written(&self, _key: &str, _state: &Self::State, _cause: &Cause) {}

    /// How long the state of `key` is kept after its last change; `None` is for ever, and right for one about which something may
    /// still have to be done: what has expired is decided anew.
    fn lifetime(&self, key: &str, state: &Self::State) -> Option<Duration>;

    /// Whether a record is for this group at all: one that was retried for another is not.
    fn concerns(&self, group: &str, record: &ConsumerRecord) -> bool {
        group_of(record).is_none_or(|of| of == group)
    }
}

/// The states at hand, by key.
#[derive(Clone, Debug, Default)]
pub struct States<S> {
    states: BTreeMap<String, S>,
    nothing: S,
}

impl<S: Clone + Default + PartialEq> States<S> {
    /// What is known under `key`.
    pub fn get(&self, key: &str) -> &S {
        self.states.get(key).unwrap_or(&self.nothing)
    }

    /// The same, to change it. Only keys that the event named are written.
    pub fn get_mut(&mut self, key: &str) -> &mut S {
        self.states.entry(key.to_owned()).or_default()
    }

    /// The keys with their states.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &S)> {
        self.states.iter().map(|(key, state)| (key.as_str(), state))
    }
}

/// When a decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time, in milliseconds since the epoch.
    pub now_ms: i64,
    /// Which attempt at the event this is, from 1.
    pub attempt: u32,
    /// Whether the key asked for it, and no event is at hand: a wait that has been too long ends here, so that an event that
    /// is only read late is heard with those after it first.
    pub woken: bool,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Decision<E> {
    /// Events to emit, in order. The states [`evolve`](Processor::evolve) over them at once, and once more, to no effect, when
    /// they are read from the log.
    pub events: Vec<E>,
    /// When to decide about this key again although nothing happened, in milliseconds since the epoch; `None` is never. Each
    /// decision takes the place of the one before.
    pub wake: Option<i64>,
}

impl<E> Default for Decision<E> {
    fn default() -> Self {
        Self { events: Vec::new(), wake: None }
    }
}

/// Why an event can't be dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may work later: the record is retried after a delay, and becomes a dead letter when its attempts are used up.
    Transient(String),
    /// It will never work: the record becomes a dead letter at once.
    Permanent(String),
}

/// An entry of an index: a sorted set in which a key is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    /// The index's name, e.g. `status:PENDING`.
    pub name: String,
    /// Where the key stands in it; the smallest comes first, so the newest has the negative of its time.
    pub score: f64,
    /// How many entries it keeps at most: beyond, those with the largest scores go.
    pub limit: usize,
}
