//! A data folder belongs to one process at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file that the process holds; it has its number in it.
const FILE: &str = "lock";

/// A folder can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process uses it.
    #[error(
        "the data folder {} is in use by another process{process}; stop that one, or use another folder",
        folder.display()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Which process, if it can be told.
        process: String,
    },
    /// It can't be made or written to.
    #[error("can't use the data folder {}, name another with --data: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A folder that this process alone uses, until this is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes `folder` into use, and makes it if it isn't there.
    ///
    /// # Errors
    /// Another process uses it, or it can't be written to.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Folder { folder: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join(FILE);
        let mut options = File::options();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let process = fs::read_to_string(&path).unwrap_or_default();
                let process = if process.is_empty() { process } else { format!(" ({})", process.trim_end()) };
                return Err(LockError::InUse { folder: folder.to_owned(), process });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let note = file.set_len(0).and_then(|()| writeln!(file, "process {}", std::process::id()));
        note.map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_with_the_process_that_uses_it_and_is_free_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new");
        let lock = Lock::take(&folder).unwrap();
        let refused = Lock::take(&folder).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(lock);
        Lock::take(&folder).unwrap();
    }

    #[test]
    fn what_cannot_be_a_folder_is_told_with_the_remedy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = Lock::take(file.path()).unwrap_err().to_string();
        assert!(refused.contains("name another with --data: "), "{refused}");
    }
}
