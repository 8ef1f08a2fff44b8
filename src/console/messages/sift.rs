//! What of a chunk of records matches a filter, and what the filter couldn't say of it. Done on a thread of its own: a
//! chunk may take milliseconds.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::browse::Entry;
use super::reader::{Show, entry, gap, sort};
use crate::console::filter::{Filter, Subject};
use crate::kafka::fetch::Chunk;

/// Failures of a search that are kept to be shown; all are counted.
pub const SHOWN_FAILURES: usize = 5;

/// Where a search could not tell whether there is something.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Failure {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Why.
    pub reason: String,
}

/// What came of a chunk.
pub struct Sifted<T> {
    /// What matches, in order.
    pub entries: Vec<Entry<T>>,
    /// How many records were looked at.
    pub records: u64,
    /// How many could not be decided.
    pub failed: u64,
    /// The first of those.
    pub failures: Vec<Failure>,
}

/// What is looked for, and how it is shown. Cheap to clone.
pub struct Sieve<T> {
    /// What must match; everything does without one.
    pub filter: Option<Arc<Filter>>,
    /// What is shown.
    pub show: Show<T>,
}

impl<T> Clone for Sieve<T> {
    fn clone(&self) -> Self {
        Self { filter: self.filter.clone(), show: Arc::clone(&self.show) }
    }
}

impl<T: Send + 'static> Sieve<T> {
    /// Sifts a chunk of `partition`. With a `limit`, only the first so many matches are kept and the rest is not looked
    /// at.
    pub async fn sift(&self, partition: i32, chunk: Chunk, limit: usize) -> Sifted<T> {
        let sieve = self.clone();
        match tokio::task::spawn_blocking(move || sieve.sift_here(partition, &chunk, limit)).await {
            Ok(sifted) => sifted,
            // A panic in there goes on here; the runtime ends only when nobody waits any more.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Sifted { entries: Vec::new(), records: 0, failed: 0, failures: Vec::new() },
            },
        }
    }

    fn sift_here(&self, partition: i32, chunk: &Chunk, limit: usize) -> Sifted<T> {
        let mut sifted = Sifted { entries: Vec::new(), records: 0, failed: 0, failures: Vec::new() };
        for piece in &chunk.unreadable {
            sifted.fail(partition, piece.base_offset, &piece.reason);
            if self.filter.is_none() {
                sifted.entries.push(gap(partition, piece, 0, i64::MAX, &self.show));
            }
        }
        for record in &chunk.records {
            if sifted.entries.len() >= limit {
                break;
            }
            sifted.records += 1;
            let matches = match &self.filter {
                Some(filter) => filter.matches(&Subject::new(partition, record)),
                None => Ok(true),
            };
            match matches {
                Ok(true) => sifted.entries.push(entry(partition, record, &self.show)),
                Ok(false) => {}
                Err(fault) => sifted.fail(partition, record.offset, &fault.to_string()),
            }
        }
        sort(&mut sifted.entries);
        sifted
    }
}

impl<T> Sifted<T> {
    fn fail(&mut self, partition: i32, offset: i64, reason: &str) {
        self.failed += 1;
        if self.failures.len() < SHOWN_FAILURES {
            self.failures.push(Failure { partition, offset, reason: reason.to_owned() });
        }
    }
}
