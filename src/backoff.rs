//! How long to wait before trying again: doubling, with a cap and jitter, so that many waiters don't come at once.

use std::time::Duration;

use rand::RngExt;

/// Exponential backoff with jitter.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts at `base` and doubles up to `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// The wait after one more failure: ±20% around the doubled wait before.
    pub fn after_failure(&mut self) -> Duration {
        let doubled = self.base.saturating_mul(1_u32 << self.failures.min(16));
        self.failures += 1;
        doubled.min(self.cap).mul_f64(rand::rng().random_range(0.8..1.2))
    }

    /// Forgets the failures.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Whether the last attempt failed.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let waits: Vec<_> = (0..20).map(|_| backoff.after_failure()).collect();
        for (wait, middle) in waits.iter().zip([100, 200, 400, 800].into_iter().chain(std::iter::repeat(1_000))) {
            let middle = Duration::from_millis(middle);
            assert!(*wait >= middle.mul_f64(0.8) && *wait <= middle.mul_f64(1.2), "{wait:?} around {middle:?}");
        }
        backoff.reset();
        assert!(!backoff.is_failing());
    }
}
