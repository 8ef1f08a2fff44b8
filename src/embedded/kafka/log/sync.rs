//! Bringing the log to the disk: what the page cache has survives the process, but not the machine.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::segment::{LOG, OFFSET_INDEX, Segment, TIME_INDEX};
use super::{Log, files};

/// Stack (bytes) of the thread that syncs; it calls nothing deep.
const STACK: usize = 128 * 1_024;

/// Syncs sealed segments beside the appends.
#[derive(Default)]
pub struct Syncer {
    running: Option<JoinHandle<io::Result<i64>>>,
    /// The recovery point: everything before it is on the disk, and the file of that name says so.
    point: i64,
}

/// What is to be synced, and the recovery point it makes.
struct Work {
    dir: Arc<Path>,
    /// Base offsets of segments.
    segments: Vec<i64>,
    point: i64,
    /// What the `producers` file is to hold.
    producers: Option<Vec<u8>>,
}

impl Syncer {
    /// A syncer that goes on from a recovery point.
    pub fn new(point: i64) -> Self {
        Self { running: None, point }
    }

    /// The recovery point.
    pub fn point(&self) -> i64 {
        self.point
    }

    /// Waits for what was started.
    ///
    /// # Errors
    /// When it failed.
    pub fn wait(&mut self) -> io::Result<()> {
        if let Some(running) = self.running.take() {
            let died = |_| Err(io::Error::other("the syncing thread died"));
            self.point = running.join().unwrap_or_else(died)?;
        }
        Ok(())
    }

    fn start(&mut self, work: Work) -> io::Result<()> {
        let name = "log-sync".to_owned();
        self.running = Some(thread::Builder::new().name(name).stack_size(STACK).spawn(move || work.run())?);
        Ok(())
    }

    fn run(&mut self, work: Work) -> io::Result<()> {
        self.point = work.run()?;
        Ok(())
    }
}

impl Drop for Syncer {
    /// Nothing may write to the directory any more once its log is gone.
    fn drop(&mut self) {
        // There is nobody to tell, and a recovery point that stays behind only costs time.
        let _ = self.wait();
    }
}

impl Work {
    fn run(self) -> io::Result<i64> {
        for base_offset in self.segments {
            for extension in [LOG, OFFSET_INDEX, TIME_INDEX] {
                sync_file(&Segment::path(&self.dir, base_offset, extension))?;
            }
        }
        File::open(&self.dir)?.sync_all()?;
        if let Some(producers) = self.producers {
            files::write(&self.dir, files::PRODUCERS, &producers, false)?;
        }
        files::write(&self.dir, files::RECOVERY_POINT, &self.point.to_be_bytes(), false)?;
        Ok(self.point)
    }
}

/// The end of a log, which may be in the page cache only.
pub struct Unsynced {
    file: Arc<File>,
    end_offset: i64,
}

impl Unsynced {
    /// Waits until the disk has it, and returns the offset at which it ends.
    ///
    /// # Errors
    /// When the disk has a problem.
    pub fn bring_to_disk(&self) -> io::Result<i64> {
        self.file.sync_data()?;
        Ok(self.end_offset)
    }
}

impl Log {
    /// Brings everything to the disk.
    ///
    /// # Errors
    /// When the disk has a problem: then what was appended since the last flush may not survive the machine.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(unsynced) = self.begin_flush()? {
            self.end_flush(unsynced.bring_to_disk()?);
        }
        Ok(())
    }

    /// A flush for whoever shares the log, and doesn't want others to wait for the disk: what is left to be done after
    /// this needs no log, and [`end_flush`](Self::end_flush) takes note of it. None if everything is on the disk.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn begin_flush(&mut self) -> io::Result<Option<Unsynced>> {
        self.syncer.wait()?;
        if self.syncer.point() < self.active.base_offset() {
            let work = self.work(None);
            self.syncer.run(work)?;
        }
        let end_offset = self.end_offset();
        let unsynced = || Ok(Unsynced { file: self.active.file()?, end_offset });
        (self.synced < end_offset).then(unsynced).transpose()
    }

    /// Everything before this offset is on the disk.
    pub fn end_flush(&mut self, end_offset: i64) {
        self.synced = self.synced.max(end_offset);
    }

    /// Ends the log in order: everything is on the disk, and the next start need not look for what is there.
    ///
    /// # Errors
    /// When the disk has a problem: then the next start must not be a clean one.
    pub fn close(mut self) -> io::Result<()> {
        self.active.mend()?;
        self.flush()?;
        self.active.save_indexes()?;
        let end_offset = self.end_offset();
        if self.producers_saved != Some(end_offset) {
            files::write(&self.dir, files::PRODUCERS, &self.producers.encode(end_offset), false)?;
        }
        if self.syncer.point() < end_offset {
            files::write(&self.dir, files::RECOVERY_POINT, &end_offset.to_be_bytes(), false)?;
        }
        Ok(())
    }

    /// Starts to bring the sealed segments to the disk, once those before them are there.
    pub(super) fn sync_sealed(&mut self) {
        let before = self.syncer.wait();
        let work = self.work(Some(self.producers.encode(self.end_offset())));
        if let Err(error) = before.and_then(|()| self.syncer.start(work)) {
            // The recovery point stays where it is, and the next roll or flush tries again.
            tracing::warn!(dir = %self.dir.display(), %error, "can't sync");
        }
    }

    fn work(&self, producers: Option<Vec<u8>>) -> Work {
        let unsynced = self.sealed.iter().filter(|segment| segment.next_offset() > self.syncer.point());
        let segments = unsynced.map(Segment::base_offset).collect();
        Work { dir: Arc::clone(&self.dir), segments, point: self.active.base_offset(), producers }
    }
}

/// Syncs a file, unless it is gone: the segment was too old.
fn sync_file(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => file.sync_data(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
