//! What each message of a load run carries: which run and message it is, and when it was sent.
//!
//! The text survives every server unescaped, wherever the server puts it, so one search finds it in any stream.

use std::sync::LazyLock;
use std::time::Instant;

use memchr::memmem::Finder;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Microseconds since this program started: one clock for senders and viewers.
pub fn now_us() -> u64 {
    u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// One run's messages, told apart from what other runs left on the board.
#[derive(Clone)]
pub struct Run {
    marker: String,
}

impl Run {
    /// A run that no other run's messages can be taken for.
    pub fn new() -> Self {
        Self { marker: format!("run{:016x}-", rand::random::<u64>()) }
    }

    /// The text of message `number`, stamped with the time of now, about 100 characters as people write them.
    pub fn content(&self, number: u64) -> String {
        format!("{}{number}-{}- The quick brown fox jumps over the lazy dog again.", self.marker, now_us())
    }

    /// What finds this run's stamps.
    pub fn finder(&self) -> Finder<'static> {
        Finder::new(&self.marker).into_owned()
    }
}

/// The number and the time sent that follow a marker.
pub fn parse(after_marker: &[u8]) -> Option<(u64, u64)> {
    let mut parts = after_marker.splitn(3, |&byte| byte == b'-');
    let number = digits(parts.next()?)?;
    let sent = digits(parts.next()?)?;
    parts.next().map(|_| (number, sent))
}

fn digits(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
