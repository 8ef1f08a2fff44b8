//! The time of day, as far as it is believed: what is removed because it is old doesn't come back when the clock turns out to
//! have been wrong.

use tokio::time::Instant;

/// How much more (ms) the clock may have moved than time has passed, before it is doubted.
const TOLERANCE_MS: i64 = 60_000;

/// The clock as it was looked at last.
#[derive(Debug)]
pub struct Clock {
    showed_ms: i64,
    at: Instant,
}

impl Clock {
    /// A clock that shows `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        Self { showed_ms: now_ms, at: Instant::now() }
    }

    /// The time (ms) by which things are old, when the clock shows `now_ms`. If it has jumped ahead since it was looked at
    /// last, that is believed only if it is still so at the next look.
    pub fn believed(&mut self, now_ms: i64) -> i64 {
        let passed = i64::try_from(self.at.elapsed().as_millis()).unwrap_or(i64::MAX);
        let expected = self.showed_ms.saturating_add(passed);
        *self = Self::new(now_ms);
        if now_ms > expected.saturating_add(TOLERANCE_MS) {
            tracing::warn!(ahead_ms = now_ms - expected, "the clock jumped; nothing is removed by its new time yet");
            return expected;
        }
        now_ms
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: i64 = 86_400_000;

    #[tokio::test(start_paused = true)]
    async fn a_jump_ahead_is_believed_when_it_lasts() {
        let mut clock = Clock::new(5_000);
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(clock.believed(305_000), 305_000);
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(clock.believed(DAY + 605_000), 605_000, "it has just jumped");
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(clock.believed(DAY + 905_000), DAY + 905_000, "it is still there");
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_back_counts_at_once_and_so_does_the_end_of_a_jump_ahead() {
        let mut clock = Clock::new(2 * DAY);
        assert_eq!(clock.believed(DAY), DAY);
        assert_eq!(clock.believed(3 * DAY), DAY);
        assert_eq!(clock.believed(2 * DAY), 2 * DAY);
        // A clock that runs a little fast is no jump.
        assert_eq!(clock.believed(2 * DAY + TOLERANCE_MS), 2 * DAY + TOLERANCE_MS);
    }
}
