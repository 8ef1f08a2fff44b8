//! Small files that are replaced as a whole and carry a checksum.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crc32c::crc32c;

use crate::embedded::replace::{replace, replace_durably, sync_directory};

/// Everything before the offset in this file is on the disk.
pub const RECOVERY_POINT: &str = "recovery-point";
/// Records before the offset in this file were deleted.
pub const START_OFFSET: &str = "start-offset";
/// The state of the idempotent producers.
pub const PRODUCERS: &str = "producers";

/// Puts `bytes` in place of what the file held, `durably` if they must survive the machine as well as the process.
///
/// # Errors
/// When it can't be written; what it held before is still there then.
pub fn write(dir: &Path, name: &str, bytes: &[u8], durably: bool) -> io::Result<()> {
    let (path, bytes) = (dir.join(name), [bytes, &crc32c(bytes).to_be_bytes()].concat());
    if !durably {
        return replace(&path, &bytes).map(drop);
    }
    replace_durably(&path, &bytes)?;
    sync_directory(dir)
}

/// Reads a file; none when it is missing or damaged.
///
/// # Errors
/// When it is there and can't be read.
pub fn read(dir: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = match fs::read(dir.join(name)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some((content, crc)) = bytes.split_last_chunk() else { return Ok(None) };
    if crc32c(content).to_be_bytes() != *crc {
        tracing::warn!(dir = %dir.display(), name, "a damaged file is taken for missing");
        return Ok(None);
    }
    bytes.truncate(bytes.len() - size_of::<u32>());
    Ok(Some(bytes))
}

/// Removes a file, which need not be there.
///
/// # Errors
/// When it is there and can't be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a file that holds an offset.
///
/// # Errors
/// As [`read`].
pub fn read_offset(dir: &Path, name: &str) -> io::Result<Option<i64>> {
    Ok(read(dir, name)?.and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_is_damaged_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!(read(dir, PRODUCERS).unwrap(), None);
        write(dir, PRODUCERS, b"abc", false).unwrap();
        write(dir, START_OFFSET, &7_i64.to_be_bytes(), true).unwrap();
        assert_eq!(read(dir, PRODUCERS).unwrap().unwrap(), b"abc");
        assert_eq!(read_offset(dir, START_OFFSET).unwrap(), Some(7));
        assert_eq!(read_offset(dir, PRODUCERS).unwrap(), None);
        let mut bytes = fs::read(dir.join(PRODUCERS)).unwrap();
        bytes[1] ^= 1;
        fs::write(dir.join(PRODUCERS), &bytes).unwrap();
        assert_eq!(read(dir, PRODUCERS).unwrap(), None);
        fs::write(dir.join(PRODUCERS), b"ab").unwrap();
        assert_eq!(read(dir, PRODUCERS).unwrap(), None);
    }
}
