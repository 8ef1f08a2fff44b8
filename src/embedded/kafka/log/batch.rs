//! The header of a record batch of format 2: 61 bytes, as the message format of the protocol guide has them.

use crc32c::{crc32c, crc32c_append};
use kafka_protocol::error::ResponseError;

use super::records;

/// Bytes of a batch's header; its records follow.
pub const HEADER: usize = 61;

// Where the fields are. All of them are big-endian.
const BASE_OFFSET: usize = 0;
const LENGTH: usize = 8;
const LEADER_EPOCH: usize = 12;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const BASE_TIMESTAMP: usize = 27;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const PRODUCER_EPOCH: usize = 51;
const BASE_SEQUENCE: usize = 53;
const COUNT: usize = 57;

/// What the length field doesn't count: the base offset and itself.
const OVERHEAD: usize = 12;
/// The smallest length: a header and no records.
const MIN_LENGTH: i32 = (HEADER - OVERHEAD) as i32;
/// The format.
const FORMAT: u8 = 2;

const COMPRESSION_BITS: i16 = 0b111;
const LOG_APPEND_TIME_BIT: i16 = 1 << 3;
const TRANSACTIONAL_BIT: i16 = 1 << 4;
const CONTROL_BIT: i16 = 1 << 5;

/// How far (ms) a record's timestamp may be ahead of the broker's clock: Kafka's `message.timestamp.after.max.ms`.
const MAX_AHEAD_MS: i64 = 3_600_000;

/// The header of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header([u8; HEADER]);

impl Header {
    /// Reads the header that `bytes` begin with, if it is one that a log may hold.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let header = Self(*bytes.first_chunk()?);
        header.is_sound().then_some(header)
    }

    /// The header's bytes.
    pub fn bytes(&self) -> &[u8; HEADER] {
        &self.0
    }

    /// Offset of the first record.
    pub fn base_offset(&self) -> i64 {
        i64::from_be_bytes(self.field(BASE_OFFSET))
    }

    /// The offset after the last record's.
    pub fn next_offset(&self) -> i64 {
        self.base_offset().saturating_add(i64::from(self.count()))
    }

    /// Bytes of the whole batch.
    pub fn size(&self) -> usize {
        OVERHEAD + usize::try_from(self.length()).unwrap_or(0)
    }

    /// The checksum that the batch carries.
    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(self.field(CRC))
    }

    /// The checksum over the part of the header that has one; that of the records goes on from it.
    pub fn start_crc(&self) -> u32 {
        crc32c(&self.0[ATTRIBUTES..])
    }

    /// How the records are compressed, by Kafka's number.
    pub fn compression(&self) -> i16 {
        self.attributes() & COMPRESSION_BITS
    }

    /// Whether the timestamp of all records is the batch's largest: the time of the append.
    pub fn has_log_append_time(&self) -> bool {
        self.attributes() & LOG_APPEND_TIME_BIT != 0
    }

    /// To what the records' timestamps (ms) are relative.
    pub fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field(BASE_TIMESTAMP))
    }

    /// The largest timestamp (ms) of the records; -1 when they have none.
    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field(MAX_TIMESTAMP))
    }

    /// The idempotent producer's id, if it is one.
    pub fn producer_id(&self) -> Option<i64> {
        let id = i64::from_be_bytes(self.field(PRODUCER_ID));
        (id >= 0).then_some(id)
    }

    /// The epoch of the producer's id.
    pub fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(self.field(PRODUCER_EPOCH))
    }

    /// The sequence number of the first record.
    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(self.field(BASE_SEQUENCE))
    }

    /// The sequence number of the last record; after the largest one comes 0.
    pub fn last_sequence(&self) -> i32 {
        self.base_sequence().wrapping_add(self.count() - 1) & i32::MAX
    }

    /// How many records there are.
    pub fn count(&self) -> i32 {
        i32::from_be_bytes(self.field(COUNT))
    }

    /// Gives the batch its place in the log. The checksum doesn't cover it.
    pub fn place(&mut self, base_offset: i64) {
        self.set(BASE_OFFSET, base_offset.to_be_bytes());
        self.set(LEADER_EPOCH, 0_i32.to_be_bytes());
    }

    /// Gives all records the time (ms) of the append; `records` are for the checksum.
    pub fn stamp(&mut self, now_ms: i64, records: &[u8]) {
        self.set(ATTRIBUTES, (self.attributes() | LOG_APPEND_TIME_BIT).to_be_bytes());
        self.set(MAX_TIMESTAMP, now_ms.to_be_bytes());
        self.set(CRC, crc32c_append(self.start_crc(), records).to_be_bytes());
    }

    /// Whether the producer's timestamps are none, or not far ahead of the broker's clock.
    pub fn is_timely(&self, now_ms: i64) -> bool {
        (-1..=now_ms.saturating_add(MAX_AHEAD_MS)).contains(&self.max_timestamp())
    }

    /// Whether the fields are as they are in every batch of a log. What they say may still be wrong.
    fn is_sound(&self) -> bool {
        self.0[MAGIC] == FORMAT && self.length() >= MIN_LENGTH && self.is_dense() && self.base_offset() >= 0
    }

    /// Whether it is so many records as offsets, and at least one.
    fn is_dense(&self) -> bool {
        let last_offset_delta = i32::from_be_bytes(self.field(LAST_OFFSET_DELTA));
        self.count() > 0 && last_offset_delta == self.count() - 1
    }

    fn length(&self) -> i32 {
        i32::from_be_bytes(self.field(LENGTH))
    }

    fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.field(ATTRIBUTES))
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|index| self.0[at + index])
    }

    fn set<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        self.0[at..at + N].copy_from_slice(&value);
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
    if batch.get(MAGIC).is_some_and(|&format| format != FORMAT) {
        return Err(ResponseError::InvalidRecord);
    }
    let header = Header(*batch.first_chunk().ok_or(ResponseError::CorruptMessage)?);
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
    let is_control = header.attributes() & CONTROL_BIT != 0;
    let has_no_sequence = header.producer_id().is_some() && header.base_sequence() < 0;
    if header.base_offset() != 0 || !header.is_dense() || is_control || has_no_sequence {
        return Err(ResponseError::InvalidRecord);
    }
    if header.attributes() & TRANSACTIONAL_BIT != 0 {
        return Err(ResponseError::InvalidTxnState);
    }
    if header.compression() > 4 {
        return Err(ResponseError::UnsupportedCompressionType);
    }
    if header.has_log_append_time() {
        return Err(ResponseError::InvalidTimestamp);
    }
    // Those of a compressed batch are not looked into: decompressing costs more than all the rest.
    if header.compression() == 0 && !records::are_complete(&header, records) {
        return Err(ResponseError::InvalidRecord);
    }
    Ok(header)
}

#[cfg(test)]
#[path = "tests/batch.rs"]
mod tests;
