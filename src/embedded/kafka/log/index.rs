//! A sparse index of a segment: a file of entries of a fixed size, sorted by key, all numbers big-endian.
//!
//! The newest entries are kept in memory until there is a block of them, and a file is open only while it is used: a
//! broker has thousands of partitions, and after a crash indexes are rebuilt anyway.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::files;

/// Entries kept in memory.
const BLOCK: usize = 128;
/// Entries of a file that are read at once.
const READ: u64 = 512;

/// Which index of a segment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Where the batch with an offset is: four bytes of offset, relative to the segment's, and four of position.
    Offset,
    /// Up to which offset no record has a timestamp beyond some: eight bytes of timestamp (ms), four of offset relative
    /// to the segment's.
    Time,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// By what it is found.
    pub key: i64,
    /// What is found.
    pub value: u32,
}

/// An index.
pub struct Index {
    path: PathBuf,
    kind: Kind,
    /// Entries in the file.
    written: u64,
    /// Entries that follow them.
    pending: Vec<Entry>,
    last: Option<Entry>,
}

impl Kind {
    /// Bytes of an entry.
    const fn size(self) -> usize {
        match self {
            Self::Offset => 8,
            Self::Time => 12,
        }
    }

    fn encode(self, entry: Entry, bytes: &mut Vec<u8>) {
        match self {
            Self::Offset => bytes.extend_from_slice(&(entry.key as u32).to_be_bytes()),
            Self::Time => bytes.extend_from_slice(&entry.key.to_be_bytes()),
        }
        bytes.extend_from_slice(&entry.value.to_be_bytes());
    }

    /// Reads an entry of just this size.
    fn decode(self, bytes: &[u8]) -> Entry {
        let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        let (key, value) = bytes.split_at(self.size() - size_of::<u32>());
        Entry { key: number(key) as i64, value: number(value) as u32 }
    }
}

impl Index {
    /// An empty index; what the file held goes.
    ///
    /// # Errors
    /// When the file can't be removed.
    pub fn create(path: PathBuf, kind: Kind) -> io::Result<Self> {
        files::remove(&path)?;
        Ok(Self::empty(path, kind))
    }

