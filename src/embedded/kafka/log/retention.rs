//! Removing what is too old, too much, or unwanted.

use std::io;

use kafka_protocol::error::ResponseError;

use super::segment::Segment;
use super::{Log, files};

impl Log {
    /// Removes the segments whose records are all older than the retention time, and the oldest ones as long as what
    /// is left is at least the retention size. Also forgets the producers that have written nothing for a day.
    ///
    /// # Errors
    /// When a file can't be removed.
    pub fn retain(&mut self, now_ms: i64) -> io::Result<()> {
        self.producers.expire(now_ms);
        while let Some(oldest) = self.sealed.front()
            && self.may_go(oldest, now_ms)?
        {
            self.remove_oldest()?;
        }
        if self.sealed.is_empty() && self.active.size() > 0 && self.may_go(&self.active, now_ms)? {
            self.roll()?;
            self.remove_oldest()?;
        }
        Ok(())
    }

    /// Deletes the records before `offset`, and returns the new start offset. Segments that have only such records go,
    /// but for the newest one.
    ///
    /// # Errors
    /// `OffsetOutOfRange` beyond the end; `KafkaStorageError` when that can't be noted or a file not be removed.
    pub fn delete_before(&mut self, offset: i64) -> Result<i64, ResponseError> {
        if offset < 0 || offset > self.end_offset() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        if offset > self.start_offset {
            self.move_start(offset).map_err(|error| self.storage_error("delete records", &error))?;
        }
        Ok(self.start_offset)
    }

    fn move_start(&mut self, offset: i64) -> io::Result<()> {
        files::write(&self.dir, files::START_OFFSET, &offset.to_be_bytes(), true)?;
        self.start_offset = offset;
        while self.sealed.front().is_some_and(|oldest| oldest.next_offset() <= offset) {
            self.remove_oldest()?;
        }
        Ok(())
    }

    /// Whether the oldest segment is too old, or too much.
    fn may_go(&self, oldest: &Segment, now_ms: i64) -> io::Result<bool> {
        let (bytes, ms) = (self.settings.retention_bytes, self.settings.retention_ms);
        let left = self.size() - oldest.size();
        let too_much = u64::try_from(bytes).is_ok_and(|bytes| left >= bytes);
        Ok(too_much || (ms >= 0 && now_ms.saturating_sub(oldest.newest_ms()?) > ms))
    }

    fn remove_oldest(&mut self) -> io::Result<()> {
        if let Some(oldest) = self.sealed.front() {
            oldest.remove()?;
            self.start_offset = self.start_offset.max(oldest.next_offset());
            self.sealed.pop_front();
        }
        Ok(())
    }
}
