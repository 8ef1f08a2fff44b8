//! One segment: a file of batches in the order of their offsets, named by the first offset, and its two indexes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::Header;
use super::index::{Index, Kind};
use super::recovery;
use super::walk::Walk;

/// Extension of the file of batches.
pub const LOG: &str = "log";
/// Extension of the index by offset.
pub const OFFSET_INDEX: &str = "index";
/// Extension of the index by time.
pub const TIME_INDEX: &str = "timeindex";

/// Bytes of batches from one index entry to the next, at least.
const INDEX_INTERVAL: u64 = 4_096;

/// A segment.
pub struct Segment {
    dir: Arc<Path>,
    base_offset: i64,
    next_offset: i64,
    size: u64,
    max_timestamp: i64,
    offsets: Index,
    times: Index,
    /// Position of the newest batch that has an index entry.
    indexed: u64,
    /// Open as long as batches are appended.
    file: Option<Arc<File>>,
    /// The file holds a part of a batch that couldn't be written, and couldn't be cut yet.
    torn: bool,
}

impl Segment {
    /// The name that the files of a segment have in `dir`.
    pub fn path(dir: &Path, base_offset: i64, extension: &str) -> PathBuf {
        dir.join(format!("{base_offset:020}.{extension}"))
    }

    /// Starts a new segment.
    ///
    /// # Errors
    /// When its file can't be created.
    pub fn create(dir: &Arc<Path>, base_offset: i64) -> io::Result<Self> {
        let mut segment = Self::blank(dir, base_offset)?;
        segment.activate()?;
        Ok(segment)
    }

