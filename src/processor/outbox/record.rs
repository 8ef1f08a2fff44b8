//! A record that is kept until it is sent: as JSON, and what it is known by in the log.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kafka::Outgoing;
use crate::kafka::dead_letter;
use crate::kafka::event::{EVENT_ID, Headers, RETRY_AT, RETRY_COUNT, RETRY_GROUP, header_str};
use crate::kafka::record_json::{Given, Text};
use crate::processor::retry::record::{ORIGIN_OFFSET, ORIGIN_PARTITION, ORIGIN_TOPIC, PLACE};

/// A record as JSON, without loss; bytes are a string where they are UTF-8.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept<'a>(Cow<'a, Outgoing>);

impl<'a> Kept<'a> {
    /// To be written.
    pub fn of(record: &'a Outgoing) -> Self {
        Self(Cow::Borrowed(record))
    }

    /// To be kept.
    pub fn owned(record: Outgoing) -> Self {
        Self(Cow::Owned(record))
    }

    /// The record.
    pub fn record(&self) -> &Outgoing {
        &self.0
    }

    /// The record, to go on with.
    pub fn into_record(self) -> Outgoing {
        self.0.into_owned()
    }
}

#[derive(Serialize)]
struct Written<'a> {
    topic: &'a str,
    timestamp: i64,
    key: Option<Text<'a>>,
    value: Option<Text<'a>>,
    headers: Vec<(&'a str, Option<Text<'a>>)>,
}

#[derive(Deserialize)]
struct Read {
    topic: String,
    timestamp: i64,
    key: Given,
    value: Given,
    headers: Vec<(String, Given)>,
}

impl Serialize for Kept<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Outgoing { topic, key, value, headers, timestamp } = &*self.0;
        fn text(bytes: &Option<Bytes>) -> Option<Text<'_>> {
            bytes.as_deref().map(Text)
        }
        let headers = headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        Written { topic, timestamp: *timestamp, key: text(key), value: text(value), headers }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Kept<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Read { topic, timestamp, key, value, headers } = Read::deserialize(deserializer)?;
        let headers = headers.into_iter().map(|(name, value)| (name, value.0)).collect();
        Ok(Self(Cow::Owned(Outgoing { topic, key: key.0, value: value.0, headers, timestamp })))
    }
}

/// What a record that a processor sends is known by within its topic; `None` when nothing tells it from others.
pub fn identity(headers: &Headers) -> Option<String> {
    let text = |name: &str| header_str(headers, name);
    let all = |names: &[&str]| {
        let parts: Option<Vec<_>> = names.iter().map(|name| text(name)).collect();
        parts.map(|parts| parts.join(" "))
    };
    // A record that failed has the id of the event that it tells of, wherever it is: what it waits for tells it apart.
    let letter = [
        dead_letter::GROUP,
        dead_letter::ORIGIN_TOPIC,
        dead_letter::ORIGIN_PARTITION,
        dead_letter::ORIGIN_OFFSET,
        dead_letter::ATTEMPTS,
    ];
    let waiting = [RETRY_GROUP, ORIGIN_TOPIC, ORIGIN_PARTITION, ORIGIN_OFFSET, RETRY_COUNT, RETRY_AT];
    (all(&letter).or_else(|| text(PLACE).map(str::to_owned)))
        .or_else(|| all(&waiting))
        .or_else(|| text(EVENT_ID).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Option<Bytes>> {
        option::of(prop_oneof![".{0,20}".prop_map(Bytes::from), vec(any::<u8>(), 0..20).prop_map(Bytes::from)])
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_is_sent(key in bytes(), value in bytes(), headers in vec((".{0,5}", bytes()), 0..4)) {
            let record = Outgoing { topic: "t".to_owned(), key, value, headers, timestamp: -1 };
            let kept = serde_json::to_string(&Kept::of(&record)).unwrap();
            let read: Kept<'static> = serde_json::from_str(&kept).unwrap();
            prop_assert_eq!(read.into_record(), record);
        }
    }

    #[test]
    fn a_record_that_waits_and_one_that_comes_back_are_others_than_the_first() {
        let header = |name: &str, value: &str| (name.to_owned(), Some(Bytes::copy_from_slice(value.as_bytes())));
        let mut headers = vec![header(EVENT_ID, "e")];
        let mut seen = vec![identity(&headers)];
        headers.extend([header(ORIGIN_TOPIC, "t"), header(ORIGIN_PARTITION, "0"), header(ORIGIN_OFFSET, "7")]);
        headers.extend([header(RETRY_GROUP, "g"), header(RETRY_COUNT, "1"), header(RETRY_AT, "9")]);
        seen.push(identity(&headers));
        headers.push(header(PLACE, "0:3"));
        seen.push(identity(&headers));
        let [Some(first), Some(waiting), Some(back)] = &seen[..] else { panic!("{seen:?}") };
        assert!(first != waiting && waiting != back && first != back);
    }
}
