//! Dead letters: records that can't be handled leave their partition for a dead-letter topic, untouched, with their history
//! in headers. That is `<topic>.dlq`, or one for several topics such as `orders.dlq.v1`.
//!
//! A crash between the dead letter and the offset that skips it sends the letter again: at least once, never lost.
//! Its origin (topic, partition, offset) tells the copies apart.
//!
//! - [`letter`]: what a letter says, and the record it becomes again.
//! - [`survey`]: reads the letters of a topic, the newest first.
//! - [`send_back`]: sends letters back to where they came from, and marks them.

pub mod letter;
pub mod send_back;
pub mod survey;

use bytes::Bytes;
use krafka::ConsumerRecord;

use super::KafkaError;
use super::admin::TopicSpec;
use super::event::Headers;
use super::producer::{Outgoing, Producer};
use crate::clock::now_ms;

/// The topic a dead letter came from.
pub const ORIGIN_TOPIC: &str = "x-dlq-topic";
/// The partition it came from.
pub const ORIGIN_PARTITION: &str = "x-dlq-partition";
/// Its offset there.
pub const ORIGIN_OFFSET: &str = "x-dlq-offset";
/// The group that gave up.
pub const GROUP: &str = "x-dlq-group";
/// Why.
pub const ERROR: &str = "x-dlq-error";
/// How often it was tried.
pub const ATTEMPTS: &str = "x-dlq-attempts";
/// How many bytes its value had, when the dead-letter topic does not take it.
pub const VALUE_BYTES: &str = "x-dlq-value-bytes";
/// When it was given up, in milliseconds since the epoch.
pub const FAILED_AT: &str = "x-dlq-timestamp";

/// On a marker: the offsets of its partition whose letters were sent back, such as `3,7-9`. Kafka can't change a record,
/// so that a letter was sent back is said by a record after it: whoever reads the letters reads that too, it outlives every
/// process, and retention takes both. A marker has neither key nor value.
pub const SENT_BACK: &str = "x-dlq-sent-back";

/// What the names of the headers above begin with.
const OURS: &str = "x-dlq-";
/// What the names of the headers of a retry begin with.
const OF_RETRY: &str = "x-retry-";
/// The part of its name that makes a topic a dead-letter topic.
const PART: &str = "dlq";
/// What the name of a dead-letter topic ends with that is for one topic.
const SUFFIX: &str = ".dlq";

/// The reason at most, in characters: one that quotes the record could be as large as the record.
const REASON: usize = 500;
/// The largest letter, in bytes: the largest record that a broker takes unless it is told otherwise, and its history.
const LARGEST: usize = 2 * 1024 * 1024;

/// The dead-letter topic of `topic`.
pub fn topic_of(topic: &str) -> String {
    format!("{topic}{SUFFIX}")
}

/// Whether `topic` holds dead letters: one of the parts of its name, with dots between them, is `dlq`.
pub fn is_dead_letter_topic(topic: &str) -> bool {
    topic.split('.').any(|part| part == PART)
}

/// The topic that all letters of `topic` are from, if its name tells; else each letter does.
pub fn origin_of(topic: &str) -> Option<&str> {
    topic.strip_suffix(SUFFIX).filter(|origin| !origin.is_empty())
}

/// The dead-letter topic of `topic`, as it has to be made: it takes every record that `topic` does, with the headers
/// that a letter has besides.
pub fn spec(topic: &str) -> TopicSpec {
    spec_named(topic_of(topic))
}

/// A topic of this name for records that come with their history: dead letters of several topics, or records that wait.
pub fn spec_named(name: impl Into<String>) -> TopicSpec {
    TopicSpec::new(name, 1).with_config("max.message.bytes", LARGEST.to_string())
}

/// Whether a record with these headers is the copy of one that failed: a letter, or one that waits or comes back. It says of
/// its event what the first record said.
pub fn is_copy(headers: &Headers) -> bool {
    headers.iter().any(|(name, _)| name.starts_with(OURS) || name.starts_with(OF_RETRY))
}

/// A reason short enough for a header and a line of the log.
pub fn brief(reason: &str) -> &str {
    reason.char_indices().nth(REASON).map_or(reason, |(end, _)| &reason[..end])
}

/// Sends `record` to the dead-letter topic `to` and waits for the acknowledgement. One that the topic will never take, because
/// somebody else made it with a smaller limit, goes without key and value: where it stands is told, and the partition
/// moves on.
///
/// # Errors
/// When Kafka did not acknowledge it; the caller must try again before it moves on.
pub async fn send(
    producer: &Producer,
    to: &str,
    group: &str,
    record: &ConsumerRecord,
    error: &str,
    attempts: u32,
) -> Result<(), KafkaError> {
    match producer.send(letter(to, group, record, error, attempts)).await {
        Err(refused) if !refused.is_retriable() => {
            tracing::warn!(topic = to, error = %refused, "a dead letter goes without its value");
            let mut letter = letter(to, group, record, error, attempts);
            letter.key = None;
            let bytes = letter.value.take().map_or(0, |value| value.len());
            letter.headers.retain(|(name, _)| name.starts_with(OURS));
            letter.headers.push((VALUE_BYTES.to_owned(), Some(Bytes::from(bytes.to_string()))));
            producer.send(letter).await
        }
        result => result,
    }
}

/// The letter about `record` to the topic `to`.
pub fn letter(to: &str, group: &str, record: &ConsumerRecord, error: &str, attempts: u32) -> Outgoing {
    let mut headers: Headers = record.headers.clone();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), Some(Bytes::from(value))));
    add(ORIGIN_TOPIC, record.topic.to_string());
    add(ORIGIN_PARTITION, record.partition.to_string());
    add(ORIGIN_OFFSET, record.offset.to_string());
    add(GROUP, group.to_owned());
    add(ERROR, brief(error).to_owned());
    add(ATTEMPTS, attempts.to_string());
    add(FAILED_AT, now_ms().to_string());
    Outgoing {
        topic: to.to_owned(),
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
        timestamp: now_ms(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_its_name_makes_a_topic_one_of_dead_letters() {
        for topic in ["orders.dlq", "orders.dlq.v1", "dlq", "dlq.orders", "a-1.orders.dlq.v1"] {
            assert!(is_dead_letter_topic(topic), "{topic}");
        }
        for topic in ["orders", "orders-dlq", "orders.dlqs", "nodlq.v1", ""] {
            assert!(!is_dead_letter_topic(topic), "{topic}");
        }
        assert!(is_dead_letter_topic(&topic_of("orders")));
    }

    #[test]
    fn only_the_name_of_a_topic_for_one_other_tells_which() {
        assert_eq!(origin_of(&topic_of("orders.v1")), Some("orders.v1"));
        assert_eq!((origin_of("orders.dlq.v1"), origin_of(".dlq"), origin_of("dlq")), (None, None, None));
    }
}
