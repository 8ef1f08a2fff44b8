//! The end of the append-only file.
//!
//! kevy reads the file up to a command that is not whole, as a process that was killed leaves it, and goes on writing behind
//! that: what it writes then is lost at the next start, and at every one after. So the end is cut off before.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// kevy's name for the file of its only shard.
const FILE: &str = "aof-0.aof";
/// What the file begins with; older ones begin with a command.
const MAGIC: &[u8] = b"KEVYAOF1\n";

/// Cuts off what is behind the last whole command, and says how much that was.
///
/// # Errors
/// The file can't be read or cut.
pub fn cut_torn_end(folder: &Path) -> io::Result<()> {
    let path = folder.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let whole = whole_prefix(&bytes);
    if whole < bytes.len() {
        tracing::warn!(file = %path.display(), bytes = bytes.len() - whole, "cut off the torn end of the Redis's file");
        let file = File::options().write(true).open(&path)?;
        file.set_len(whole as u64)?;
        file.sync_all()?;
    }
    Ok(())
}

/// How many bytes there are up to the end of the last whole command.
fn whole_prefix(bytes: &[u8]) -> usize {
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) {
        return 0;
    }
    let mut end = if bytes.starts_with(MAGIC) { MAGIC.len() } else { 0 };
    while let Ok(Some((_, length))) = kevy_resp::parse_command(&bytes[end..]) {
        end += length;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_cut_off_a_file_its_whole_commands_remain() {
        let commands: [&[u8]; 3] =
            [b"*1\r\n$4\r\nPING\r\n", b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", b"*1\r\n$4\r\nPING\r\n"];
        let bytes = [MAGIC, &commands.concat()].concat();
        let mut ends = vec![0, MAGIC.len()];
        commands.iter().for_each(|command| ends.push(ends[ends.len() - 1] + command.len()));
        for length in 0..=bytes.len() {
            let expected = *ends.iter().rfind(|end| **end <= length).unwrap();
            assert_eq!(whole_prefix(&bytes[..length]), expected, "of {length} bytes");
        }
        assert_eq!(whole_prefix(&[&bytes[..], b"*9\r\n$x"].concat()), bytes.len());
    }
}
