//! What is in force where a topic has no setting of its own.

use super::{Definition, Settings};

/// When records are written to the disk for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    /// After so many.
    pub messages: i64,
    /// After so many milliseconds.
    pub ms: i64,
}

impl Flush {
    /// Whether a number of records brings it about.
    pub fn is_by_number(&self) -> bool {
        self.messages < i64::MAX
    }
}

/// The numbers in force for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    pub(super) segment_bytes: u64,
    pub(super) segment_ms: i64,
    pub(super) retention_bytes: i64,
    pub(super) retention_ms: i64,
    pub(super) max_message_bytes: usize,
    pub(super) log_append_time: bool,
    /// When records are written to the disk for good.
    pub flush: Flush,
}

/// The broker's defaults for topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Partitions of a topic made without saying how many.
    pub partitions: i32,
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `retention.bytes`; -1: no limit.
    pub retention_bytes: i64,
    /// `retention.ms`; -1: never.
    pub retention_ms: i64,
    /// `max.message.bytes`.
    pub max_message_bytes: u32,
    /// Whether `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    /// `flush.messages` and `flush.ms`.
    pub flush: Flush,
}

impl Default for Defaults {
    /// Kafka's.
    fn default() -> Self {
        Self {
            partitions: 1,
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            retention_bytes: -1,
            retention_ms: 604_800_000,
            max_message_bytes: 1_048_588,
            log_append_time: false,
            flush: Flush { messages: i64::MAX, ms: i64::MAX },
        }
    }
}

impl Defaults {
    /// What is in force for a topic with `settings`, which have been checked.
    pub fn with(&self, settings: &Settings) -> Effective {
        let number =
            |name: &str, default: i64| settings.get(name).and_then(|value| value.parse().ok()).unwrap_or(default);
        let append_time = settings.get("message.timestamp.type").map(|value| value == "LogAppendTime");
        let unsigned = |name: &str, default: u32| u32::try_from(number(name, default.into())).unwrap_or(default);
        Effective {
            segment_bytes: unsigned("segment.bytes", self.segment_bytes).into(),
            segment_ms: number("segment.ms", self.segment_ms),
            retention_bytes: number("retention.bytes", self.retention_bytes),
            retention_ms: number("retention.ms", self.retention_ms),
            max_message_bytes: unsigned("max.message.bytes", self.max_message_bytes) as usize,
            log_append_time: append_time.unwrap_or(self.log_append_time),
            flush: Flush {
                messages: number("flush.messages", self.flush.messages),
                ms: number("flush.ms", self.flush.ms),
            },
        }
    }

    /// The value in force for a topic that doesn't have this setting.
    pub fn value(&self, definition: &Definition) -> String {
        match definition.name {
            "segment.bytes" => self.segment_bytes.to_string(),
            "segment.ms" => self.segment_ms.to_string(),
            "retention.bytes" => self.retention_bytes.to_string(),
            "retention.ms" => self.retention_ms.to_string(),
            "max.message.bytes" => self.max_message_bytes.to_string(),
            "message.timestamp.type" if self.log_append_time => "LogAppendTime".to_owned(),
            "flush.messages" => self.flush.messages.to_string(),
            "flush.ms" => self.flush.ms.to_string(),
            _ => definition.default.to_owned(),
        }
    }
}
