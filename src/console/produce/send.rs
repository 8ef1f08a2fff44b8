//! Sending, as a run: with progress, until it is through or stopped.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::console::request::Body;
use crate::console::runs::Run;
use crate::kafka::Cluster;
use crate::kafka::bulk::{BulkOptions, BulkProducer, BulkRecord, Failure, Outcomes};
use crate::kafka::pace::Pace;
use crate::kafka::record_json;

/// How often a run is told how far it is.
const TICK: Duration = Duration::from_millis(100);
/// What is on its way when a run is stopped gets this long.
const LAST_CALL: Duration = Duration::from_secs(3);
/// The longest line that is read: no broker takes a record that large.
const MAX_LINE: usize = 64 * 1024 * 1024;

/// Where records come from.
pub enum Source {
    /// The same record so many times, at this rate.
    Repeated { record: BulkRecord, count: u64, rate: Option<f64> },
    /// The lines of a body, as [`record_json`] reads them; what they say of partition and time counts only if it is to be
    /// kept.
    Lines { body: Body, keep_partitions: bool, keep_timestamps: bool },
}

/// Sends the records of `source` to `topic`.
///
/// # Errors
/// They can't be sent at all, or the source breaks off.
pub async fn send(
    run: Arc<Run>,
    cluster: Cluster,
    topic: String,
    options: BulkOptions,
    source: Source,
) -> Result<(), String> {
    let timeout = options.timeout;
    let started = run.stop.run_until_cancelled(BulkProducer::start(&cluster, &topic, options)).await;
    let Some(started) = started else { return Ok(()) };
    let (mut producer, mut failures) = started.map_err(|error| error.to_string())?;
    let outcomes = Arc::clone(producer.outcomes());
    let work = async {
        let sent = tokio::select! {
            biased;
            () = run.stop.cancelled() => Ok(()),
            () = outcomes.gone().cancelled() => Err(format!("Kafka took no record for {timeout:?}")),
            sent = send_all(&mut producer, source) => sent,
        };
        producer.close(if run.stop.is_cancelled() || sent.is_err() { LAST_CALL } else { timeout }).await;
        sent
    };
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            sent = &mut work => {
                tell(&run, &outcomes, &mut failures);
                return sent;
            }
            _ = ticks.tick() => tell(&run, &outcomes, &mut failures),
        }
    }
}

fn tell(run: &Run, outcomes: &Outcomes, failures: &mut mpsc::UnboundedReceiver<Failure>) {
    let tally = outcomes.tally();
    run.update(|progress| {
        progress.done = tally.sent;
        progress.failed = tally.failed;
        progress.places = tally.recent.into();
        while let Ok(failure) = failures.try_recv() {
            progress.fail(failure.index, failure.reason);
        }
    });
}

async fn send_all(producer: &mut BulkProducer, source: Source) -> Result<(), String> {
    match source {
        Source::Repeated { record, count, rate } => {
            let mut pace = rate.map(Pace::new);
            for index in 1..=count {
                if let Some(pace) = &mut pace {
                    pace.tick().await;
                }
                producer.send(index, record.clone()).await;
            }
        }
        Source::Lines { body, keep_partitions, keep_timestamps } => {
            let mut lines = Lines::new(body);
            while let Some((number, line)) = lines.next().await? {
                match record_json::read(&line) {
                    Ok(mut record) => {
                        record.partition = record.partition.filter(|_| keep_partitions);
                        record.timestamp = record.timestamp.filter(|_| keep_timestamps);
                        producer.send(number, record).await;
                    }
                    Err(reason) => producer.outcomes().reject(number, reason),
                }
            }
        }
    }
    Ok(())
}

/// The lines of a body, with their numbers; empty ones are passed over.
struct Lines {
    body: Body,
    buffer: BytesMut,
    /// What of the buffer has no line break.
    searched: usize,
    number: u64,
    ended: bool,
}

impl Lines {
    fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0, number: 0, ended: false }
    }

    async fn next(&mut self) -> Result<Option<(u64, Bytes)>, String> {
        loop {
            let line = match memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                Some(found) => self.buffer.split_to(self.searched + found + 1).freeze(),
                None if self.ended && self.buffer.is_empty() => return Ok(None),
                None if self.ended => self.buffer.split().freeze(),
                None if self.buffer.len() > MAX_LINE => {
                    return Err(format!("line {} is longer than {} MB", self.number + 1, MAX_LINE / 1024 / 1024));
                }
                None => {
                    self.searched = self.buffer.len();
                    match self.body.next().await {
                        Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                        Some(Err(_)) => return Err("the upload broke off; what came before it was sent".to_owned()),
                        None => self.ended = true,
                    }
                    continue;
                }
            };
            self.searched = 0;
            self.number += 1;
            if !line.trim_ascii().is_empty() {
                return Ok(Some((self.number, line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &'static str, step: usize) -> Vec<(u64, String)> {
        let chunks: Vec<_> = text.as_bytes().chunks(step).map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        let mut lines = Lines::new(Box::pin(futures::stream::iter(chunks)));
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next().await.unwrap() {
            all.push((number, String::from_utf8(line.trim_ascii().to_vec()).unwrap()));
        }
        all
    }

    #[tokio::test]
    async fn lines_keep_their_numbers_however_they_arrive() {
        for step in [1, 2, 5, 100] {
            let expected = [(1, "a"), (3, "b"), (4, "c")].map(|(number, line)| (number, line.to_owned()));
            assert_eq!(lines("a\n\nb\r\nc", step).await, expected, "{step} bytes at a time");
        }
        assert!(lines("\n \n", 1).await.is_empty());
    }
}
