//! Where a scan is in one of its ranges.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Range;
use crate::backoff::Backoff;
use crate::kafka::KafkaError;
use crate::kafka::fetch::Isolation;
use crate::kafka::fetch::request::{Piece, Position};

/// How long a range may make no progress: a broker may be started again meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// A range that is read.
#[derive(Debug)]
pub struct Turn {
    range: Range,
    /// The offset to be asked for next.
    next: i64,
    /// Before it, all transactions have ended, as far as the leader has said.
    last_stable: i64,
    /// Whether there were transactions.
    transactional: bool,
    failing_since: Option<Instant>,
    backoff: Backoff,
    /// When it is asked for again.
    due: Instant,
}

/// What an answer means for a range.
#[derive(Debug)]
pub enum Outcome {
    /// Something to decode.
    Found(Piece),
    /// Nothing, or not what is needed: it is asked for again.
    Again,
    /// Nothing more is readable.
    Done,
}

impl Turn {
    pub fn new(range: Range) -> Self {
        Self {
            next: range.from,
            range,
            last_stable: -1,
            transactional: false,
            failing_since: None,
            backoff: Backoff::new(Duration::from_millis(20), Duration::from_secs(1)),
            due: Instant::now(),
        }
    }

    pub fn topic(&self) -> &Arc<str> {
        &self.range.topic
    }

    pub fn partition(&self) -> i32 {
        self.range.partition
    }

    /// The offset to stop before.
    pub fn to(&self) -> i64 {
        self.range.to.unwrap_or(i64::MAX)
    }

    pub fn follows(&self) -> bool {
        self.range.to.is_none()
    }

    pub fn is_done(&self) -> bool {
        self.next >= self.to()
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    pub fn due(&self) -> Instant {
        self.due
    }

    pub fn position(&self) -> Position {
        Position { topic: Arc::clone(&self.range.topic), partition: self.range.partition, offset: self.next }
    }

    /// Goes on at `offset`.
    pub fn advance(&mut self, offset: i64) {
        self.next = self.next.max(offset);
        self.failing_since = None;
        self.backoff.reset();
    }

    /// What to ask the leader for. Which transactions were aborted is told only to those who want to read what is
    /// committed; so who wants all reads that way up to where all have ended, if there are any.
    pub fn asks_for(&self, isolation: Isolation) -> Isolation {
        let wants_aborted = self.transactional && self.next < self.last_stable;
        if wants_aborted { Isolation::Committed } else { isolation }
    }

    /// Judges what the leader answered to `asked` what the scan reads with `isolation`.
    pub fn judge(&mut self, piece: Piece, asked: Isolation, isolation: Isolation) -> Result<Outcome, KafkaError> {
        self.last_stable = piece.last_stable;
        if asked == Isolation::All && crate::kafka::fetch::partition::needs_aborted(&piece) {
            self.transactional = true;
            return Ok(Outcome::Again);
        }
        if !piece.batches.is_empty() {
            return Ok(Outcome::Found(piece));
        }
        if self.follows() {
            self.advance(self.next);
            return Ok(Outcome::Again);
        }
        let open_transactions = piece.last_stable < piece.high_watermark && self.next >= piece.last_stable;
        if isolation == Isolation::Committed && open_transactions {
            return Ok(Outcome::Done);
        }
        if asked == isolation || self.next < self.last_stable {
            self.stall(self.ends_early())?;
        }
        Ok(Outcome::Again)
    }

    /// That the leader has nothing where something should be.
    pub fn ends_early(&self) -> KafkaError {
        let Position { topic, partition, offset } = self.position();
        KafkaError::LogEndsEarly { topic: topic.to_string(), partition, offset }
    }

    /// Waits before it is asked for again, since `error` was in the way.
    ///
    /// # Errors
    /// The error itself when it stays, or has been in the way for too long.
    pub fn stall(&mut self, error: KafkaError) -> Result<(), KafkaError> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if !error.is_retriable() || since.elapsed() > PATIENCE {
            return Err(error);
        }
        tracing::debug!(%error, "a scan tries again");
        self.due = Instant::now() + self.backoff.after_failure();
        Ok(())
    }
}
