//! Finding records by their timestamps.

use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use super::Log;
use super::batch::{HEADER, Header};
use super::segment::Segment;
use super::walk::Walk;
use crate::record_batch;

impl Log {
    /// The first record with this timestamp (ms) or a later one: its offset and its timestamp.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn offset_for_time(&self, timestamp: i64) -> io::Result<Option<(i64, i64)>> {
        for segment in self.segments() {
            if segment.max_timestamp() >= timestamp
                && let Some(found) = segment.first_at(timestamp, self.start_offset)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp (ms), the first of them: its offset and its timestamp. None if no record
    /// has a timestamp.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn max_timestamp(&self) -> io::Result<Option<(i64, i64)>> {
        let mut latest = -1;
        for segment in self.segments() {
            let starts_within = segment.base_offset() < self.start_offset;
            let newest = if starts_within { segment.latest_from(self.start_offset)? } else { segment.max_timestamp() };
            latest = latest.max(newest);
        }
        if latest < 0 { Ok(None) } else { self.offset_for_time(latest) }
    }
}

impl Segment {
    /// The first record that isn't before `from` and has this timestamp or a later one.
    fn first_at(&self, timestamp: i64, from: i64) -> io::Result<Option<(i64, i64)>> {
        let position = self.position_before(self.offset_before(timestamp).max(from));
        let file = self.file()?;
        for batch in Walk::new(&file, position, self.size()) {
            let (position, header) = batch?;
            if header.next_offset() <= from || header.max_timestamp() < timestamp {
                continue;
            }
            let mut found = None;
            self.each_record(position, &header, from, |offset, time| {
                if time < timestamp {
                    return ControlFlow::Continue(());
                }
                found = Some((offset, time));
                ControlFlow::Break(())
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The largest timestamp of a record that isn't before `from`; -1 if there is none.
    fn latest_from(&self, from: i64) -> io::Result<i64> {
        let mut latest = -1;
        let file = self.file()?;
        for batch in Walk::new(&file, self.position_before(from), self.size()) {
            let (position, header) = batch?;
            if header.base_offset() >= from {
                latest = latest.max(header.max_timestamp());
            } else if header.next_offset() > from {
                self.each_record(position, &header, from, |_, time| {
                    latest = latest.max(time);
                    if time < header.max_timestamp() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
            }
        }
        Ok(latest)
    }

    /// Calls `each` with the offset and timestamp of those records of a batch that aren't before `from`, until it
    /// breaks.
    fn each_record(
        &self,
        position: u64,
        header: &Header,
        from: i64,
        mut each: impl FnMut(i64, i64) -> ControlFlow<()>,
    ) -> io::Result<()> {
        if !header.has_log_append_time() {
            let mut records = vec![0; header.size() - HEADER];
            self.file()?.read_exact_at(&mut records, position + HEADER as u64)?;
            let read = record_batch::each(header, &records, |offset, time| {
                if offset < from { ControlFlow::Continue(()) } else { each(offset, time) }
            });
            let Err(error) = read else { return Ok(()) };
            // One bad batch must not end every search: it is taken to begin with its largest timestamp.
            tracing::debug!(offset = header.base_offset(), %error, "the records of a batch can't be read");
        }
        // All others have the same one.
        let _ = each(header.base_offset().max(from), header.max_timestamp());
        Ok(())
    }
}
