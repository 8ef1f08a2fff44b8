//! A record to send, and how: as the API takes it, and as the form sends it.

use std::time::Duration;

use krafka::producer::Acks;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::content::{Content, Format};
use crate::console::form::Fields;
use crate::console::refusal::Refusal;
use crate::kafka::bulk::{ACKS, BulkOptions, BulkRecord, COMPRESSIONS};
use crate::kafka::event::Headers;
use crate::kafka::partition::PARTITIONERS;

/// How long a record may wait for its acknowledgement, retries included.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Records of one run at most.
const MOST: u64 = 10_000_000;
/// Records a second at most.
const FASTEST: f64 = 1_000_000.0;

/// A record to send, as often as wanted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Sending {
    /// The topic, which must exist.
    pub topic: String,
    /// The key; null unless it is given.
    #[serde(default = "Content::null")]
    pub key: Content,
    /// The value.
    pub value: Content,
    /// The headers, in order; names may repeat.
    #[serde(default)]
    pub headers: Vec<Header>,
    /// How it is sent.
    #[serde(flatten)]
    pub how: How,
    /// How often: 1 unless it is given.
    pub count: Option<u64>,
    /// How many a second; as fast as Kafka takes them unless it is given.
    pub rate: Option<f64>,
}

/// A header to send.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Content,
}

/// How records are sent.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct How {
    /// The partition; chosen by `partitioner` unless it is given.
    pub partition: Option<i32>,
    /// How the partition is chosen: `murmur2` as Java's client does, by the key and sticky without one; `round-robin`,
    /// `sticky`, `random` whatever the key.
    pub partitioner: Option<String>,
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub compression: Option<String>,
    /// Which replicas must have a record before it counts as sent: `all` in sync, `1` for the leader, `0` for none.
    pub acks: Option<String>,
}

impl How {
    /// What it says, for the producer.
    ///
    /// # Errors
    /// A name means nothing.
    pub fn options(&self) -> Result<BulkOptions, Refusal> {
        let acks = named("acks", ACKS, self.acks.as_deref().unwrap_or("all"))?;
        if self.partition.is_some_and(|partition| partition < 0) {
            return Err(Refusal::field("partition", "partitions are numbered from 0"));
        }
        Ok(BulkOptions {
            acks,
            idempotent: acks == Acks::All,
            compression: named("compression", COMPRESSIONS, self.compression.as_deref().unwrap_or("none"))?,
            partitioner: named("partitioner", PARTITIONERS, self.partitioner.as_deref().unwrap_or("murmur2"))?,
            partition: self.partition,
            timeout: TIMEOUT,
        })
    }

    /// What the fields of a form say.
    ///
    /// # Errors
    /// The partition is no number.
    pub fn of_form(fields: &Fields) -> Result<Self, Refusal> {
        let given = |name| fields.given(name).map(str::to_owned);
        Ok(Self {
            partition: fields.number("partition")?,
            partitioner: given("partitioner"),
            compression: given("compression"),
            acks: given("acks"),
        })
    }
}

fn named<T: Copy>(field: &'static str, table: &[(&str, T)], name: &str) -> Result<T, Refusal> {
    let found = table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let known = table.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
        Refusal::field(field, format!("expected one of {known}, not {name:?}"))
    })
}

impl Sending {
    /// The record that is sent, its time being left open.
    ///
    /// # Errors
    /// A text does not mean bytes.
    pub fn record(&self) -> Result<BulkRecord, Refusal> {
        Ok(BulkRecord {
            key: self.key.bytes().map_err(|reason| Refusal::field("key", reason))?,
            value: self.value.bytes().map_err(|reason| Refusal::field("value", reason))?,
            headers: bytes_of(&self.headers)?,
            ..BulkRecord::default()
        })
    }

    /// How often it is sent.
    ///
    /// # Errors
    /// Never, or too often.
    pub fn count(&self) -> Result<u64, Refusal> {
        let count = self.count.unwrap_or(1);
        if (1..=MOST).contains(&count) {
            return Ok(count);
        }
        Err(Refusal::field("count", format!("expected from 1 to {}", crate::console::human::count(MOST))))
    }

    /// How many a second, if that is bounded.
    ///
    /// # Errors
    /// Out of bounds.
    pub fn rate(&self) -> Result<Option<f64>, Refusal> {
        match self.rate {
            Some(rate) if !(0.001..=FASTEST).contains(&rate) => {
                Err(Refusal::field("rate", "expected records a second, from 0.001 to 1,000,000"))
            }
            rate => Ok(rate),
        }
    }

