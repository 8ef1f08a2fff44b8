//! Reading batches.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use rustix::buffer::spare_capacity;
use rustix::io::{pread, retry_on_intr};

use super::Log;
use super::batch::Header;
use super::segment::Segment;

/// Where batches are. Reading them takes no log: whoever shares it can go on meanwhile, also if a segment is removed.
#[derive(Default)]
pub struct Located {
    /// Position and bytes in each file.
    parts: Vec<(Arc<File>, u64, usize)>,
}

impl Located {
    /// Reads them.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn read(&self) -> io::Result<Bytes> {
        let mut bytes = Vec::with_capacity(self.parts.iter().map(|(.., length)| length).sum());
        for (file, position, length) in &self.parts {
            read_at(file, *position, *length, &mut bytes)?;
        }
        bytes.truncate(whole(&bytes));
        Ok(bytes.into())
    }
}

impl Log {
    /// Whole batches from the one that holds `offset`, up to `max_bytes`; the first one even if it is larger, if
    /// `at_least_one`. Nothing at the end.
    ///
    /// # Errors
    /// `OffsetOutOfRange` before the start and beyond the end; `KafkaStorageError` when it can't be read.
    pub fn read(&self, offset: i64, max_bytes: usize, at_least_one: bool) -> Result<Bytes, ResponseError> {
        let located = self.locate(offset, max_bytes, at_least_one)?;
        located.read().map_err(|error| self.storage_error("read", &error))
    }

    /// Where [`read`](Self::read) would read.
    ///
    /// # Errors
    /// As for that.
    pub fn locate(&self, offset: i64, max_bytes: usize, at_least_one: bool) -> Result<Located, ResponseError> {
        if offset < self.start_offset() || offset > self.end_offset() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        if offset == self.end_offset() {
            return Ok(Located::default());
        }
        self.find(offset, max_bytes, at_least_one).map_err(|error| self.storage_error("read", &error))
    }

    /// Whether what is at `offset` was written long ago, as far as a segment goes: it may be on the disk only.
    pub fn is_cold(&self, offset: i64) -> bool {
        offset < self.active.base_offset()
    }

    fn find(&self, offset: i64, max_bytes: usize, at_least_one: bool) -> io::Result<Located> {
        let mut segments = self.segments_from(offset).peekable();
        let Some(first) = segments.peek() else { return Ok(Located::default()) };
        // Smaller where a segment was lost: what follows the gap is the next.
        let (start, header) = first.find(offset.max(first.base_offset()))?;
        if header.size() > max_bytes && !at_least_one {
            return Ok(Located::default());
        }
        let mut left = header.size().max(max_bytes) as u64;
        let (mut parts, mut position) = (Vec::new(), start);
        for segment in segments {
            let part = left.min(segment.size() - position);
            if part == 0 {
                break;
            }
            parts.push((segment.file()?, position, part as usize));
            left -= part;
            position = 0;
        }
        Ok(Located { parts })
    }

    /// The segments from the one that holds `offset`.
    fn segments_from(&self, offset: i64) -> impl Iterator<Item = &Segment> {
        let before = self.sealed.partition_point(|segment| segment.next_offset() <= offset);
        self.segments().skip(before)
    }
}

/// Appends `length` bytes to `bytes`, whose room was not written to before: that takes as long as reading does.
fn read_at(file: &File, position: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    let start = bytes.len();
    let end = start + length;
    while bytes.len() < end {
        let position = position + (bytes.len() - start) as u64;
        if retry_on_intr(|| pread(file, spare_capacity(bytes), position))? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    // There may have been room for more.
    bytes.truncate(end);
    Ok(())
}

/// How many of these bytes are whole batches.
fn whole(bytes: &[u8]) -> usize {
    let mut end = 0;
    while let Some(next) = Header::read(&bytes[end..]).map(|header| end + header.size())
        && next <= bytes.len()
    {
        end = next;
    }
    end
}
