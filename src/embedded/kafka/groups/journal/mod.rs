//! The groups' journal: an append-only file from which groups and offsets are read again after `kill -9`.
//!
//! The file begins with [`MAGIC`]; entries follow ([`entry`]). Each is in the page cache before its change is answered.
//! When the file has grown to several times what it says, it is written anew beside the old one and renamed over it.

mod entry;
mod image;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

pub use entry::{Blob, Entry, GroupRecord, MemberRecord};
pub use image::{Image, Saved, entries};

use crate::embedded::replace::{replace_durably, sync_directory};

/// The first bytes of the file: what it is, and the version of its format.
const MAGIC: &[u8; 8] = b"kbgroup1";
/// The file's name in its folder.
const NAME: &str = "groups.journal";
/// A journal smaller than this (bytes) is not rewritten while it is in use.
const SMALL: u64 = 4 << 20;
/// A journal that has grown to this many times its compact size is mostly garbage.
const GARBAGE_FACTOR: u64 = 4;

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    file: File,
    /// Where the last whole entry ends.
    length: u64,
    /// Behind that, there is the beginning of an entry whose write failed.
    torn: bool,
    /// The length from which it is worth rewriting.
    rewrite_at: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// Opens the journal in `dir`, which is created if need be; cuts off a torn tail, says so in the log, and rewrites
    /// what is left if it isn't compact.
    ///
    /// # Errors
    /// When it can't be read or written, or isn't a journal of this version.
    pub fn open(dir: &Path) -> io::Result<(Self, Image)> {
        fs::create_dir_all(dir)?;
        let path = dir.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (image, end) = read(&bytes)
            .map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, format!("{} {reason}", path.display())))?;
        if end < bytes.len() {
            tracing::warn!(path = %path.display(), bytes = bytes.len() - end, "cut off the torn end of the journal");
        }
        let compact = encode(image.entries())?;
        if compact == bytes {
            let file = OpenOptions::new().write(true).open(&path)?;
            return Ok((Self::with(dir, file, bytes.len() as u64), image));
        }
        match put(dir, &compact) {
            Ok(file) => Ok((Self::with(dir, file, compact.len() as u64), image)),
            // No room for a second file: the first one is as good, only longer.
            Err(error) if end > 0 => {
                tracing::warn!(path = %path.display(), %error, "can't rewrite the journal");
                let file = OpenOptions::new().write(true).open(&path)?;
                file.set_len(end as u64)?;
                Ok((Self::with(dir, file, end as u64), image))
            }
            Err(error) => Err(error),
        }
    }

    fn with(dir: &Path, file: File, length: u64) -> Self {
        let rewrite_at = SMALL.max(length.saturating_mul(GARBAGE_FACTOR));
        Self { dir: dir.to_owned(), file, length, torn: false, rewrite_at, buffer: Vec::new() }
    }

    /// Writes an entry to the page cache.
    ///
    /// # Errors
    /// When it can't be written: then there is nothing of it in the journal.
    pub fn append(&mut self, entry: &Entry) -> io::Result<()> {
        self.mend()?;
        self.buffer.clear();
        entry::encode(entry, &mut self.buffer)?;
        self.torn = true;
        let written = self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.write_all(&self.buffer));
        match written {
            Ok(()) => {
                self.torn = false;
                self.length += self.buffer.len() as u64;
                Ok(())
            }
            Err(error) => {
                // If this fails too, the next append begins with it.
                let _ = self.mend();
                Err(error)
            }
        }
    }

    /// Takes back what a failed write left behind.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Whether rewriting it would make it a lot smaller, or at least can't be said not to.
    pub fn is_mostly_garbage(&self) -> bool {
        self.length >= self.rewrite_at
    }

    /// Puts a journal of just these entries in its place. When that fails, it is logged and the old one goes on.
    pub fn rewrite(&mut self, entries: impl Iterator<Item = Entry>) {
        let replaced = encode(entries).and_then(|bytes| Ok((put(&self.dir, &bytes)?, bytes.len() as u64)));
        match replaced {
            Ok((file, length)) => *self = Self::with(&self.dir, file, length),
            Err(error) => {
                tracing::warn!(dir = %self.dir.display(), %error, "can't rewrite the groups' journal");
                self.rewrite_at = self.length.saturating_mul(2);
            }
        }
    }

    /// Waits until the disk has everything.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> io::Result<()> {
        self.mend()?;
        self.file.sync_data()
    }
}

/// What the bytes of a journal say, and where the last whole entry ends; or why they aren't a journal.
fn read(bytes: &[u8]) -> Result<(Image, usize), String> {
    let mut image = Image::default();
    if bytes.len() < MAGIC.len() {
        return if MAGIC.starts_with(bytes) { Ok((image, 0)) } else { Err("is not a journal of groups".to_owned()) };
    }
    if !bytes.starts_with(MAGIC) {
        return Err("is not a journal of groups, or one of another version".to_owned());
    }
    let mut end = MAGIC.len();
    loop {
        match entry::decode(&bytes[end..]) {
            Ok(Some((entry, length))) => {
                image.apply(entry);
                end += length;
            }
            Ok(None) => return Ok((image, end)),
            Err(error) => return Err(format!("has an entry at {end} that this version doesn't know: {error}")),
        }
    }
}

/// A whole journal of these entries.
fn encode(entries: impl Iterator<Item = Entry>) -> io::Result<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    for entry in entries {
        entry::encode(&entry, &mut bytes)?;
    }
    Ok(bytes)
}

/// Puts a whole new journal in the place of the old one.
fn put(dir: &Path, bytes: &[u8]) -> io::Result<File> {
    let file = replace_durably(&dir.join(NAME), bytes)?;
    // From here on the new file is the journal, whatever the folder's entry has to survive.
    if let Err(error) = sync_directory(dir) {
        tracing::debug!(dir = %dir.display(), %error, "can't sync the journal's folder");
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