    /// What the fields of a form say.
    ///
    /// # Errors
    /// A number is none.
    pub fn of_form(fields: &Fields) -> Result<Self, Refusal> {
        let topic = fields.given("topic").ok_or_else(|| Refusal::field("topic", "say which topic"))?.to_owned();
        Ok(Self {
            topic,
            key: content_of(fields, "key"),
            value: content_of(fields, "value"),
            headers: headers_of(fields),
            how: How::of_form(fields)?,
            count: fields.number("count")?,
            rate: fields.number("rate")?,
        })
    }
}

/// The bytes that `headers` mean.
///
/// # Errors
/// A text does not mean bytes, or a header has no name.
pub fn bytes_of(headers: &[Header]) -> Result<Headers, Refusal> {
    let mut meant = Vec::with_capacity(headers.len());
    for (index, Header { name, value }) in headers.iter().enumerate() {
        if name.is_empty() {
            return Err(Refusal::field("headers", format!("header {} has a value and no name", index + 1)));
        }
        let at_header = |reason| Refusal::field("headers", format!("header {} ({name}): {reason}", index + 1));
        meant.push((name.clone(), value.bytes().map_err(at_header)?));
    }
    Ok(meant)
}

/// The content that a form has in the fields `name` and `name_format`.
pub fn content_of(fields: &Fields, name: &str) -> Content {
    let format = Format::named(fields.text(&format!("{name}_format"))).unwrap_or_default();
    Content { format, text: fields.text(name).to_owned() }
}

/// The headers of a form: rows of the fields `header_name`, `header_format` and `header_value`. A row that is empty is none.
pub fn headers_of(fields: &Fields) -> Vec<Header> {
    let rows = fields.all("header_name").zip(fields.all("header_format")).zip(fields.all("header_value"));
    let rows = rows.map(|((name, format), text)| Header {
        name: name.to_owned(),
        value: Content { format: Format::named(format).unwrap_or_default(), text: text.to_owned() },
    });
    rows.filter(|row| !(row.name.is_empty() && row.value.text.is_empty())).collect()
}

/// How a partition is chosen, for people.
pub const PARTITIONER_TEXTS: [(&str, &str); 4] = [
    ("murmur2", "by the key, as Java’s client does"),
    ("round-robin", "one after the other, whatever the key"),
    ("sticky", "a batch each, whatever the key"),
    ("random", "any, whatever the key"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_form_becomes_a_record() {
        let form = fields(&[
            ("topic", "orders"),
            ("key_format", "null"),
            ("value", ""),
            ("value_format", "string"),
            ("header_name", "a"),
            ("header_format", "string"),
            ("header_value", "1"),
            ("header_name", ""),
            ("header_format", "string"),
            ("header_value", ""),
            ("header_name", "a"),
            ("header_format", "null"),
            ("header_value", ""),
            ("partition", "2"),
        ]);
        let sending = Sending::of_form(&form).unwrap();
        let record = sending.record().unwrap();
        assert_eq!((record.key, record.value.as_deref()), (None, Some(&b""[..])));
        assert_eq!(record.headers, [("a".to_owned(), Some("1".into())), ("a".to_owned(), None)]);
        assert_eq!((sending.count().unwrap(), sending.how.options().unwrap().partition), (1, Some(2)));
    }

    #[test]
    fn mistakes_are_told_at_their_field() {
        let refusal = |pairs: &[(&str, &str)]| {
            let sending = Sending::of_form(&fields(pairs))?;
            sending.record()?;
            sending.how.options()?;
            sending.count()?;
            sending.rate().map(drop)
        };
        let field = |pairs: &[(&str, &str)]| refusal(pairs).unwrap_err().field;
        assert_eq!(field(&[]), Some("topic"));
        let with = |name, value| [("topic", "t"), ("key_format", "null"), (name, value)];
        assert_eq!(field(&[("topic", "t"), ("key_format", "int"), ("key", "x")]), Some("key"));
        assert_eq!(field(&[("topic", "t"), ("value_format", "json"), ("value", "{")]), Some("value"));
        assert_eq!(
            field(&[("topic", "t"), ("header_name", ""), ("header_format", ""), ("header_value", "v")]),
            Some("headers")
        );
        for (name, value) in [
            ("partition", "-1"),
            ("partition", "x"),
            ("count", "0"),
            ("rate", "0"),
            ("acks", "2"),
            ("compression", "zip"),
        ] {
            assert_eq!(field(&with(name, value)), Some(name), "{value}");
        }
    }

    #[test]
    fn every_partitioner_has_its_words() {
        assert!(PARTITIONERS.iter().map(|(name, _)| name).eq(PARTITIONER_TEXTS.iter().map(|(name, _)| name)));
    }
}
