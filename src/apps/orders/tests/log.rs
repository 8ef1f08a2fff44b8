//! Topics in memory, and the worker that sends waiting records back.

use std::collections::BTreeMap;
use std::sync::Arc;

use krafka::ConsumerRecord;

use crate::apps::Prefix;
use crate::apps::orders::topics;
use crate::kafka::Outgoing;
use crate::kafka::event::{RETRY_AT, header_str};
use crate::processor::retry::record::{ORIGIN_PARTITION, ORIGIN_TOPIC};

/// The topics of the app.
pub struct Log {
    partitions: BTreeMap<(String, i32), Vec<Arc<ConsumerRecord>>>,
    counts: BTreeMap<String, i32>,
    /// How many records the retry worker has seen to.
    sent_back: usize,
    /// Those that it holds until they are due.
    waiting: Vec<Arc<ConsumerRecord>>,
}

impl Log {
    pub fn new() -> Self {
        let specs = topics::specs(&Prefix::default());
        let counts = specs.into_iter().map(|spec| (spec.name, spec.partitions)).collect();
        Self { partitions: BTreeMap::new(), counts, sent_back: 0, waiting: Vec::new() }
    }

    pub fn partitions_of(&self, topic: &str) -> i32 {
        self.counts[topic]
    }

    pub fn records(&self, topic: &str, partition: i32) -> &[Arc<ConsumerRecord>] {
        self.partitions.get(&(topic.to_owned(), partition)).map_or(&[], Vec::as_slice)
    }

    pub fn all(&self, topic: &str) -> impl Iterator<Item = &Arc<ConsumerRecord>> {
        (0..self.partitions_of(topic)).flat_map(|partition| self.records(topic, partition))
    }

    pub fn send(&mut self, record: Outgoing) {
        let count = self.partitions_of(&record.topic);
        let hash = record.key.as_deref().map_or(0, crc32c::crc32c);
        let partition = i32::try_from(hash % count.unsigned_abs()).unwrap();
        self.append(&record.topic, partition, record.key, record.value, record.headers);
    }

    fn append(
        &mut self,
        topic: &str,
        partition: i32,
        key: Option<bytes::Bytes>,
        value: Option<bytes::Bytes>,
        headers: crate::kafka::event::Headers,
    ) {
        let records = self.partitions.entry((topic.to_owned(), partition)).or_default();
        let mut record = ConsumerRecord::new(topic, partition, records.len() as i64, key, value);
        record.headers = headers;
        records.push(Arc::new(record));
    }

    /// Sends back what is due, and says when the next is; nothing waits when it is `None`.
    pub fn send_back_due(&mut self, now_ms: i64) -> Option<i64> {
        let new: Vec<_> = self.records(topics::RETRY, 0)[self.sent_back..].to_vec();
        self.sent_back += new.len();
        self.waiting.extend(new);
        let (due, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|record| due_at(record) <= now_ms);
        self.waiting = waiting;
        for record in due {
            let topic = header_str(&record.headers, ORIGIN_TOPIC).unwrap().to_owned();
            let partition = header_str(&record.headers, ORIGIN_PARTITION).unwrap().parse().unwrap();
            let record = ConsumerRecord::clone(&record);
            self.append(&topic, partition, record.key, record.value, record.headers);
        }
        self.waiting.iter().map(due_at).min()
    }

    /// The same event once more, as a producer sends it whose acknowledgement was lost.
    pub fn duplicate(&mut self, topic: &str, nth: usize) {
        let records: Vec<_> = self.all(topic).cloned().collect();
        if !records.is_empty() {
            let record = ConsumerRecord::clone(&records[nth % records.len()]);
            self.append(topic, record.partition, record.key, record.value, record.headers);
        }
    }
}

fn due_at(record: &Arc<ConsumerRecord>) -> i64 {
    header_str(&record.headers, RETRY_AT).unwrap().parse().unwrap()
}
