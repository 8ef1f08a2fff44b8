//! What a waiting record says of itself, in headers: where it came from, for whom it is, how often it failed and how.

use bytes::Bytes;
use krafka::ConsumerRecord;
use serde::{Deserialize, Serialize};

use crate::kafka::Outgoing;
use crate::kafka::dead_letter;
use crate::kafka::event::{Headers, RETRY_AT, RETRY_COUNT, RETRY_GROUP, header_str};

/// The topic a waiting record came from.
pub const ORIGIN_TOPIC: &str = "x-retry-topic";
/// The partition it came from.
pub const ORIGIN_PARTITION: &str = "x-retry-partition";
/// Its offset there.
pub const ORIGIN_OFFSET: &str = "x-retry-offset";
/// Every failure so far, as a JSON array of [`Failed`].
pub const HISTORY: &str = "x-retry-history";

/// On a record that comes back: its place in the retry topic (`partition:offset`).
pub const PLACE: &str = "x-retry-place";

/// What the names of the headers that only a retry adds begin with; [`RETRY_COUNT`] does too, and stays with a record that
/// was sent back by hand.
const OURS: &str = "x-retry-";

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// Why.
    pub error: String,
}

/// Where a record comes from and how often it was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The topic it was first read from.
    pub topic: String,
    /// The partition there.
    pub partition: i32,
    /// The offset there.
    pub offset: i64,
    /// The failures so far.
    pub history: Vec<Failed>,
}

impl Attempt {
    /// Of a record: a retried one tells its origin, any other is its own.
    pub fn of(record: &ConsumerRecord) -> Self {
        let text = |name| header_str(&record.headers, name);
        let origin = || {
            Some(Self {
                topic: text(ORIGIN_TOPIC)?.to_owned(),
                partition: text(ORIGIN_PARTITION)?.parse().ok()?,
                offset: text(ORIGIN_OFFSET)?.parse().ok()?,
                history: serde_json::from_str(text(HISTORY)?).ok()?,
            })
        };
        origin().unwrap_or_else(|| Self {
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            history: Vec::new(),
        })
    }

    /// What tells the record from all others.
    pub fn id(&self) -> String {
        format!("{}:{}:{}", self.topic, self.partition, self.offset)
    }

    /// Which attempt the next one is, from 1.
    pub fn number(&self) -> u32 {
        self.history.last().map_or(0, |failed| failed.attempt) + 1
    }

    /// The same after it failed at `at` because of `error`.
    #[must_use]
    pub fn failed(mut self, at: i64, error: &str) -> Self {
        let failed = Failed { attempt: self.number(), at, error: dead_letter::brief(error).to_owned() };
        self.history.push(failed);
        self
    }

    /// `record` as it waits in `topic` until `due` (ms since the epoch), for `group`.
    pub fn waiting(&self, record: &ConsumerRecord, topic: &str, group: &str, due: i64) -> Outgoing {
        let mut headers = without_retry(&record.headers);
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), Some(Bytes::from(value))));
        add(RETRY_COUNT, (self.number() - 1).to_string());
        add(RETRY_AT, due.to_string());
        add(RETRY_GROUP, group.to_owned());
        add(ORIGIN_TOPIC, self.topic.clone());
        add(ORIGIN_PARTITION, self.partition.to_string());
        add(ORIGIN_OFFSET, self.offset.to_string());
        add(HISTORY, self.told());
        let (key, value) = (record.key.clone(), record.value.clone());
        Outgoing { topic: topic.to_owned(), key, value, headers, timestamp: record.timestamp }
    }

    /// `record` as the dead letter of `group` in `topic`, with its history.
    pub fn letter(&self, record: &ConsumerRecord, topic: &str, group: &str) -> Outgoing {
        let mut origin = record.clone();
        (origin.topic, origin.partition, origin.offset) = (self.topic.as_str().into(), self.partition, self.offset);
        origin.headers = without_retry(&record.headers);
        origin.headers.push((HISTORY.to_owned(), Some(Bytes::from(self.told()))));
        let error = self.history.last().map_or("", |failed| &failed.error);
        dead_letter::letter(topic, group, &origin, error, self.number() - 1)
    }

    fn told(&self) -> String {
        // Numbers and strings: nothing that JSON can't say.
        serde_json::to_string(&self.history).unwrap_or_default()
    }
}

/// The group that a record was retried for; `None` of a record that is for every group.
pub fn group_of(record: &ConsumerRecord) -> Option<&str> {
    header_str(&record.headers, RETRY_GROUP)
}

fn without_retry(headers: &Headers) -> Headers {
    headers.iter().filter(|(name, _)| !name.starts_with(OURS)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ConsumerRecord {
        let mut record = ConsumerRecord::new("orders.v1", 2, 40, Some(Bytes::from("k")), Some(Bytes::from("v")));
        record.headers.push(("x-event-id".to_owned(), Some(Bytes::from("e"))));
        record
    }

    /// The record that the retry topic, or the origin after it, would give.
    fn again(outgoing: Outgoing) -> ConsumerRecord {
        let mut record = ConsumerRecord::new("orders.retry.v1", 0, 7, outgoing.key, outgoing.value);
        record.headers = outgoing.headers;
        record
    }

    #[test]
    fn a_waiting_record_tells_where_it_came_from_and_how_it_failed() {
        let first = Attempt::of(&record());
        assert_eq!((first.number(), first.id().as_str()), (1, "orders.v1:2:40"));
        let failed = first.failed(1_000, "no stock service");
        let waiting = again(failed.waiting(&record(), "orders.retry.v1", "inventory-service", 1_500));
        assert_eq!(Attempt::of(&waiting), failed);
        assert_eq!(group_of(&waiting), Some("inventory-service"));
        let twice = Attempt::of(&waiting).failed(2_000, "still none");
        assert_eq!(twice.number(), 3);
        let waiting = again(twice.waiting(&waiting, "orders.retry.v1", "inventory-service", 3_000));
        assert_eq!(header_str(&waiting.headers, RETRY_COUNT), Some("2"));
        assert_eq!(waiting.headers.iter().filter(|(name, _)| name == RETRY_COUNT).count(), 1);
    }

    #[test]
    fn a_letter_has_its_history_and_its_first_origin() {
        let attempt = Attempt::of(&record()).failed(1, "a").failed(2, "b");
        let letter = attempt.letter(&record(), "orders.dlq.v1", "g");
        let header = |name| header_str(&letter.headers, name).unwrap().to_owned();
        assert_eq!((letter.topic.as_str(), header("x-event-id").as_str()), ("orders.dlq.v1", "e"));
        assert_eq!(
            (header(dead_letter::ORIGIN_TOPIC), header(dead_letter::ORIGIN_OFFSET)),
            ("orders.v1".into(), "40".into())
        );
        assert_eq!((header(dead_letter::ATTEMPTS), header(dead_letter::ERROR)), ("2".into(), "b".into()));
        assert!(header(HISTORY).contains(r#"{"attempt":1,"at":1,"error":"a"}"#));
    }
}
