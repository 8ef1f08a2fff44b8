//! From the bytes of an answer to records.
//!
//! Nothing that the bytes say is believed: nothing is allocated by a count of theirs, and what makes no sense is told with
//! its offsets, so that its reader can go on behind it.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use crc32c::crc32c_append;

use super::varint::Input;
use super::{Batch, Compression, FORMAT, HEADER, Header, Headers, MIN_LENGTH, OVERHEAD, field, headers};
use super::{Record, TimestampType, Unreadable};

/// What is found in a log.
#[derive(Debug)]
pub enum Entry {
    /// A record.
    Record(Record),
    /// Records that can't be had.
    Unreadable(Unreadable),
}

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    /// Its producer.
    pub producer_id: i64,
    /// The offset of its first record.
    pub first_offset: i64,
}

/// The records in some batches that follow each other in a log, the last of which may be cut off. Records for Kafka
/// itself are passed over.
#[derive(Debug)]
pub struct Decoder {
    /// The batches that weren't begun.
    batches: Bytes,
    /// What has been begun.
    open: Option<Open>,
    /// Before it, everything was given out, or wasn't wanted.
    next: i64,
    /// Aborted transactions that haven't begun, the earliest last.
    aborted: Vec<Aborted>,
    /// Producers in an aborted transaction.
    aborting: HashSet<i64>,
    skip_aborted: bool,
    max_decompressed: usize,
}

/// A batch of which records are left.
#[derive(Debug)]
struct Open {
    header: Header,
    batch: Arc<Batch>,
    aborted: bool,
    /// The records that are left, decompressed, and how many they should be.
    records: Bytes,
    left: i32,
    /// The offset delta of the record before.
    delta: i64,
}

impl Decoder {
    /// Begins with the record at `from`. A batch is decompressed to `max_decompressed` bytes at most.
    pub fn new(batches: Bytes, from: i64, max_decompressed: usize) -> Self {
        Self {
            batches,
            open: None,
            next: from,
            aborted: Vec::new(),
            aborting: HashSet::new(),
            skip_aborted: false,
            max_decompressed,
        }
    }

    /// Tells of the transactions that were aborted among these batches; their records are marked, or passed over.
    #[must_use]
    pub fn with_aborted(mut self, mut aborted: Vec<Aborted>, skip: bool) -> Self {
        aborted.sort_unstable_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        self.aborted = aborted;
        self.skip_aborted = skip;
        self
    }

    /// The offset at which it goes on once it has given out everything, without looking into the batches: `None` if there
    /// is something else among them.
    pub fn end_offset(&self) -> Option<i64> {
        let (mut rest, mut next) = (&*self.batches, self.next);
        while let Some(header) = Header::first_of(rest) {
            if header.format() != FORMAT || header.length() < MIN_LENGTH || !header.is_placed() {
                return None;
            }
            let Some(behind) = rest.get(header.size()..) else { break };
            next = next.max(header.next_offset());
            rest = behind;
        }
        // What is left may be the beginning of a batch; or all of something that is shorter than a header.
        let is_cut = match frame(rest) {
            Some((format, length)) => format == FORMAT && length >= MIN_LENGTH,
            None => true,
        };
        is_cut.then_some(next)
    }

    /// The offset at which it goes on: the next entry isn't before it.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// Bytes of the largest batch that wasn't begun, or 0: what one step may have to decompress.
    pub fn largest_batch(&self) -> usize {
        headers(&self.batches).map(|header| header.size()).max().unwrap_or(0)
    }

    /// Begins the next batch. `None` when there is no whole one left.
    fn open_next(&mut self) -> Option<Result<(), Unreadable>> {
        let (format, length) = frame(&self.batches)?;
        let base_offset = i64::from_be_bytes(*self.batches.first_chunk()?);
        let least = if format < FORMAT { MIN_OLD_LENGTH } else { MIN_LENGTH };
        if length < least {
            self.batches.clear();
            return Some(Err(self.unreadable(self.next, format!("a batch of {length} bytes"))));
        }
        let size = OVERHEAD + length as usize;
        if size > self.batches.len() {
            return None;
        }
        let bytes = self.batches.split_to(size);
        if format != FORMAT {
            let reason = match format {
                0 | 1 => format!("message format {format}, which Kafka wrote before 0.11: kboard reads format 2"),
                _ => format!("message format {format}, which is newer than kboard: it reads format 2"),
            };
            // The offset of these is that of the last record.
            return (base_offset >= self.next).then(|| Err(self.unreadable(base_offset, reason))).or(Some(Ok(())));
        }
        let header = Header::first_of(&bytes)?;
        if header.is_placed() && header.last_offset() < self.next {
            return Some(Ok(()));
        }
        Some(self.open_batch(header, bytes))
    }

