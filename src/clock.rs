//! The time that events and records carry.

use std::time::UNIX_EPOCH;

/// Milliseconds since the epoch, now.
pub fn now_ms() -> i64 {
    // The clock of a running machine stands between 1970 and the year 292 million.
    UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_millis() as i64)
}
