//! Warnings that every request would repeat.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One line in this time tells as much as a thousand.
const EVERY: Duration = Duration::from_secs(5);

/// Warns at most once in five seconds, and then says how often it did not.
pub struct Seldom {
    state: Mutex<State>,
}

struct State {
    last: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    #[expect(clippy::new_without_default, reason = "made for statics, which need a const")]
    /// One that has said nothing yet.
    pub const fn new() -> Self {
        Self { state: Mutex::new(State { last: None, unsaid: 0 }) }
    }

    /// Warns of `what`, and why, unless it has just warned.
    pub fn warn(&self, what: &str, error: &impl Display) {
        if let Some(unsaid) = self.turn(Instant::now()) {
            tracing::warn!(%error, unsaid, "{what}");
        }
    }

    /// How many were left unsaid, when it is time for a line.
    fn turn(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < EVERY) {
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
