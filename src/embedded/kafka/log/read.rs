//! Reading batches.

use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::Log;
use super::batch::Header;
use super::segment::Segment;

impl Log {
    /// Whole batches from the one that holds `offset`, up to `max_bytes`; the first one even if it is larger, if
    /// `at_least_one`. Nothing at the end.
    ///
    /// # Errors
    /// `OffsetOutOfRange` before the start and beyond the end; `KafkaStorageError` when it can't be read.
    pub fn read(&self, offset: i64, max_bytes: usize, at_least_one: bool) -> Result<Bytes, ResponseError> {
        if offset < self.start_offset() || offset > self.end_offset() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        if offset == self.end_offset() {
            return Ok(Bytes::new());
        }
        self.batches(offset, max_bytes, at_least_one).map_err(|error| self.storage_error("read", &error))
    }

    fn batches(&self, offset: i64, max_bytes: usize, at_least_one: bool) -> io::Result<Bytes> {
        let mut segments = self.segments_from(offset).peekable();
        let Some(first) = segments.peek() else { return Ok(Bytes::new()) };
        // Smaller where a segment was lost: what follows the gap is the next.
        let (start, header) = first.find(offset.max(first.base_offset()))?;
        if header.size() > max_bytes && !at_least_one {
            return Ok(Bytes::new());
        }
        let allowed = header.size().max(max_bytes) as u64;
        let available = self.segments_from(offset).map(Segment::size).sum::<u64>() - start;
        let mut bytes = vec![0; allowed.min(available) as usize];
        let (mut filled, mut position) = (0, start);
        for segment in segments {
            let part = (bytes.len() - filled).min((segment.size() - position) as usize);
            if part == 0 {
                break;
            }
            segment.file()?.read_exact_at(&mut bytes[filled..filled + part], position)?;
            filled += part;
            position = 0;
        }
        bytes.truncate(whole(&bytes));
        Ok(bytes.into())
    }

    /// The segments from the one that holds `offset`.
    fn segments_from(&self, offset: i64) -> impl Iterator<Item = &Segment> {
        let before = self.sealed.partition_point(|segment| segment.next_offset() <= offset);
        self.segments().skip(before)
    }
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
