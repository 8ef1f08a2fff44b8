//! Records in hand: polled, not yet applied. At most one poll's worth a partition, so memory is bounded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use krafka::ConsumerRecord;
use krafka::consumer::TopicPartition;

use super::handler::{Effect, Handler, Outcome, PartitionEffects};
use crate::kafka::Processing;

/// The records in hand of one partition.
#[derive(Default)]
struct Queue {
    records: VecDeque<Arc<ConsumerRecord>>,
    /// Failed attempts at the first record.
    attempts: u32,
    /// The first offset that has not been sent to the dead-letter topic, so that a repeated attempt sends none twice.
    dead_before: i64,
}

/// All records in hand.
#[derive(Default)]
pub struct Work {
    queues: BTreeMap<(Arc<str>, i32), Queue>,
}

/// What one round does: dead letters first, then the effects, then nothing of it is in hand any more.
pub struct Plan<E> {
    /// Records to send to the dead-letter topic.
    pub dead: Vec<Dead>,
    /// The effects by partition.
    pub effects: Vec<PartitionEffects<E>>,
    /// How many records of each of those partitions the round takes, and how many of them are dead letters.
    pub taken: Vec<Taken>,
    /// Whether some record has to be tried again later.
    pub retrying: bool,
}

/// A record on its way to the dead-letter topic.
pub struct Dead {
    /// The record.
    pub record: Arc<ConsumerRecord>,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// What a round takes of one partition.
#[derive(Default)]
pub struct Taken {
    /// Records.
    pub records: usize,
    /// Those of them that are dead letters because they can never be handled.
    pub unreadable: usize,
    /// Those of them that are dead letters because their attempts were used up.
    pub exhausted: usize,
    /// Timestamp (ms) of the last one.
    pub last_timestamp: i64,
}

impl<E> Plan<E> {
    /// Takes the partition of `record` out of the round.
    pub fn withhold(&mut self, record: &ConsumerRecord) {
        if let Some(index) = self.effects.iter().position(|effects| is_of(&effects.partition, record)) {
            self.effects.remove(index);
            self.taken.remove(index);
        }
    }

    /// Whether the partition of `record` was taken out.
    pub fn is_withheld(&self, record: &ConsumerRecord) -> bool {
        !self.effects.iter().any(|effects| is_of(&effects.partition, record))
    }
}

fn is_of(partition: &TopicPartition, record: &ConsumerRecord) -> bool {
    partition.partition() == record.partition && partition.topic() == &*record.topic
}

impl Work {
    /// Whether nothing is in hand.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Takes polled records in.
    pub fn add(&mut self, records: Vec<ConsumerRecord>) {
        for record in records {
            let key = (Arc::clone(&record.topic), record.partition);
            self.queues.entry(key).or_default().records.push_back(Arc::new(record));
        }
    }

    /// The partitions with records in hand.
    pub fn partitions(&self) -> Vec<TopicPartition> {
        self.queues.keys().map(|(topic, partition)| TopicPartition::new(&**topic, *partition)).collect()
    }

    /// The offset of the first record in hand, by partition.
    pub fn first_offsets(&self) -> impl Iterator<Item = (TopicPartition, i64)> {
        (self.queues.iter()).filter_map(|((topic, partition), queue)| {
            Some((TopicPartition::new(&**topic, *partition), queue.records.front()?.offset))
        })
    }

    /// Drops the records of partitions that `keep` doesn't want: they belong to somebody else now.
    pub fn retain(&mut self, keep: impl Fn(&TopicPartition) -> bool) {
        self.queues.retain(|(topic, partition), _| keep(&TopicPartition::new(&**topic, *partition)));
    }

