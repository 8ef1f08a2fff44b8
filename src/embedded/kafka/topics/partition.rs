//! One partition: its log, and who waits for it to grow.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use tokio::sync::watch;

use super::settings::{Effective, Flush};
use crate::embedded::kafka::log::{Appended, Log, Unsynced};
use crate::telemetry::seldom::Seldom;

/// That the disk fails, for any partition.
static FAILED: Seldom = Seldom::new();

/// A partition.
pub struct Partition {
    topic: String,
    index: i32,
    /// Beside the state, so that nobody waits for who is at work on that.
    flushes_appends: AtomicBool,
    state: Mutex<State>,
    end: watch::Sender<i64>,
}

struct State {
    log: Result<Log, ResponseError>,
    flush: Flush,
    /// Records that were appended since the last flush, and when (ms) the first of them was.
    unflushed: i64,
    unflushed_since: i64,
}

impl Partition {
    /// The partition `index` of `topic`, whose records are in `log`.
    pub fn new(topic: &str, index: i32, log: Log, flush: Flush) -> Self {
        let end = watch::Sender::new(log.end_offset());
        let state = State { log: Ok(log), flush, unflushed: 0, unflushed_since: 0 };
        let flushes_appends = AtomicBool::new(flush.is_by_number());
        Self { topic: topic.to_owned(), index, flushes_appends, state: Mutex::new(state), end }
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Its number in the topic.
    pub fn index(&self) -> i32 {
        self.index
    }

    /// Does `work` on the log; nobody else does anything to it meanwhile. Records are appended with
    /// [`append`](Self::append).
    ///
    /// # Errors
    /// `work` fails; or the topic was deleted (`UnknownTopicOrPartition`) or the broker ends (`NotLeaderOrFollower`).
    pub fn with<R>(&self, work: impl FnOnce(&mut Log) -> Result<R, ResponseError>) -> Result<R, ResponseError> {
        match &mut self.lock().log {
            Ok(log) => work(log),
            Err(closed) => Err(*closed),
        }
    }

    /// Appends one record batch as it came from a producer, flushes if the topic's settings ask for it, and wakes who
    /// waits. `now_ms` is the time in milliseconds.
    ///
    /// # Errors
    /// The log refuses the batch, or can't write it (`KafkaStorageError`); as for [`with`](Self::with), too.
    pub fn append(&self, batch: Bytes, now_ms: i64) -> Result<Appended, ResponseError> {
        let failed = |error: io::Error| self.storage_error("flush", &error);
        let mut state = self.lock();
        let State { log, flush, unflushed, unflushed_since } = &mut *state;
        let log = log.as_mut().map_err(|closed| *closed)?;
        let before = log.end_offset();
        let appended = log.append(batch, now_ms)?;
        let end = log.end_offset();
        if *unflushed == 0 {
            *unflushed_since = now_ms;
        }
        *unflushed += end - before;
        // It can be read, whether or not the disk takes it.
        if end != before {
            self.end.send_replace(end);
        }
        if *unflushed < flush.messages {
            return Ok(appended);
        }
        let unsynced = log.begin_flush().map_err(failed)?;
        // Others append and read while this one waits for the disk.
        drop(state);
        if let Some(unsynced) = unsynced {
            self.flushed(unsynced.bring_to_disk().map_err(failed)?);
        }
        Ok(appended)
    }

    /// Everything before this offset is on the disk.
    fn flushed(&self, end_offset: i64) {
        let mut state = self.lock();
        let State { log, unflushed, .. } = &mut *state;
        if let Ok(log) = log {
            log.end_flush(end_offset);
            *unflushed = (*unflushed).min(log.end_offset() - end_offset);
        }
    }

    /// Whether an append may flush, and so wait for the disk.
    pub fn flushes_appends(&self) -> bool {
        self.flushes_appends.load(Ordering::Relaxed)
    }

    /// The end offset, and a way to wait until it changes or the partition is closed.
    pub fn end_offset(&self) -> watch::Receiver<i64> {
        self.end.subscribe()
    }

    /// How many wait for that.
    #[cfg(test)]
    pub fn watchers(&self) -> usize {
        self.end.receiver_count()
    }

    /// Takes changed settings over.
    pub(super) fn configure(&self, effective: &Effective) {
        let mut state = self.lock();
        state.flush = effective.flush;
        self.flushes_appends.store(effective.flush.is_by_number(), Ordering::Relaxed);
        if let Ok(log) = &mut state.log {
            log.configure(effective.log());
        }
    }

    /// Flushes what has waited for as long as the topic's settings allow.
    pub(super) fn flush_if_due(&self, now_ms: i64) {
        let flushed = self.begin_flush_if_due(now_ms).and_then(|unsynced| match unsynced {
            Some(unsynced) => unsynced.bring_to_disk().map(|end_offset| self.flushed(end_offset)),
            None => Ok(()),
        });
        if let Err(error) = flushed {
            self.storage_error("flush", &error);
        }
    }

    fn begin_flush_if_due(&self, now_ms: i64) -> io::Result<Option<Unsynced>> {
        let mut state = self.lock();
        let State { log, flush, unflushed, unflushed_since } = &mut *state;
        // A clock that was set back must not keep records from the disk.
        let waited = now_ms.abs_diff(*unflushed_since);
        match log {
            Ok(log) if *unflushed > 0 && waited >= flush.ms.unsigned_abs() => log.begin_flush(),
            _ => Ok(None),
        }
    }

    /// Removes segments by age and size.
    pub(super) fn retain(&self, now_ms: i64) {
        if let Ok(log) = &mut self.lock().log
            && let Err(error) = log.retain(now_ms)
        {
            self.storage_error("remove old segments of", &error);
        }
    }

    /// Writes what a clean start needs. From here on the partition answers `NotLeaderOrFollower`.
    pub(super) fn close(&self) -> io::Result<()> {
        self.end_with(ResponseError::NotLeaderOrFollower).map_or(Ok(()), Log::close)
    }

    /// Lets go of the log. From here on there is no such partition.
    pub(super) fn delete(&self) {
        drop(self.end_with(ResponseError::UnknownTopicOrPartition));
    }

    fn end_with(&self, error: ResponseError) -> Option<Log> {
        let log = std::mem::replace(&mut self.lock().log, Err(error)).ok();
        self.end.send_modify(|_| {});
        log
    }

    /// An error on the wire in place of one of the disk, which goes to the log.
    pub fn storage_error(&self, what: &str, error: &io::Error) -> ResponseError {
        FAILED.error(&format!("can't {what} partition {} of {}", self.index, self.topic), error);
        ResponseError::KafkaStorageError
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::settings::Defaults;
    use super::*;
    use crate::embedded::kafka::testing::batch;

    fn partition(dir: &tempfile::TempDir, settings: &[(&str, &str)]) -> Partition {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let effective = Defaults::default().with(&settings);
        let opened = Log::open(dir.path().to_owned(), effective.log(), true).expect("a log");
        Partition::new("t", 0, opened.log, effective.flush)
    }

    fn unflushed(partition: &Partition) -> i64 {
        partition.lock().unflushed
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_an_append_and_by_the_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let partition = partition(&dir, &[]);
        let mut end = partition.end_offset();
        assert_eq!(*end.borrow_and_update(), 0);
        partition.append(batch(3), 0).expect("appended");
        tokio::time::timeout(Duration::from_secs(5), end.changed()).await.expect("woken").expect("open");
        assert_eq!(*end.borrow_and_update(), 3);
        partition.delete();
        tokio::time::timeout(Duration::from_secs(5), end.changed()).await.expect("woken").expect("open");
        let refused = partition.append(batch(1), 0).err();
        assert_eq!(refused, Some(ResponseError::UnknownTopicOrPartition));
    }

    #[test]
    fn records_are_flushed_by_number_and_by_age() {
        let dir = tempfile::tempdir().expect("a folder");
        let by_number = partition(&dir, &[("flush.messages", "3")]);
        by_number.append(batch(2), 0).expect("appended");
        assert_eq!(unflushed(&by_number), 2);
        by_number.append(batch(1), 0).expect("appended");
        assert_eq!(unflushed(&by_number), 0);

        let dir = tempfile::tempdir().expect("a folder");
        let by_age = partition(&dir, &[("flush.ms", "1000")]);
        by_age.append(batch(2), 5_000).expect("appended");
        by_age.flush_if_due(5_999);
        assert_eq!(unflushed(&by_age), 2);
        by_age.flush_if_due(6_000);
        assert_eq!(unflushed(&by_age), 0);
    }
}
