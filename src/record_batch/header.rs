//! The header of a record batch of format 2: 61 bytes, as the message format of the protocol guide has them.

use crc32c::{crc32c, crc32c_append};

use super::Compression;

/// Bytes of a batch's header; its records follow.
pub const HEADER: usize = 61;
/// The format that has this header.
pub const FORMAT: u8 = 2;
/// What the length field doesn't count: the base offset and itself.
pub const OVERHEAD: usize = 12;
/// The smallest length: a header and no records.
pub const MIN_LENGTH: i32 = (HEADER - OVERHEAD) as i32;

/// Where the fields are. All of them are big-endian.
pub mod field {
    pub const BASE_OFFSET: usize = 0;
    pub const LENGTH: usize = 8;
    pub const LEADER_EPOCH: usize = 12;
    pub const MAGIC: usize = 16;
    pub const CRC: usize = 17;
    pub const ATTRIBUTES: usize = 21;
    pub const LAST_OFFSET_DELTA: usize = 23;
    pub const BASE_TIMESTAMP: usize = 27;
    pub const MAX_TIMESTAMP: usize = 35;
    pub const PRODUCER_ID: usize = 43;
    pub const PRODUCER_EPOCH: usize = 51;
    pub const BASE_SEQUENCE: usize = 53;
    pub const COUNT: usize = 57;
}

const COMPRESSION_BITS: i16 = 0b111;
const LOG_APPEND_TIME_BIT: i16 = 1 << 3;
const TRANSACTIONAL_BIT: i16 = 1 << 4;
const CONTROL_BIT: i16 = 1 << 5;

/// The header of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header([u8; HEADER]);

impl Header {
    /// The header that `bytes` begin with, whatever it says; `None` if they are too few.
    pub fn first_of(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().copied().map(Self)
    }

    /// The header's bytes.
    pub fn bytes(&self) -> &[u8; HEADER] {
        &self.0
    }

    /// Offset of the first record.
    pub fn base_offset(&self) -> i64 {
        i64::from_be_bytes(self.field(field::BASE_OFFSET))
    }

    /// Offset of the last record as produced; compaction may have removed it.
    pub fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(i64::from(self.last_offset_delta()))
    }

    /// The offset after the last record's.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Bytes of the whole batch.
    pub fn size(&self) -> usize {
        OVERHEAD + usize::try_from(self.length()).unwrap_or(0)
    }

    /// The checksum that the batch carries.
    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(self.field(field::CRC))
    }

    /// The checksum over the part of the header that has one; that of the records goes on from it.
    pub fn start_crc(&self) -> u32 {
        crc32c(&self.0[field::ATTRIBUTES..])
    }

    /// Which format the bytes have; the other fields are there in [`FORMAT`] only.
    pub fn format(&self) -> u8 {
        self.0[field::MAGIC]
    }

    /// The leader's epoch when it was appended.
    pub fn leader_epoch(&self) -> i32 {
        i32::from_be_bytes(self.field(field::LEADER_EPOCH))
    }

    /// How the records are compressed; `None` in a way that Kafka has no name for.
    pub fn compression(&self) -> Option<Compression> {
        Compression::from_number(self.attributes() & COMPRESSION_BITS)
    }

    /// Whether a transaction wrote it.
    pub fn is_transactional(&self) -> bool {
        self.attributes() & TRANSACTIONAL_BIT != 0
    }

    /// Whether its records are for Kafka itself, such as those that end a transaction.
    pub fn is_control(&self) -> bool {
        self.attributes() & CONTROL_BIT != 0
    }

    /// Whether the timestamp of all records is the batch's largest: the time of the append.
    pub fn has_log_append_time(&self) -> bool {
        self.attributes() & LOG_APPEND_TIME_BIT != 0
    }

    /// To what the records' timestamps (ms) are relative.
    pub fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field(field::BASE_TIMESTAMP))
    }

    /// The largest timestamp (ms) of the records; -1 when they have none.
    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field(field::MAX_TIMESTAMP))
    }

    /// The idempotent producer's id, if it is one.
    pub fn producer_id(&self) -> Option<i64> {
        let id = i64::from_be_bytes(self.field(field::PRODUCER_ID));
        (id >= 0).then_some(id)
    }

    /// The epoch of the producer's id.
    pub fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(self.field(field::PRODUCER_EPOCH))
    }

    /// The sequence number of the first record.
    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(self.field(field::BASE_SEQUENCE))
    }

    /// The sequence number of the last record; after the largest one comes 0.
    pub fn last_sequence(&self) -> i32 {
        self.base_sequence().wrapping_add(self.count() - 1) & i32::MAX
    }

    /// How many records there are.
    pub fn count(&self) -> i32 {
        i32::from_be_bytes(self.field(field::COUNT))
    }

    /// Gives the batch its place in the log. The checksum doesn't cover it.
    pub fn place(&mut self, base_offset: i64) {
        self.set(field::BASE_OFFSET, base_offset.to_be_bytes());
        self.set(field::LEADER_EPOCH, 0_i32.to_be_bytes());
    }

    /// Gives all records the time (ms) of the append; `records` are for the checksum.
    pub fn stamp(&mut self, now_ms: i64, records: &[u8]) {
        self.set(field::ATTRIBUTES, (self.attributes() | LOG_APPEND_TIME_BIT).to_be_bytes());
        self.set(field::MAX_TIMESTAMP, now_ms.to_be_bytes());
        self.set(field::CRC, crc32c_append(self.start_crc(), records).to_be_bytes());
    }

    /// Whether it is so many records as offsets, and at least one: so producers send it, and so it stays without compaction.
    pub fn is_dense(&self) -> bool {
        self.count() > 0 && self.last_offset_delta() == self.count() - 1
    }

    /// Whether its offsets can be those of a log.
    pub fn is_placed(&self) -> bool {
        self.base_offset() >= 0 && self.last_offset_delta() >= 0
    }

    /// Bytes of the batch behind the length.
    pub fn length(&self) -> i32 {
        i32::from_be_bytes(self.field(field::LENGTH))
    }

    /// How far the last record's offset is from the first's.
    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(self.field(field::LAST_OFFSET_DELTA))
    }

    fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.field(field::ATTRIBUTES))
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|index| self.0[at + index])
    }

    /// Writes a field.
    pub fn set<const N: usize>(&mut self, at: usize, value: [u8; N]) {
        self.0[at..at + N].copy_from_slice(&value);
    }
}

/// The headers of the batches of [`FORMAT`] in `bytes`, up to the first that isn't whole or isn't one.
pub fn headers(mut bytes: &[u8]) -> impl Iterator<Item = Header> {
    std::iter::from_fn(move || {
        let header = Header::first_of(bytes)?;
        let is_one = header.format() == FORMAT && header.length() >= MIN_LENGTH;
        bytes = bytes.get(header.size()..).filter(|_| is_one)?;
        Some(header)
    })
}