    /// Asks `handler` what becomes of everything in hand that concerns `group`; what doesn't has no effect. A record that
    /// must be retried stops its partition there, until `max_attempts` are used up; then it is dead.
    pub fn plan<H: Handler>(
        &self,
        handler: &H,
        group: &str,
        expected: impl Fn(&TopicPartition) -> Option<i64>,
        max_attempts: u32,
    ) -> Plan<H::Effect> {
        let mut plan = Plan { dead: Vec::new(), effects: Vec::new(), taken: Vec::new(), retrying: false };
        for ((topic, number), queue) in &self.queues {
            let mut effects = Vec::with_capacity(queue.records.len());
            let mut taken = Taken::default();
            for (index, record) in queue.records.iter().enumerate() {
                let attempts = if index == 0 { queue.attempts + 1 } else { 1 };
                let dead = match handler.concerns(record, group).then(|| handler.plan(record)) {
                    None => None,
                    Some(Outcome::Done(effect)) => {
                        let (offset, timestamp, trace) =
                            (record.offset, record.timestamp, Processing::of(record, group));
                        effects.push(Effect { offset, timestamp, effect, trace });
                        None
                    }
                    Some(Outcome::Retry(_)) if attempts < max_attempts => {
                        plan.retrying = true;
                        break;
                    }
                    Some(Outcome::Retry(reason)) => {
                        taken.exhausted += 1;
                        Some(reason)
                    }
                    Some(Outcome::Poison(reason)) => {
                        taken.unreadable += 1;
                        Some(reason)
                    }
                };
                if let Some(reason) = dead
                    && record.offset >= queue.dead_before
                {
                    plan.dead.push(Dead { record: Arc::clone(record), reason, attempts });
                }
                taken.records += 1;
                taken.last_timestamp = record.timestamp;
            }
            let partition = TopicPartition::new(&**topic, *number);
            let Some(last) = taken.records.checked_sub(1).and_then(|last| queue.records.get(last)) else { continue };
            plan.effects.push(PartitionEffects {
                expected: expected(&partition),
                partition,
                effects,
                next: last.offset + 1,
            });
            plan.taken.push(taken);
        }
        plan
    }

    /// Whether records of `partition` are in hand.
    pub fn has(&self, partition: &TopicPartition) -> bool {
        self.queues.contains_key(&(Arc::from(partition.topic()), partition.partition()))
    }

    /// Notes that a dead letter was acknowledged.
    pub fn dead_lettered(&mut self, record: &ConsumerRecord) {
        if let Some(queue) = self.queues.get_mut(&(Arc::clone(&record.topic), record.partition)) {
            queue.dead_before = record.offset + 1;
        }
    }

