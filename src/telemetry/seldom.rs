//! Warnings and errors that every request would repeat.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One line in this time tells as much as a thousand.
const USUALLY: Duration = Duration::from_secs(5);

/// Warns at most once in a while, and then says how often it did not.
pub struct Seldom {
    interval: Duration,
    state: Mutex<State>,
}

struct State {
    last: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    #[expect(clippy::new_without_default, reason = "made for statics, which need a const")]
    /// Once in five seconds.
    pub const fn new() -> Self {
        Self::every(USUALLY)
    }

    /// Once in `interval`.
    pub const fn every(interval: Duration) -> Self {
        Self { interval, state: Mutex::new(State { last: None, unsaid: 0 }) }
    }

    /// Warns of `what`, and why, unless it has just warned.
    pub fn warn(&self, what: &str, error: &impl Display) {
        if let Some(unsaid) = self.turn(Instant::now()) {
            tracing::warn!(%error, unsaid, "{what}");
        }
    }

    /// Tells of an error as [`warn`](Self::warn) does of what is less.
    pub fn error(&self, what: &str, error: &impl Display) {
        if let Some(unsaid) = self.turn(Instant::now()) {
            tracing::error!(%error, unsaid, "{what}");
        }
    }

    /// How many were left unsaid, when it is time for a line.
    fn turn(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < self.interval) {
            state.unsaid += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_then_one_in_five_seconds_with_the_number_of_the_others() {
        let (seldom, start) = (Seldom::new(), Instant::now());
        let after = |millis| seldom.turn(start + Duration::from_millis(millis));
        assert_eq!([0, 1, 4_999, 5_000, 5_001, 10_000].map(after), [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