    fn open_batch(&mut self, header: Header, bytes: Bytes) -> Result<(), Unreadable> {
        let last_offset = header.last_offset();
        let records = bytes.slice(HEADER..);
        if crc32c_append(header.start_crc(), &records) != header.crc() {
            return Err(self.unreadable(last_offset, "its checksum is wrong: it was damaged".to_owned()));
        }
        let Some(compression) = header.compression() else {
            return Err(self.unreadable(last_offset, "it is compressed in a way that kboard doesn't know".to_owned()));
        };
        if !header.is_placed() || header.count() < 0 {
            return Err(self.unreadable(last_offset, "its header makes no sense".to_owned()));
        }
        let producer_id = header.producer_id().unwrap_or(-1);
        while let Some(begun) = self.aborted.pop_if(|transaction| transaction.first_offset <= last_offset) {
            self.aborting.insert(begun.producer_id);
        }
        if header.is_control() {
            if is_abort_marker(&records) {
                self.aborting.remove(&producer_id);
            }
            self.next = header.next_offset();
            return Ok(());
        }
        let aborted = header.is_transactional() && self.aborting.contains(&producer_id);
        if aborted && self.skip_aborted || header.count() == 0 {
            self.next = header.next_offset();
            return Ok(());
        }
        let records = match compression {
            Compression::None => records,
            _ => match compression.decompress(&records, self.max_decompressed) {
                Ok(decompressed) => Bytes::from(decompressed),
                Err(error) => return Err(self.unreadable(last_offset, format!("{}: {error}", compression.name()))),
            },
        };
        let batch = Arc::new(batch(&header, compression));
        self.open = Some(Open { batch, aborted, records, left: header.count(), delta: -1, header });
        Ok(())
    }

    /// Passes over what is left of a batch.
    fn spoiled(&mut self, last_offset: i64, reason: &str) -> Entry {
        // There may be more in it than it has offsets.
        let base_offset = self.next.min(last_offset);
        self.next = last_offset.saturating_add(1);
        self.open = None;
        Entry::Unreadable(Unreadable { base_offset, last_offset, reason: reason.to_owned() })
    }

    /// Passes over everything up to `last_offset`, and one offset at least.
    fn unreadable(&mut self, last_offset: i64, reason: String) -> Unreadable {
        let base_offset = self.next;
        let last_offset = last_offset.max(base_offset);
        self.next = last_offset.saturating_add(1);
        self.open = None;
        Unreadable { base_offset, last_offset, reason }
    }
}

impl Iterator for Decoder {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let Some(open) = &mut self.open else {
                match self.open_next()? {
                    Ok(()) => continue,
                    Err(unreadable) => return Some(Entry::Unreadable(unreadable)),
                }
            };
            let last_offset = open.header.last_offset();
            if open.left == 0 {
                if !open.records.is_empty() {
                    return Some(self.spoiled(last_offset, "there is more in it than its records"));
                }
                self.next = self.next.max(open.header.next_offset());
                self.open = None;
                continue;
            }
            match open.take_record(self.next) {
                Some(None) => {}
                Some(Some(record)) => {
                    self.next = record.offset + 1;
                    return Some(Entry::Record(record));
                }
                None => return Some(self.spoiled(last_offset, "what should be a record is none")),
            }
        }
    }
}

impl Open {
    /// Takes a record off the front: none if its offset is before `from`. `None` if there is no record.
    fn take_record(&mut self, from: i64) -> Option<Option<Record>> {
        let mut input = Input::new(&self.records);
        let length = usize::try_from(input.varint32()?).ok()?;
        let mut record = Input::new(input.take(length)?);
        let size = self.records.len() - input.rest().len();
        let _attributes = record.byte()?;
        let timestamp_delta = record.varint()?;
        let delta = i64::from(record.varint32()?);
        if delta <= self.delta || delta > i64::from(self.header.last_offset_delta()) {
            return None;
        }
        let offset = self.header.base_offset().checked_add(delta)?;
        let found = if offset < from {
            None
        } else {
            let bytes = |slice: &[u8]| self.records.slice_ref(slice);
            let (key, value) = (record.nullable()?.map(bytes), record.nullable()?.map(bytes));
            let headers = Headers::take(&mut record, &self.records)?;
            if !record.rest().is_empty() {
                return None;
            }
            let timestamp = match self.batch.timestamp_type {
                TimestampType::Create => self.header.base_timestamp().saturating_add(timestamp_delta),
                TimestampType::LogAppend => self.header.max_timestamp(),
            };
            let batch = Arc::clone(&self.batch);
            Some(Record { offset, timestamp, key, value, headers, aborted: self.aborted, batch })
        };
        self.delta = delta;
        self.left -= 1;
        self.records.advance(size);
        Some(found)
    }
}

/// The format and the length of what `bytes` begin with; all formats have them at the same places.
fn frame(bytes: &[u8]) -> Option<(u8, i32)> {
    let format = *bytes.get(field::MAGIC)?;
    Some((format, i32::from_be_bytes(*bytes[field::LENGTH..].first_chunk()?)))
}

/// The smallest length of a message of the older formats.
const MIN_OLD_LENGTH: i32 = 14;

/// Whether the record of a control batch ends a transaction by aborting it: the second number of its key is 0.
fn is_abort_marker(records: &[u8]) -> bool {
    let key = || {
        let mut input = Input::new(records);
        let _length = input.varint32()?;
        let _attributes = input.byte()?;
        let (_timestamp_delta, _offset_delta) = (input.varint()?, input.varint()?);
        input.nullable()?
    };
    key().is_some_and(|key| key.get(2..4) == Some(&[0, 0]))
}

fn batch(header: &Header, compression: Compression) -> Batch {
    let log_append = header.has_log_append_time();
    Batch {
        compression,
        timestamp_type: if log_append { TimestampType::LogAppend } else { TimestampType::Create },
        transactional: header.is_transactional(),
        producer_id: header.producer_id().unwrap_or(-1),
        producer_epoch: header.producer_epoch(),
        base_sequence: header.base_sequence(),
        leader_epoch: header.leader_epoch(),
        base_offset: header.base_offset(),
        bytes: header.size(),
        records: header.count(),
    }
}
