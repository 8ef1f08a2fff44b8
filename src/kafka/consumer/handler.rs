//! What a group does with records: the part that an app writes.

use std::future::Future;
use std::sync::Arc;

use krafka::ConsumerRecord;
use krafka::consumer::TopicPartition;

use crate::kafka::Processing;
use crate::kafka::event::{RETRY_GROUP, header_str};

/// What becomes of one record. Deciding is pure, so it is tested without a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<E> {
    /// It has this effect.
    Done(E),
    /// It can't be handled now, but may be later.
    Retry(String),
    /// It can never be handled: it goes to the dead-letter topic.
    Poison(String),
}

/// The effects of a run of records of one partition.
#[derive(Clone, Debug)]
pub struct PartitionEffects<E> {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset at which the runtime believes the state to stand; `None` when the state has none yet.
    pub expected: Option<i64>,
    /// The effects with the offset and timestamp (ms) of their records, in order.
    pub effects: Vec<Effect<E>>,
    /// The offset after the last record, which the state must keep together with the effects.
    pub next: i64,
}

/// The effect of one record.
#[derive(Clone, Debug)]
pub struct Effect<E> {
    /// The record's offset.
    pub offset: i64,
    /// The record's timestamp, in milliseconds since the epoch.
    pub timestamp: i64,
    /// What to do.
    pub effect: E,
    /// The work on the record, if its trace is recorded.
    pub trace: Option<Processing>,
}

/// Why effects could not be applied. Nothing was applied then.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The store is away, or busy; the same call may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// A rebuild holds the state; wait for its end.
    #[error("a replay is rebuilding the state")]
    Fenced,
    /// The state stands before what the runtime applied in these partitions: it was lost or rolled back.
    #[error("the state was rolled back")]
    RolledBack(Vec<TopicPartition>),
}

/// Where a state stands in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// It has seen nothing of it.
    Nowhere,
    /// The offset of the record to apply next.
    At(i64),
    /// It was built from another topic of the same name, which was deleted since.
    OtherLog,
}

/// One group's work. The runtime polls, asks [`plan`](Handler::plan) what each record means, sends poison to the
/// dead-letter topic, and has the effects [`apply`](Handler::apply)ed together with the offsets behind them.
pub trait Handler: Send + Sync + 'static {
    /// The effect of a record.
    type Effect: Clone + Send + Sync + 'static;

    /// Whether `record` concerns `group`: one that is retried for another group was dealt with when it came first, and is
    /// passed over. Only who carries the records of all groups takes every one.
    fn concerns(&self, record: &ConsumerRecord, group: &str) -> bool {
        header_str(&record.headers, RETRY_GROUP).is_none_or(|retried_for| retried_for == group)
    }

    /// Decides what becomes of a record. Pure: the same record always has the same outcome, or `Retry`.
    fn plan(&self, record: &Arc<ConsumerRecord>) -> Outcome<Self::Effect>;

    /// Where the state stands in a partition of the topic whose id is `log`. The state keeps the id from the first time
    /// it is asked.
    fn position(
        &self,
        partition: &TopicPartition,
        log: &str,
    ) -> impl Future<Output = Result<Position, ApplyError>> + Send;

    /// Tells that a partition is this member's from now on, before its position is asked for.
    fn assigned(&self, _partition: &TopicPartition) -> impl Future<Output = Result<(), ApplyError>> + Send {
        async { Ok(()) }
    }

    /// Applies the effects of one or more partitions and keeps their offsets, all in one atomic step. Effects of
    /// offsets that the state has already seen are skipped.
    fn apply(&self, batch: &[PartitionEffects<Self::Effect>]) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// When [`tick`](Handler::tick) is wanted, in milliseconds since the epoch.
    fn next_tick(&self) -> Option<i64> {
        None
    }

    /// Does what is due by itself. `partitions` are this member's; of what was written to them up to the time `until` (ms
    /// since the epoch), everything has been applied.
    fn tick(&self, _partitions: &[TopicPartition], _until: i64) -> impl Future<Output = Result<(), ApplyError>> + Send {
        async { Ok(()) }
    }

    /// Tells that the state was found rolled back: whoever follows it must take it for a new one.
    fn rewound(&self) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// Empties a state that has more of `partition` than the topic with the id `log`, which holds records below `end`;
    /// it is built from the start of the log again. Members find out one after the other: a state that is right
    /// already is left as it is.
    fn restart(
        &self,
        partition: &TopicPartition,
        log: &str,
        end: i64,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;
}
