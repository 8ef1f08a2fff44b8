//! When a record is tried again, and how often.

use std::time::Duration;

/// Exponential backoff with a cap and jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The delay after the first failure.
    pub base: Duration,
    /// How many times longer each delay is than the one before.
    pub factor: u32,
    /// The longest delay, before jitter.
    pub cap: Duration,
    /// How far a delay is moved at most, either way, as a part of it.
    pub jitter: f64,
    /// Attempts altogether, the first one included.
    pub attempts: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { base: Duration::from_millis(500), factor: 2, cap: Duration::from_secs(30), jitter: 0.1, attempts: 5 }
    }
}

impl Policy {
    /// The delay after attempt number `failed` (from 1); `chance`, from 0 to 1, says where in the jitter it lies.
    pub fn delay(&self, failed: u32, chance: f64) -> Duration {
        let grown = self.factor.checked_pow(failed.saturating_sub(1)).and_then(|times| self.base.checked_mul(times));
        let delay = grown.map_or(self.cap, |delay| delay.min(self.cap));
        delay.mul_f64(1.0 + self.jitter * (2.0 * chance.clamp(0.0, 1.0) - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let policy = Policy::default();
        let delays: Vec<_> = (1..=8).map(|failed| policy.delay(failed, 0.5).as_millis()).collect();
        assert_eq!(delays, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(policy.delay(1, 0.0).as_millis(), 450);
        assert_eq!(policy.delay(1, 1.0).as_millis(), 550);
    }

    proptest! {
        #[test]
        fn no_delay_leaves_the_jitter_of_the_cap(failed in any::<u32>(), chance in -1.0..2.0_f64) {
            let policy = Policy::default();
            let delay = policy.delay(failed, chance);
            prop_assert!(delay >= policy.base.mul_f64(0.9) && delay <= policy.cap.mul_f64(1.1));
        }
    }
}
