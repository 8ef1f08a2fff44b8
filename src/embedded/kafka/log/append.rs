//! Taking a producer's batch in.

use std::io;
use std::mem;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::batch::{self, HEADER, Header};
use super::segment::Segment;
use super::{Appended, Log};

impl Log {
    /// Checks one record batch of format 2 as it came from a producer (length, format, checksum, offsets, timestamps,
    /// sequence of an idempotent producer), gives it its offset, and writes it to the page cache.
    ///
    /// A batch that an idempotent producer sends again is not written, and answered as it was the first time.
    ///
    /// # Errors
    /// Those of Kafka for a batch that must not be written, and `KafkaStorageError` when it can't be: then nothing of
    /// it stays, and the next append works if it has room.
    pub fn append(&mut self, batch: Bytes, now_ms: i64) -> Result<Appended, ResponseError> {
        let mut header = batch::check(&batch, self.settings.max_message_bytes)?;
        if header.size() as u64 > self.settings.segment_bytes {
            return Err(ResponseError::RecordListTooLarge);
        }
        if !self.settings.log_append_time && !header.is_timely(now_ms) {
            return Err(ResponseError::InvalidTimestamp);
        }
        if let Some(written) = self.producers.check(&header)? {
            let log_append_time = if self.settings.log_append_time { written.timestamp } else { -1 };
            let (base_offset, end_offset) = (written.base_offset, written.next_offset);
            return Ok(Appended { base_offset, end_offset, log_append_time, duplicate: true });
        }
        let records = &batch[HEADER..];
        header.place(self.end_offset());
        if self.settings.log_append_time {
            header.stamp(now_ms, records);
        }
        self.write(&header, records, now_ms).map_err(|error| self.storage_error("append", &error))?;
        self.producers.note(&header);
        Ok(Appended {
            base_offset: header.base_offset(),
            end_offset: header.next_offset(),
            log_append_time: if self.settings.log_append_time { now_ms } else { -1 },
            duplicate: false,
        })
    }

    fn write(&mut self, header: &Header, records: &[u8], now_ms: i64) -> io::Result<()> {
        if self.active.size() == 0 {
            self.began_ms = Some(now_ms);
        } else if self.is_full(header, now_ms) {
            self.roll()?;
            self.began_ms = Some(now_ms);
        }
        self.active.append(header, records)
    }

    /// Whether the batch has to go to a new segment: for its size, for the age of this one, or because an index can't
    /// tell offsets that are so far apart.
    fn is_full(&mut self, header: &Header, now_ms: i64) -> bool {
        let began_ms = *self.began_ms.get_or_insert(now_ms);
        self.active.size() + header.size() as u64 > self.settings.segment_bytes
            || now_ms.saturating_sub(began_ms) >= self.settings.segment_ms
            || header.next_offset() - self.active.base_offset() > i64::from(i32::MAX)
    }

    /// Starts a new segment. The one before it is brought to the disk meanwhile, so that a start after a crash need not
    /// look at it.
    pub(super) fn roll(&mut self) -> io::Result<()> {
        let next = Segment::create(&self.dir, self.end_offset())?;
        let mut full = mem::replace(&mut self.active, next);
        full.seal();
        self.sealed.push_back(full);
        self.began_ms = None;
        self.sync_sealed();
        Ok(())
    }
}