    /// Lets go of what a round took; what is left starts with a record that failed once more.
    pub fn done<E>(&mut self, plan: &Plan<E>) {
        for queue in self.queues.values_mut() {
            queue.attempts += 1;
        }
        for (effects, taken) in plan.effects.iter().zip(&plan.taken) {
            let key = (Arc::from(effects.partition.topic()), effects.partition.partition());
            if let Some(queue) = self.queues.get_mut(&key) {
                queue.records.drain(..taken.records);
                queue.attempts = 1;
            }
        }
        self.queues.retain(|_, queue| !queue.records.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::handler::{ApplyError, Position};
    use super::*;
    use crate::kafka::event::RETRY_GROUP;

    /// Values say what becomes of them.
    struct Scripted;

    impl Handler for Scripted {
        type Effect = String;

        fn plan(&self, record: &Arc<ConsumerRecord>) -> Outcome<String> {
            match record.value_str() {
                Some("poison") => Outcome::Poison("bad".to_owned()),
                Some("later") => Outcome::Retry("busy".to_owned()),
                text => Outcome::Done(text.unwrap_or_default().to_owned()),
            }
        }

        async fn position(&self, _: &TopicPartition, _: &str) -> Result<Position, ApplyError> {
            Ok(Position::Nowhere)
        }

        async fn apply(&self, _: &[PartitionEffects<String>]) -> Result<(), ApplyError> {
            Ok(())
        }

        async fn rewound(&self) -> Result<(), ApplyError> {
            Ok(())
        }

        async fn restart(&self, _: &TopicPartition, _: &str, _: i64) -> Result<(), ApplyError> {
            Ok(())
        }
    }

    fn records(partition: i32, values: &[&'static str]) -> Vec<ConsumerRecord> {
        let record = |(offset, value): (usize, &&'static str)| {
            ConsumerRecord::new("t", partition, offset as i64, None, Some(Bytes::from_static(value.as_bytes())))
        };
        values.iter().enumerate().map(record).collect()
    }

    fn plan(work: &Work) -> Plan<String> {
        work.plan(&Scripted, "g", |_| None, 3)
    }

    #[test]
    fn poison_leaves_the_partition_and_is_sent_once() {
        let mut work = Work::default();
        work.add(records(0, &["a", "poison", "b"]));
        let first = plan(&work);
        assert_eq!((first.dead.len(), first.effects[0].effects.len(), first.effects[0].next), (1, 2, 3));
        // The apply failed after the dead letter was acknowledged: it is not sent again.
        work.dead_lettered(&first.dead[0].record);
        let second = plan(&work);
        assert_eq!((second.dead.len(), second.taken[0].unreadable), (0, 1));
        work.done(&second);
        assert!(work.is_empty());
    }

    #[test]
    fn a_partition_whose_letter_did_not_go_is_tried_again_and_the_others_go_on() {
        let mut work = Work::default();
        work.add(records(0, &["a", "poison"]));
        work.add(records(1, &["c"]));
        let mut plan = plan(&work);
        let dead = plan.dead.remove(0);
        plan.withhold(&dead.record);
        assert!(plan.is_withheld(&dead.record));
        assert_eq!(plan.effects.iter().map(|run| run.partition.partition()).collect::<Vec<_>>(), [1]);
        work.done(&plan);
        assert_eq!(work.partitions(), [TopicPartition::new("t", 0)]);
    }

    #[test]
    fn a_retry_holds_its_partition_in_order_until_attempts_run_out() {
        let mut work = Work::default();
        work.add(records(0, &["a", "later", "b"]));
        work.add(records(1, &["c"]));
        let first = plan(&work);
        assert!(first.retrying);
        assert_eq!(first.effects.iter().map(|run| run.next).collect::<Vec<_>>(), [1, 1]);
        work.done(&first);
        let second = plan(&work);
        assert!(second.retrying && second.effects.is_empty());
        work.done(&second);
        let third = plan(&work);
        assert_eq!((third.retrying, third.dead.len(), third.dead[0].attempts), (false, 1, 3));
        assert_eq!(third.taken.iter().map(|taken| (taken.unreadable, taken.exhausted)).next(), Some((0, 1)));
        assert_eq!(third.effects[0].next, 3);
        work.done(&third);
        assert!(work.is_empty());
    }

    #[test]
    fn what_is_retried_for_another_group_is_passed_over() {
        let mut records = records(0, &["a", "b", "poison"]);
        for (record, group) in records.iter_mut().zip(["other", "g", "other"]) {
            record.headers.push((RETRY_GROUP.to_owned(), Some(Bytes::from_static(group.as_bytes()))));
        }
        let mut work = Work::default();
        work.add(records);
        let plan = plan(&work);
        assert_eq!(plan.effects[0].effects.iter().map(|effect| effect.effect.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!((plan.dead.len(), plan.effects[0].next), (0, 3), "no letter, and the partition moves on");
        work.done(&plan);
        assert!(work.is_empty());
    }

    #[test]
    fn what_was_given_away_is_dropped() {
        let mut work = Work::default();
        work.add(records(0, &["a"]));
        work.add(records(1, &["b"]));
        work.retain(|partition| partition.partition() == 1);
        assert_eq!(work.partitions(), [TopicPartition::new("t", 1)]);
    }
}
