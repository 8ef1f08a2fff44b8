//! A record as a line of JSON, without loss: what `kboard consume` prints and the console exports, and what
//! `kboard produce --json` and the console's import read.
//!
//! Bytes that are UTF-8 stand there as a string, others as `{"base64": "…"}`; null is null. Headers are a list, since
//! names may repeat and their order counts.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use krafka::{ConsumerRecord, TimestampType};
use schemars::JsonSchema;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::bulk::BulkRecord;
use super::fetch::{self, Record};

/// A record to be written as JSON.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RecordJson<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time, in milliseconds since the epoch; records of the first message formats have none.
    pub timestamp: Option<i64>,
    /// Whose time that is: `create`, the producer's; `append`, the broker's.
    pub timestamp_type: &'a str,
    /// Its key.
    #[serde(serialize_with = "text")]
    #[schemars(with = "Option<TextSchema>")]
    pub key: Option<&'a [u8]>,
    /// Its value.
    #[serde(serialize_with = "text")]
    #[schemars(with = "Option<TextSchema>")]
    pub value: Option<&'a [u8]>,
    /// Its headers.
    #[schemars(with = "Vec<HeaderSchema>")]
    pub headers: HeadersJson<'a>,
}

impl<'a> RecordJson<'a> {
    /// Of a record as it was fetched, which knows neither its topic nor its partition.
    pub fn new(topic: &'a str, partition: i32, record: &'a Record) -> Self {
        let appended = record.timestamp_type() == fetch::TimestampType::LogAppend;
        Self {
            topic,
            partition,
            offset: record.offset,
            timestamp: (record.timestamp >= 0).then_some(record.timestamp),
            timestamp_type: if appended { "append" } else { "create" },
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: HeadersJson::new(&record.headers),
        }
    }
}

impl<'a> From<&'a ConsumerRecord> for RecordJson<'a> {
    fn from(record: &'a ConsumerRecord) -> Self {
        let appended = record.timestamp_type == TimestampType::LogAppendTime;
        let headers = record.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref()));
        Self {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            // The wire says "none" with -1.
            timestamp: (record.timestamp >= 0).then_some(record.timestamp),
            timestamp_type: if appended { "append" } else { "create" },
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: HeadersJson(headers.collect()),
        }
    }
}

fn text<S: Serializer>(bytes: &Option<&[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.map(Text).serialize(serializer)
}

/// The headers of a record to be written as JSON.
#[derive(Clone, Debug)]
pub struct HeadersJson<'a>(Vec<(&'a [u8], Option<&'a [u8]>)>);

impl<'a> HeadersJson<'a> {
    /// Of a record as it was fetched.
    pub fn new(headers: &'a fetch::Headers) -> Self {
        Self(headers.iter().collect())
    }
}

impl Serialize for HeadersJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Header<'a> {
            key: Text<'a>,
            value: Option<Text<'a>>,
        }
        serializer.collect_seq(self.0.iter().map(|(key, value)| Header { key: Text(key), value: value.map(Text) }))
    }
}

/// Bytes: a string where they are UTF-8.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum TextSchema {
    Text(String),
    Binary { base64: String },
}

/// One of a record's headers.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct HeaderSchema {
    key: TextSchema,
    value: Option<TextSchema>,
}

/// Bytes as a string, or `{"base64": …}` when they are not UTF-8.
pub(crate) struct Text<'a>(pub &'a [u8]);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("base64", &STANDARD.encode(self.0))?;
                map.end()
            }
        }
    }
}

/// Reads the record of a line, with the partition and the time that it names.
///
/// # Errors
/// What is wrong with it and in which column, for people.
pub fn read(line: &[u8]) -> Result<BulkRecord, String> {
    let Line { key, value, headers, partition, timestamp } = serde_json::from_slice(line).map_err(|error| {
        let text = error.to_string();
        // There is but one line here; which one of all it is, the caller knows.
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        if error.column() > 0 { format!("column {}: {reason}", error.column()) } else { reason.to_owned() }
    })?;
    let headers = headers.into_iter().map(|header| (header.key.into_owned(), header.value.0)).collect();
    let timestamp = timestamp.filter(|timestamp| *timestamp >= 0);
    Ok(BulkRecord { key: key.0, value: value.0, headers, partition, timestamp })
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(default)]
    key: Given,
    value: Given,
    #[serde(default, borrow)]
    headers: Vec<Header<'a>>,
    partition: Option<i32>,
    timestamp: Option<i64>,
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    value: Given,
}

/// Bytes as [`Text`] writes them, or null.
#[derive(Default)]
pub(crate) struct Given(pub Option<Bytes>);

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GivenVisitor)
    }
}

struct GivenVisitor;

impl<'de> Visitor<'de> for GivenVisitor {
    type Value = Given;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, null, or {\"base64\": \"…\"}")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Given, E> {
        Ok(Given(None))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Given, E> {
        Ok(Given(Some(Bytes::copy_from_slice(text.as_bytes()))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        if map.next_key::<Cow<str>>()?.as_deref() != Some("base64") {
            return Err(de::Error::custom("an object here must be {\"base64\": \"…\"}; write other JSON as a string"));
        }
        let encoded: Cow<str> = map.next_value()?;
        let bytes =
            STANDARD.decode(encoded.as_bytes()).map_err(|error| de::Error::custom(format!("base64: {error}")))?;
        if map.next_key::<Cow<str>>()?.is_some() {
            return Err(de::Error::custom("an object here has base64 and nothing else"));
        }
        Ok(Given(Some(Bytes::from(bytes))))
    }
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
        fn what_is_written_is_read(
            key in bytes(),
            value in bytes(),
            headers in vec((".{0,5}", bytes()), 0..4),
            timestamp in -1..i64::MAX,
        ) {
            let mut record = ConsumerRecord::new("t", 3, 9, key.clone(), value.clone());
            record.headers = headers.clone();
            record.timestamp = timestamp;
            let line = serde_json::to_string(&RecordJson::from(&record)).unwrap();
            let read = read(line.as_bytes()).unwrap();
            prop_assert_eq!((read.key, read.value, read.headers), (key, value, headers));
            prop_assert_eq!(read.partition, Some(3));
            prop_assert_eq!(read.timestamp, (timestamp >= 0).then_some(timestamp));
        }

        #[test]
        fn no_line_makes_reading_panic(line in vec(any::<u8>(), 0..60)) {
            drop(read(&line));
        }
    }

    #[test]
    fn a_value_is_all_that_a_line_needs() {
        let record = read(br#"{"value":""}"#).unwrap();
        assert_eq!((record.key, record.value.as_deref(), record.partition), (None, Some(&b""[..]), None));
        assert_eq!(read(br#"{"value":null,"key":""}"#).unwrap().key.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn mistakes_are_named_with_their_column() {
        let mistake = |line: &str| read(line.as_bytes()).err().unwrap_or_default();
        assert!(mistake("{}").contains("missing field `value`"), "{}", mistake("{}"));
        assert!(mistake(r#"{"value":17}"#).contains("expected a string, null, or {\"base64\""));
        assert!(mistake(r#"{"value":{"a":"b"}}"#).contains("write other JSON as a string"));
        assert!(mistake(r#"{"value":{"base64":"%"}}"#).contains("base64"));
        assert!(mistake(r#"{"value":"a"} x"#).starts_with("column 15: "));
        assert!(mistake("").contains("EOF"));
    }
}
