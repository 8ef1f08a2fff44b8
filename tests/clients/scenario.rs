//! What clients are put through, and what they must tell of it.

use serde_json::{Value, json};

/// The time of the first record: a whole second in 2023.
const FIRST_MS: i64 = 1_700_000_000_000;
/// Between two records, so that a time between them can be asked for.
const STEP_MS: i64 = 1_000;

/// One of the things that clients do.
#[derive(Clone, Copy, Debug)]
pub enum Scenario {
    /// Makes a topic of 3 partitions with `retention.ms=3600000`, and again; one with the setting `no.such.setting`;
    /// sets `retention.ms` to 7200000; raises the partitions to 5, and asks for 2; deletes the topic and asks for it.
    Admin,
    /// For every codec: writes the records to a topic of one partition, called NAME-CODEC, and reads them.
    Codecs,
    /// A group of two on 4 partitions, record `i` in partition `i % 4`. A third of the records is written and read by
    /// the first member alone; the second joins, and both read the next third; the first leaves, and the second reads
    /// the last third. Offsets are committed after each third. When the group is empty its offsets are set to 7, a
    /// member reads from there, and the group is deleted.
    Group,
    /// Asks for the offsets of every record's time, of the millisecond after it, and of both ends.
    Times,
    /// Writes the records as an idempotent producer, a few a request and several requests at once, while connections
    /// break; and reads them.
    Cut,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Admin, Self::Codecs, Self::Group, Self::Times, Self::Cut];

    /// As programs are told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Codecs => "codecs",
            Self::Group => "group",
            Self::Times => "times",
            Self::Cut => "cut",
        }
    }

    /// What the client gets.
    pub fn input(self, codecs: &[&str]) -> Value {
        match self {
            Self::Admin => json!({}),
            Self::Codecs => json!({ "codecs": codecs, "records": all_kinds() }),
            Self::Group => json!({ "records": plain(120) }),
            Self::Times => json!({ "records": plain(6) }),
            Self::Cut => json!({ "records": plain(500) }),
        }
    }

    /// What it must have seen. Errors are in the protocol's numbers.
    pub fn expected(self, codecs: &[&str]) -> Value {
        match self {
            Self::Admin => json!({
                "partitions": [0, 1, 2],
                "listed": [true, false],
                "again": 36,
                "unknown setting": 40,
                "retention": ["3600000", "7200000"],
                "raised": [0, 1, 2, 3, 4],
                "lowered": 37,
                "deleted": 3,
            }),
            Self::Codecs => codecs.iter().map(|codec| ((*codec).to_owned(), json!(all_kinds()))).collect(),
            Self::Group => json!({
                "alone": { "owned": [0, 1, 2, 3], "read": 40 },
                "both": { "owned": [2, 2], "read": [20, 20] },
                "described": { "state": "Stable", "members": 2 },
                "committed": [20, 20, 20, 20],
                "left": { "owned": [0, 1, 2, 3], "read": 40 },
                "empty": { "state": "Empty", "members": 0 },
                "reset": [7, 7, 7, 7],
                "again": 92,
                "listed": [true, false],
                "values": values(&plain(120)),
            }),
            Self::Times => json!({
                "at": [0, 1, 2, 3, 4, 5],
                "after": [1, 2, 3, 4, 5, null],
                "earliest": 0,
                "latest": 6,
            }),
            Self::Cut => json!({ "values": values(&plain(500)) }),
        }
    }
}

/// Records that differ in their values alone.
fn plain(count: i64) -> Vec<Value> {
    let record = |i: i64| record(i, Some(b"key"), Some(format!("{i:05}").as_bytes()), &[]);
    (0..count).map(record).collect()
}

/// Records of all kinds: with and without key, value and headers, empty ones, binary ones, long ones.
fn all_kinds() -> Vec<Value> {
    let binary: Vec<u8> = (0..=255).collect();
    vec![
        record(0, Some(b"key"), Some(b"value"), &[]),
        record(1, None, Some(b"no key"), &[]),
        record(2, Some(b"no value"), None, &[]),
        record(3, Some(b""), Some(b""), &[]),
        record(4, Some(&binary), Some(&binary.repeat(20)), &[("bytes", &binary)]),
        record(
            5,
            Some("Schlüssel".as_bytes()),
            Some("значение".as_bytes()),
            &[("twice", b"1"), ("twice", b"2"), ("", b"")],
        ),
        record(6, Some(b"long"), Some(&b"abc".repeat(10_000)), &[]),
    ]
}

fn record(i: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, &[u8])]) -> Value {
    let headers: Vec<Value> = headers.iter().map(|(name, value)| json!([name, hexadecimal(value)])).collect();
    json!({
        "timestamp": FIRST_MS + i * STEP_MS,
        "key": key.map(hexadecimal),
        "value": value.map(hexadecimal),
        "headers": headers,
    })
}

fn values(records: &[Value]) -> Vec<Value> {
    records.iter().map(|record| record["value"].clone()).collect()
}

/// How programs are given bytes, and give them back.
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The bytes of a text that [`hexadecimal`] made.
pub fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect()
}

/// A record, for clients that are no programs of their own.
#[derive(Clone)]
pub struct Given {
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Given {
    /// The records of an input.
    pub fn all(input: &Value) -> Vec<Self> {
        let some = |value: &Value| value.as_str().map(bytes);
        let record = |record: &Value| Self {
            timestamp: record["timestamp"].as_i64().unwrap(),
            key: some(&record["key"]),
            value: some(&record["value"]),
            headers: (record["headers"].as_array().unwrap().iter())
                .map(|header| (header[0].as_str().unwrap().to_owned(), bytes(header[1].as_str().unwrap())))
                .collect(),
        };
        input["records"].as_array().unwrap().iter().map(record).collect()
    }

    /// As programs tell it.
    pub fn told(&self) -> Value {
        json!({
            "timestamp": self.timestamp,
            "key": self.key.as_deref().map(hexadecimal),
            "value": self.value.as_deref().map(hexadecimal),
            "headers": self.headers.iter().map(|(name, value)| json!([name, hexadecimal(value)])).collect::<Vec<_>>(),
        })
    }
}
