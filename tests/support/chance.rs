//! Chance that can be repeated: a fault test prints its seed, and takes it from `KBOARD_TEST_SEED`.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A test's random numbers.
#[derive(Debug)]
pub struct Chance(StdRng);

impl Chance {
    /// From the environment's seed, or from a new one.
    pub fn new() -> Self {
        let seed =
            std::env::var("KBOARD_TEST_SEED").ok().map(|seed| seed.parse().expect("KBOARD_TEST_SEED is a number"));
        let seed: u64 = seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
        eprintln!("to repeat this timing: KBOARD_TEST_SEED={seed}");
        Self(StdRng::seed_from_u64(seed))
    }

    /// A number.
    pub fn number(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// Waits for some time, this many milliseconds: the one wait of a test that is not for a condition, because a fault
    /// comes when it comes.
    pub async fn moment(&mut self, milliseconds: Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.number(milliseconds))).await;
    }
}

/// How often a fault is repeated: `KBOARD_TEST_ROUNDS`, or what the test does in a minute.
pub fn rounds(usually: usize) -> usize {
    std::env::var("KBOARD_TEST_ROUNDS")
        .map_or(usually, |rounds| rounds.parse().expect("KBOARD_TEST_ROUNDS is a number"))
}
