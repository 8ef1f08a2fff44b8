//! Files that are replaced as a whole: whatever happens meanwhile, they hold all of the new or all of the old.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a file's name ends with until it is complete.
const INCOMPLETE: &str = ".new";

/// Puts `bytes` in place of what `path` held; the file is in the page cache then.
///
/// # Errors
/// It can't be written; what was there before is still there.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    put(path, bytes, |_| Ok(()))
}

/// Does the same so that the machine may stop at any time as well; but the file's name is safe only after
/// [`sync_directory`].
///
/// # Errors
/// As [`replace`].
pub fn replace_durably(path: &Path, bytes: &[u8]) -> io::Result<File> {
    // The rename must not reach the disk before the bytes do.
    put(path, bytes, File::sync_data)
}

/// Names that were made or changed in a directory outlive a crash of the machine only after this.
///
/// # Errors
/// The disk doesn't say that it has them.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn put(path: &Path, bytes: &[u8], sync: fn(&File) -> io::Result<()>) -> io::Result<File> {
    let mut incomplete = path.as_os_str().to_owned();
    incomplete.push(INCOMPLETE);
    let incomplete = PathBuf::from(incomplete);
    let mut file = File::create(&incomplete)?;
    file.write_all(bytes)?;
    sync(&file)?;
    fs::rename(incomplete, path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_the_new_or_when_that_fails_the_old() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, b"one").unwrap();
        replace_durably(&path, b"two").unwrap();
        sync_directory(dir.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        fs::create_dir(dir.path().join("file.new")).unwrap();
        replace(&path, b"three").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }
}
