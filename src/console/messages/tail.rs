//! A topic as it grows. What comes faster than anyone reads is counted instead of sent: what was sent and what was skipped
//! are together all that matched.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::browse::{Entry, Part};
use super::cut::Cut;
use super::extent::Extent;
use super::query::{Query, ViewKind};
use super::search::Tally;
use super::sift::Sieve;
use super::stream::{Client, Found, Gone, Progress};
use crate::kafka::fetch::{Chunk, Range, Scan, ScanOptions};
use crate::kafka::{Cluster, KafkaError};

/// How often rows are sent.
const TICK: Duration = Duration::from_millis(100);
/// Rows of a tick; more at once nobody sees.
const ROWS: usize = 20;
/// How often a client hears of a topic that is quiet.
const QUIET: u32 = 10;
/// Bytes of records that may be read ahead.
const MEMORY: usize = 8 * 1024 * 1024;

/// Follows a topic.
pub struct Tail {
    scan: Scan,
    parts: Vec<Part>,
    at: Vec<i64>,
    sieve: Sieve<Found>,
    /// How many of a tick's matches are sent; all of them to a program.
    most: usize,
    waiting: VecDeque<Entry<Found>>,
    tally: Tally,
    skipped: u64,
}

impl Tail {
    /// Follows `extent` from `from` on.
    pub fn start(cluster: &Cluster, extent: &Extent, from: &Cut, sieve: Sieve<Found>, query: &Query) -> Self {
        let parts = extent.parts.clone();
        let at: Vec<i64> = parts.iter().enumerate().map(|(place, part)| from.at(place, part.start, part.end)).collect();
        let range = |(part, from): (&Part, &i64)| Range {
            topic: Arc::clone(&extent.topic),
            partition: part.partition,
            from: *from,
            to: None,
        };
        let ranges = parts.iter().zip(&at).map(range).collect();
        let scan = Scan::start(cluster, ranges, &ScanOptions { isolation: query.isolation(), memory: MEMORY });
        let most = if query.view == ViewKind::Rows { ROWS } else { usize::MAX };
        Self { scan, parts, at, sieve, most, waiting: VecDeque::new(), tally: Tally::default(), skipped: 0 }
    }

    /// Sends until the client goes away.
    pub async fn run(mut self, client: Client) -> Result<(), Gone> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut told, mut quiet) = (0, 0);
        loop {
            tokio::select! {
                () = client.away() => return Err(Gone),
                _ = ticks.tick() => {
                    quiet += 1;
                    if self.tally.scanned > told || quiet >= QUIET {
                        (told, quiet) = (self.tally.scanned, 0);
                        self.flush(&client).await?;
                    }
                }
                chunk = self.scan.next() => match chunk {
                    Some(chunk) => self.take(chunk, &client).await?,
                    // Every partition has failed.
                    None => {
                        self.flush(&client).await?;
                        return Ok(());
                    }
                },
            }
        }
    }

    async fn take(&mut self, chunk: Result<Chunk, KafkaError>, client: &Client) -> Result<(), Gone> {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                self.tally.away.push(error.to_string());
                return Ok(());
            }
        };
        let (range, next) = (chunk.range, chunk.next);
        self.tally.bytes += chunk.bytes;
        let mut sifted = self.sieve.sift(self.parts[range].partition, chunk, usize::MAX).await;
        self.tally.add(&mut sifted);
        self.tally.found += sifted.entries.len() as u64;
        self.at[range] = next;
        for entry in sifted.entries {
            self.waiting.push_back(entry);
            if self.most == usize::MAX {
                // A program gets everything, as fast as it takes it.
                self.send(client).await?;
            } else if self.waiting.len() > self.most {
                self.waiting.pop_front();
                self.skipped += 1;
            }
        }
        Ok(())
    }

    /// Sends what waits, and how far it is: nothing waits when the client hears of a place.
    async fn flush(&mut self, client: &Client) -> Result<(), Gone> {
        self.send(client).await?;
        let progress = client.follow(&self.tally, "after", &Cut(self.at.clone()));
        client.tell(&Progress { skipped: self.skipped, ..progress }).await
    }

    async fn send(&mut self, client: &Client) -> Result<(), Gone> {
        while let Some(entry) = self.waiting.pop_front() {
            client.send(&entry).await?;
        }
        Ok(())
    }
}
