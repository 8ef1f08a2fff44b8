//! A process's clock that jumps, by libfaketime. Only the time of day does: the time that passes goes on as it is, as it
//! does when somebody sets a machine's clock.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use tempfile::NamedTempFile;

use super::{Kboard, services};

/// Milliseconds since the epoch, on this machine's clock.
pub fn now_ms() -> i64 {
    UNIX_EPOCH.elapsed().unwrap().as_millis() as i64
}

/// A clock that a process was given.
#[derive(Debug)]
pub struct Clock {
    offset: NamedTempFile,
}

impl Clock {
    /// Gives `kboard` a clock that is right, from its next start on.
    pub fn of(kboard: &mut Kboard) -> Self {
        let clock = Self { offset: NamedTempFile::new().unwrap() };
        clock.set(0);
        kboard.set("LD_PRELOAD", services::faketime());
        kboard.set("FAKETIME_TIMESTAMP_FILE", clock.offset.path());
        kboard.set("FAKETIME_NO_CACHE", "1");
        kboard.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        clock
    }

    /// Has it so many hours ahead, or behind, from now on.
    pub fn set(&self, hours: i64) {
        // Replaced as a whole: the process reads it all the time.
        let next = self.offset.path().with_extension("next");
        fs::write(&next, format!("{hours:+}h\n")).unwrap();
        fs::rename(next, self.offset.path()).unwrap();
    }

    /// Whether `time` (ms) is about now on a clock that is so many hours ahead.
    pub fn shows(time: i64, hours: i64) -> bool {
        let apart = now_ms() + hours * 3_600_000 - time;
        apart.unsigned_abs() < Duration::from_secs(60).as_millis() as u64
    }
}
