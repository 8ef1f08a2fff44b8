//! Which of the traces that begin here are recorded.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::Sample;

/// The bits at the end of a trace id that are random, as the standard has it.
const RANDOM_BITS: u32 = 56;

/// Says of each trace that begins here whether it is recorded.
#[derive(Debug)]
pub enum Sampler {
    /// It is if its id ends in less than this: all who ask get the same answer.
    Below(u128),
    /// It is unless there were too many.
    Limited(Limit),
}

impl Sampler {
    /// One that records as many as `sample` asks for.
    pub fn new(sample: Sample) -> Self {
        match sample {
            Sample::Share(share) => Self::Below((share * (1_u64 << RANDOM_BITS) as f64) as u128),
            Sample::PerSecond(rate) => Self::Limited(Limit::new(rate)),
        }
    }

    /// Whether a trace is recorded that begins now.
    pub fn records(&self, trace_id: u128) -> bool {
        match self {
            Self::Below(threshold) => trace_id % (1 << RANDOM_BITS) < *threshold,
            Self::Limited(limit) => limit.lets_through(limit.since.elapsed()),
        }
    }
}

/// Lets so many a second through, a second's number at once after a pause: the generic cell rate algorithm (ITU-T I.371),
/// which needs one number and no lock.
#[derive(Debug)]
pub struct Limit {
    since: Instant,
    /// Nanoseconds from one to the next.
    every: u64,
    /// When the next one would come if they came evenly, in nanoseconds since `since`.
    next: AtomicU64,
}

impl Limit {
    fn new(rate: NonZeroU32) -> Self {
        let every = Duration::from_secs(1).as_nanos() as u64 / u64::from(rate.get());
        Self { since: Instant::now(), every, next: AtomicU64::new(0) }
    }

    /// Whether one that comes so long after the beginning is let through.
    fn lets_through(&self, now: Duration) -> bool {
        let now = now.as_nanos() as u64; // enough for centuries
        let a_second_ahead = now + Duration::from_secs(1).as_nanos() as u64;
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            Some(next.max(now) + self.every).filter(|next| *next <= a_second_ahead)
        });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::TraceContext;
    use super::*;

    fn limit(rate: u32) -> Limit {
        Limit::new(NonZeroU32::new(rate).unwrap())
    }

    #[test]
    fn as_many_traces_are_recorded_as_is_asked_for() {
        let recorded = |share| {
            let sampler = Sampler::new(Sample::Share(share));
            (0..10_000).filter(|_| sampler.records(TraceContext::random().trace_id)).count()
        };
        assert_eq!((recorded(0.0), recorded(1.0)), (0, 10_000));
        assert!((700..=1_300).contains(&recorded(0.1)), "{}", recorded(0.1));
        let (all, none) = (Sampler::new(Sample::Share(1.0)), Sampler::new(Sample::Share(0.0)));
        assert!(all.records(u128::MAX) && !none.records(0));
    }

    #[test]
    fn under_load_so_many_a_second_are_recorded_and_below_it_all() {
        let limit = limit(100);
        // 10,000 a second for ten seconds: a second's number at once, then evenly.
        let through = |from: u64| {
            (0..100_000).filter(|n| limit.lets_through(Duration::from_micros(from * 1_000_000 + n * 100))).count()
        };
        assert_eq!((through(0), through(20)), (1_099, 1_099));
        let calm = (100..200).filter(|second| limit.lets_through(Duration::from_secs(*second)));
        assert_eq!(calm.count(), 100);
    }

    #[test]
    fn threads_share_one_limit() {
        let limit = limit(50);
        let through = || (0..10_000).filter(|_| limit.lets_through(Duration::ZERO)).count();
        let all: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(through)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(all, 50);
    }
}
