//! What a reader gets: records with the batch that they came in.

use std::sync::Arc;

use bytes::Bytes;

use super::Compression;
use super::varint::Input;

/// A record of a log. Its bytes are parts of the answer that they came in, which stays in memory as long as any of them:
/// keep [`Record::detached`] of a few records rather than the records themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in ms since the epoch; -1 if it has none. [`Batch::timestamp_type`] says whose.
    pub timestamp: i64,
    /// The key; `None` for null, which isn't the empty key.
    pub key: Option<Bytes>,
    /// The value; `None` for null, which isn't the empty value.
    pub value: Option<Bytes>,
    /// The headers.
    pub headers: Headers,
    /// Whether the transaction that wrote it was aborted.
    pub aborted: bool,
    /// The batch that it came in.
    pub batch: Arc<Batch>,
}

/// What the records of a batch have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How the records are compressed.
    pub compression: Compression,
    /// Whose time the records' timestamps are.
    pub timestamp_type: TimestampType,
    /// Whether a transaction wrote it.
    pub transactional: bool,
    /// The idempotent or transactional producer's id; -1 without one.
    pub producer_id: i64,
    /// The epoch of the producer's id; -1 without one.
    pub producer_epoch: i16,
    /// The sequence number of the first record as produced; -1 without one.
    pub base_sequence: i32,
    /// The leader's epoch when it was appended.
    pub leader_epoch: i32,
    /// Offset of the first record as produced.
    pub base_offset: i64,
    /// Bytes of the whole batch as the broker keeps it: compressed, with its header.
    pub bytes: usize,
    /// How many records are left in it; compaction removes some.
    pub records: i32,
}

/// Whose time a timestamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    Create,
    /// The broker's when it appended the batch.
    LogAppend,
}

impl TimestampType {
    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CreateTime",
            Self::LogAppend => "LogAppendTime",
        }
    }
}

/// A part of a batch whose records can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The first offset that may be missing.
    pub base_offset: i64,
    /// The last one.
    pub last_offset: i64,
    /// What is wrong with it.
    pub reason: String,
}

/// The headers of a record in their order, exactly as they are: a name may be there twice, be empty, or not be text. They
/// are read from the record when they are asked for, so that who only counts records pays nothing for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Names and values as in the record, found to be sound.
    encoded: Bytes,
    count: usize,
}

impl Headers {
    /// Takes `count` headers off the front of `input`, whose bytes are at the end of `buffer`. `None` if they aren't there.
    pub(super) fn take(input: &mut Input<'_>, buffer: &Bytes) -> Option<Self> {
        let count = usize::try_from(input.varint32()?).ok()?;
        let rest = input.rest();
        for _ in 0..count {
            let name = usize::try_from(input.varint32()?).ok()?;
            input.take(name)?;
            input.nullable()?;
        }
        let length = rest.len() - input.rest().len();
        Some(Self { encoded: if count == 0 { Bytes::new() } else { buffer.slice_ref(&rest[..length]) }, count })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the names and values as they are stored.
    pub fn size(&self) -> usize {
        self.encoded.len()
    }

    /// Name and value of each; `None` is a null value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut input = Input::new(&self.encoded);
        (0..self.count).map_while(move |_| {
            let name = usize::try_from(input.varint32()?).ok()?;
            Some((input.take(name)?, input.nullable()?))
        })
    }
}

impl Record {
    /// Whose time its timestamp is.
    pub fn timestamp_type(&self) -> TimestampType {
        self.batch.timestamp_type
    }

    /// Bytes of its key, value and headers.
    pub fn size(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        length(&self.key) + length(&self.value) + self.headers.size()
    }

    /// The same record in memory of its own.
    #[must_use]
    pub fn detached(&self) -> Self {
        let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        Self {
            key: self.key.as_ref().map(copy),
            value: self.value.as_ref().map(copy),
            headers: Headers { encoded: copy(&self.headers.encoded), count: self.headers.count },
            ..self.clone()
        }
    }
}

#[cfg(test)]
impl<'a> FromIterator<(&'a [u8], Option<&'a [u8]>)> for Headers {
    fn from_iter<T: IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>>(headers: T) -> Self {
        fn put(encoded: &mut Vec<u8>, bytes: Option<&[u8]>) {
            let mut length = bytes.map_or(1, |bytes| 2 * bytes.len() as u64);
            while length >= 0x80 {
                encoded.push(length as u8 | 0x80);
                length >>= 7;
            }
            encoded.push(length as u8);
            encoded.extend_from_slice(bytes.unwrap_or_default());
        }
        let (mut encoded, mut count) = (Vec::new(), 0);
        for (name, value) in headers {
            put(&mut encoded, Some(name));
            put(&mut encoded, value);
            count += 1;
        }
        Self { encoded: encoded.into(), count }
    }
}
