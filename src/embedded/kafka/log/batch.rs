//! What a batch must be to be taken, and what one of the log is.

use crc32c::crc32c_append;
use kafka_protocol::error::ResponseError;

use crate::record_batch::{self, Compression, FORMAT, MIN_LENGTH, field};
pub use crate::record_batch::{HEADER, Header};

/// How far (ms) a record's timestamp may be ahead of the broker's clock: Kafka's `message.timestamp.after.max.ms`.
const MAX_AHEAD_MS: i64 = 3_600_000;

impl Header {
    /// Reads the header that `bytes` begin with, if it is one that a log may hold.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Self::first_of(bytes).filter(Self::is_sound)
    }

    /// Whether the producer's timestamps are none, or not far ahead of the broker's clock.
    pub fn is_timely(&self, now_ms: i64) -> bool {
        (-1..=now_ms.saturating_add(MAX_AHEAD_MS)).contains(&self.max_timestamp())
    }

    /// Whether the fields are as they are in every batch of a log. What they say may still be wrong.
    fn is_sound(&self) -> bool {
        self.format() == FORMAT && self.length() >= MIN_LENGTH && self.is_dense() && self.base_offset() >= 0
    }
}

/// Checks what a producer sent as its one batch, as far as that takes no decompression and no knowledge of the log.
///
/// # Errors
/// `InvalidRecord` for another format, more than one batch, wrong offsets and counts, control records, a missing sequence
/// and records that don't fit them; `CorruptMessage` for a wrong length or checksum; `MessageTooLarge` beyond `max_bytes`;
/// `UnsupportedCompressionType`;
/// `InvalidTxnState` for a transaction, which nobody can have begun; `InvalidTimestamp` for log append time, which is
/// the broker's to set.
pub fn check(batch: &[u8], max_bytes: usize) -> Result<Header, ResponseError> {
    // First, because older formats are shorter, and their other fields mean something else.
    if batch.get(field::MAGIC).is_some_and(|&format| format != FORMAT) {
        return Err(ResponseError::InvalidRecord);
    }
    let header = Header::first_of(batch).ok_or(ResponseError::CorruptMessage)?;
    if header.length() < MIN_LENGTH || header.size() > batch.len() {
        return Err(ResponseError::CorruptMessage);
    }
    if header.size() < batch.len() {
        return Err(ResponseError::InvalidRecord);
    }
    if batch.len() > max_bytes {
        return Err(ResponseError::MessageTooLarge);
    }
    let records = &batch[HEADER..];
    if crc32c_append(header.start_crc(), records) != header.crc() {
        return Err(ResponseError::CorruptMessage);
    }
    let has_no_sequence = header.producer_id().is_some() && header.base_sequence() < 0;
    if header.base_offset() != 0 || !header.is_dense() || header.is_control() || has_no_sequence {
        return Err(ResponseError::InvalidRecord);
    }
    if header.is_transactional() {
        return Err(ResponseError::InvalidTxnState);
    }
    let compression = header.compression().ok_or(ResponseError::UnsupportedCompressionType)?;
    if header.has_log_append_time() {
        return Err(ResponseError::InvalidTimestamp);
    }
    // Those of a compressed batch are not looked into: decompressing costs more than all the rest.
    if compression == Compression::None && !record_batch::are_complete(&header, records) {
        return Err(ResponseError::InvalidRecord);
    }
    Ok(header)
}

#[cfg(test)]
#[path = "tests/batch.rs"]
mod tests;