    /// Opens a segment that ended in order: its indexes say what it holds, and only what they don't cover is looked at,
    /// by its headers. False if that isn't whole batches up to the end of the file.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn open(dir: &Arc<Path>, base_offset: i64) -> io::Result<(Self, bool)> {
        let file = File::open(Self::path(dir, base_offset, LOG))?;
        let length = file.metadata()?.len();
        let mut segment = Self::by_indexes(dir, base_offset, length)?;
        let mut whole = segment.take_in(&file, length)?;
        if !whole && segment.indexed > 0 {
            // The indexes may be to blame.
            segment = Self::blank(dir, base_offset)?;
            whole = segment.take_in(&file, length)?;
        }
        segment.seal();
        Ok((segment, whole))
    }

    /// Opens a segment that nothing is known of: every batch is checked, and the file is cut at the first that isn't
    /// whole. Returns how many bytes were cut.
    ///
    /// # Errors
    /// When it can't be read or cut.
    pub fn recover(dir: &Arc<Path>, base_offset: i64) -> io::Result<(Self, u64)> {
        let mut segment = Self::blank(dir, base_offset)?;
        let file = OpenOptions::new().read(true).write(true).open(segment.log_path())?;
        let whole = recovery::scan(&file, base_offset, |header| segment.note(header))?;
        let length = file.metadata()?.len();
        if whole < length {
            file.set_len(whole)?;
        }
        segment.seal();
        Ok((segment, length - whole))
    }

    /// Offset of the first batch.
    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// The offset after the last record's.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Bytes of batches.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The largest timestamp (ms) of a record; -1 if none has one.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// When (ms) the newest record was written: by its timestamp, or by the file's if it has none.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn newest_ms(&self) -> io::Result<i64> {
        if self.max_timestamp >= 0 {
            return Ok(self.max_timestamp);
        }
        let modified = fs::metadata(self.log_path())?.modified()?;
        Ok(modified.duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_millis() as i64))
    }

    /// Opens the segment for appends.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn activate(&mut self) -> io::Result<()> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(self.log_path())?;
        self.file = Some(Arc::new(file));
        Ok(())
    }

    /// Nothing is appended any more, for now.
    pub fn seal(&mut self) {
        self.file = None;
        if let Err(error) = self.save_indexes() {
            // They stay in memory, and are rebuilt by the next start.
            tracing::debug!(segment = %self.log_path().display(), %error, "can't write the indexes");
        }
    }

    /// Appends a batch: one write.
    ///
    /// # Errors
    /// When it can't be written; nothing of it stays then.
    pub fn append(&mut self, header: &Header, records: &[u8]) -> io::Result<()> {
        self.mend()?;
        let file = self.file()?;
        if let Err(error) = write_all(&*file, [header.bytes(), records]) {
            self.torn = file.set_len(self.size).is_err();
            return Err(error);
        }
        self.note(header);
        Ok(())
    }

    /// Cuts what is left of a batch that couldn't be written.
    ///
    /// # Errors
    /// When the file can't be cut.
    pub fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file()?.set_len(self.size)?;
            self.torn = false;
        }
        Ok(())
    }

    /// The batch that holds `offset`, which must be one of this segment's: its position and its header.
    ///
    /// # Errors
    /// When it can't be read or isn't there.
    pub fn find(&self, offset: i64) -> io::Result<(u64, Header)> {
        let file = self.file()?;
        for position in [self.position_before(offset), 0] {
            for batch in Walk::new(&file, position, self.size) {
                let (position, header) = batch?;
                if header.base_offset() > offset {
                    break;
                }
                if header.next_offset() > offset {
                    return Ok((position, header));
                }
            }
            // An index that leads astray costs the way from the start.
        }
        Err(io::Error::new(ErrorKind::InvalidData, format!("{} has no offset {offset}", self.log_path().display())))
    }

    /// The position of a batch that isn't after the one that holds `offset`.
    pub fn position_before(&self, offset: i64) -> u64 {
        // An index that can't be read costs the way from the start.
        let entry = self.offsets.floor(offset - self.base_offset).unwrap_or_default();
        entry.map_or(0, |entry| u64::from(entry.value))
    }

    /// An offset before which no record has this timestamp or a later one.
    pub fn offset_before(&self, timestamp: i64) -> i64 {
        let entry = self.times.floor(timestamp.saturating_sub(1)).unwrap_or_default();
        self.base_offset + entry.map_or(0, |entry| i64::from(entry.value))
    }

    /// The file of batches.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn file(&self) -> io::Result<Arc<File>> {
        match &self.file {
            Some(file) => Ok(Arc::clone(file)),
            None => File::open(self.log_path()).map(Arc::new),
        }
    }

    /// Writes what of the indexes is only in memory.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn save_indexes(&mut self) -> io::Result<()> {
        self.offsets.save()?;
        self.times.save()
    }

    /// Removes the files.
    ///
    /// # Errors
    /// When they can't be removed.
    pub fn remove(&self) -> io::Result<()> {
        super::files::remove(&self.log_path())?;
        self.offsets.remove()?;
        self.times.remove()
    }

    /// A segment without batches and without index entries, whatever its indexes hold.
    fn blank(dir: &Arc<Path>, base_offset: i64) -> io::Result<Self> {
        let offsets = Index::create(Self::path(dir, base_offset, OFFSET_INDEX), Kind::Offset)?;
        let times = Index::create(Self::path(dir, base_offset, TIME_INDEX), Kind::Time)?;
        Ok(Self::with_indexes(dir, base_offset, offsets, times))
    }

    /// A segment as far as its indexes go; a blank one if they aren't plausible for a file of `length` bytes.
    fn by_indexes(dir: &Arc<Path>, base_offset: i64, length: u64) -> io::Result<Self> {
        let offsets = Index::open(Self::path(dir, base_offset, OFFSET_INDEX), Kind::Offset)?;
        let times = Index::open(Self::path(dir, base_offset, TIME_INDEX), Kind::Time)?;
        // Both have an entry for the same batches, none of them for the first one.
        let (place, time) = match (offsets.last(), times.last()) {
            (None, None) => return Ok(Self::with_indexes(dir, base_offset, offsets, times)),
            (Some(place), Some(time))
                if offsets.len() == times.len()
                    && place.key == i64::from(time.value)
                    && place.key > 0
                    && (1..length).contains(&u64::from(place.value)) =>
            {
                (place, time)
            }
            _ => return Self::blank(dir, base_offset),
        };
        let mut segment = Self::with_indexes(dir, base_offset, offsets, times);
        segment.next_offset = base_offset + place.key;
        segment.size = u64::from(place.value);
        segment.indexed = segment.size;
        segment.max_timestamp = time.key;
        Ok(segment)
    }

    fn with_indexes(dir: &Arc<Path>, base_offset: i64, offsets: Index, times: Index) -> Self {
        Self {
            dir: Arc::clone(dir),
            base_offset,
            next_offset: base_offset,
            size: 0,
            max_timestamp: -1,
            offsets,
            times,
            indexed: 0,
            file: None,
            torn: false,
        }
    }

    /// Takes in the batches that follow, up to `length`; false if that isn't where they end.
    fn take_in(&mut self, file: &File, length: u64) -> io::Result<bool> {
        for batch in Walk::new(file, self.size, length) {
            let (_, header) = batch?;
            if header.base_offset() != self.next_offset {
                return Ok(false);
            }
            self.note(&header);
        }
        Ok(self.size == length)
    }

    /// Takes note of the batch that comes next.
    fn note(&mut self, header: &Header) {
        if self.size - self.indexed >= INDEX_INTERVAL
            && let Ok(position) = u32::try_from(self.size)
            && let Ok(relative_offset) = u32::try_from(self.next_offset - self.base_offset)
        {
            self.offsets.push(i64::from(relative_offset), position);
            self.times.push(self.max_timestamp, relative_offset);
            self.indexed = self.size;
        }
        self.size += header.size() as u64;
        self.next_offset = header.next_offset();
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp());
    }

    fn log_path(&self) -> PathBuf {
        Self::path(&self.dir, self.base_offset, LOG)
    }
}

/// Writes both parts: with one call, unless the system takes less.
fn write_all(mut file: impl Write, parts: [&[u8]; 2]) -> io::Result<()> {
    let mut parts = parts.map(IoSlice::new);
    let mut parts = &mut parts[..];
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match file.write_vectored(parts) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests/segment.rs"]
mod tests;