    /// The index that the file holds; an empty one when it is missing or no such file.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn open(path: PathBuf, kind: Kind) -> io::Result<Self> {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::empty(path, kind)),
            Err(error) => return Err(error),
        };
        let (size, length) = (kind.size() as u64, file.metadata()?.len());
        if length % size != 0 {
            return Self::create(path, kind);
        }
        let mut index = Self { written: length / size, ..Self::empty(path, kind) };
        index.last = index.written.checked_sub(1).map(|last| index.entry(&file, last)).transpose()?;
        Ok(index)
    }

    /// How many entries it has.
    pub fn len(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// The entry with the largest key.
    pub fn last(&self) -> Option<Entry> {
        self.last
    }

    /// Adds an entry; its key must not be smaller than the last one's.
    pub fn push(&mut self, key: i64, value: u32) {
        let entry = Entry { key, value };
        self.pending.push(entry);
        self.last = Some(entry);
        if self.pending.len() >= BLOCK
            && let Err(error) = self.save()
        {
            // It is complete in memory; the next entry tries again.
            tracing::debug!(path = %self.path.display(), %error, "can't write an index");
        }
    }

    /// Writes what isn't in the file yet.
    ///
    /// # Errors
    /// When it can't be written; nothing is lost then.
    pub fn save(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.pending.len() * self.kind.size());
        self.pending.iter().for_each(|entry| self.kind.encode(*entry, &mut bytes));
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        if let Err(error) = file.write_all(&bytes) {
            // A part of an entry must not stay.
            file.set_len(self.written * self.kind.size() as u64)?;
            return Err(error);
        }
        self.written += self.pending.len() as u64;
        self.pending = Vec::new();
        Ok(())
    }

    /// The last entry whose key is `key` or smaller.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn floor(&self, key: i64) -> io::Result<Option<Entry>> {
        let among = |entries: &[Entry]| {
            let after = entries.partition_point(|entry| entry.key <= key);
            after.checked_sub(1).map(|place| entries[place])
        };
        if let Some(entry) = among(&self.pending) {
            return Ok(Some(entry));
        }
        if self.written == 0 {
            return Ok(None);
        }
        let file = File::open(&self.path)?;
        // The entry sought is not before `low`, and before `high`.
        let (mut low, mut high) = (0, self.written);
        while high - low > READ {
            let middle = low + (high - low) / 2;
            if self.entry(&file, middle)?.key <= key { low = middle } else { high = middle }
        }
        let size = self.kind.size();
        let mut bytes = vec![0; (high - low) as usize * size];
        file.read_exact_at(&mut bytes, low * size as u64)?;
        let entries: Vec<_> = bytes.chunks_exact(size).map(|bytes| self.kind.decode(bytes)).collect();
        Ok(among(&entries))
    }

    /// Removes the file.
    ///
    /// # Errors
    /// When it can't be removed.
    pub fn remove(&self) -> io::Result<()> {
        files::remove(&self.path)
    }

    fn empty(path: PathBuf, kind: Kind) -> Self {
        Self { path, kind, written: 0, pending: Vec::new(), last: None }
    }

    fn entry(&self, file: &File, place: u64) -> io::Result<Entry> {
        let mut bytes = [0; Kind::Time.size()];
        let bytes = &mut bytes[..self.kind.size()];
        file.read_exact_at(bytes, place * self.kind.size() as u64)?;
        Ok(self.kind.decode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn filled(path: PathBuf, kind: Kind, count: u32) -> Index {
        let mut index = Index::create(path, kind).unwrap();
        (1..=count).for_each(|place| index.push(i64::from(place) * 10, place));
        index
    }

    #[test]
    fn it_is_the_same_after_it_was_saved() {
        for kind in [Kind::Offset, Kind::Time] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("index");
            filled(path.clone(), kind, 1_500).save().unwrap();
            let index = Index::open(path, kind).unwrap();
            assert_eq!((index.len(), index.last()), (1_500, Some(Entry { key: 15_000, value: 1_500 })));
            for (key, value) in
                [(9, None), (10, Some(1)), (5_119, Some(511)), (5_120, Some(512)), (20_000, Some(1_500))]
            {
                assert_eq!(index.floor(key).unwrap().map(|entry| entry.value), value, "{key}");
            }
        }
    }

    #[test]
    fn a_torn_or_missing_file_is_an_empty_index() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        assert_eq!(Index::open(path.clone(), Kind::Time).unwrap().len(), 0);
        fs::write(&path, [0; 13]).unwrap();
        let index = Index::open(path.clone(), Kind::Time).unwrap();
        assert_eq!((index.len(), index.floor(5).unwrap(), path.exists()), (0, None, false));
    }

    #[test]
    fn entries_that_cannot_be_written_stay_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing").join("index");
        let mut index = Index { path: path.clone(), ..filled(dir.path().join("index"), Kind::Offset, 100) };
        (101..=300).for_each(|place| index.push(i64::from(place) * 10, place));
        assert_eq!((index.written, index.len(), index.floor(1_505).unwrap().unwrap().value), (0, 300, 150));
        fs::create_dir(dir.path().join("missing")).unwrap();
        index.push(3_010, 301);
        assert_eq!((index.written, Index::open(path, Kind::Offset).unwrap().len()), (301, 301));
    }

    proptest! {
        #[test]
        fn it_finds_what_a_search_of_all_finds(
            steps in prop::collection::vec(0..3_i64, 0..2_000), keys in prop::collection::vec(-5..4_000_i64, 1..20),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut index = Index::create(dir.path().join("index"), Kind::Time).unwrap();
            let mut entries = Vec::new();
            for (place, step) in steps.iter().enumerate() {
                let key = entries.last().map_or(-1, |entry: &Entry| entry.key) + step;
                index.push(key, place as u32);
                entries.push(Entry { key, value: place as u32 });
            }
            for key in keys {
                let expected = entries.iter().rev().find(|entry| entry.key <= key).copied();
                prop_assert_eq!(index.floor(key).unwrap(), expected);
            }
        }
    }
}
