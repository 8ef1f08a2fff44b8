//! A steady rate.

use std::time::Duration;

use tokio::time::Instant;

/// Spaces records evenly: each has its due time, and what is late is made up for, up to a point.
pub struct Pace {
    interval: Duration,
    due: Instant,
}

/// After a longer delay than this the pace starts anew, rather than in a burst.
const CATCH_UP: Duration = Duration::from_secs(1);

impl Pace {
    /// `rate` records a second, the first at once.
    pub fn new(rate: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / rate), due: Instant::now() }
    }

    /// Waits until the next record is due.
    pub async fn tick(&mut self) {
        let now = Instant::now();
        if self.due > now {
            tokio::time::sleep_until(self.due).await;
        } else if now - self.due > CATCH_UP {
            self.due = now;
        }
        self.due += self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pace_is_even_and_does_not_drift() {
        let start = Instant::now();
        let mut pace = Pace::new(2_000.0);
        for _ in 0..=4_000 {
            pace.tick().await;
        }
        let elapsed = start.elapsed();
        assert!(elapsed >= Duration::from_secs(2) && elapsed < Duration::from_millis(2_010), "{elapsed:?}");
    }
}
