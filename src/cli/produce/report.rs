//! What `kboard produce` says while it sends and at its end: progress, failures and the summary, on stderr.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::kafka::bulk::{Failure, Outcomes, Tally};

/// How often the progress moves and failures are told, those of the same reason together.
const TICK: Duration = Duration::from_millis(200);

/// Shows progress (when stderr is a terminal and `visible`) and tells failures until `done`.
/// `unit` is what a record is numbered by: `line` or `record`.
pub async fn watch(
    outcomes: Arc<Outcomes>,
    mut failures: mpsc::UnboundedReceiver<Failure>,
    progress: Progress,
    done: CancellationToken,
) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = done.cancelled() => break,
            _ = ticks.tick() => {}
        }
        progress.tell(&mut failures);
        progress.show(outcomes.counts());
    }
    progress.tell(&mut failures);
    progress.bar.finish_and_clear();
}

/// The line that moves, and the failures above it.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    unit: &'static str,
}

impl Progress {
    /// A line for `total` records, when that is known.
    pub fn new(visible: bool, total: Option<u64>, unit: &'static str) -> Self {
        let (bar, template) = match total {
            _ if !visible => (ProgressBar::hidden(), "{msg}"),
            Some(total) => (ProgressBar::new(total), "{bar:30} {percent:>3}%  {msg}  {eta} left"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
        };
        // The templates are constants; a wrong one would fall back to indicatif's own.
        let bar =
            bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, started: Instant::now(), unit }
    }

    fn show(&self, (sent, failed): (u64, u64)) {
        let rate = sent as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        let failed = if failed == 0 { String::new() } else { format!("  {} failed", HumanCount(failed)) };
        self.bar.set_message(format!("{} records  {}/s{failed}", HumanCount(sent), HumanCount(rate as u64)));
        self.bar.set_position(sent);
    }

    fn tell(&self, failures: &mut mpsc::UnboundedReceiver<Failure>) {
        let mut by_reason: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        while let Ok(failure) = failures.try_recv() {
            by_reason.entry(failure.reason).or_default().push(failure.index);
        }
        for (reason, mut indices) in by_reason {
            let unit = if indices.len() == 1 { self.unit.to_owned() } else { format!("{}s", self.unit) };
            self.bar.suspend(|| eprintln!("{unit} {}: {reason}", ranges(&mut indices)));
        }
    }
}

/// `1-3, 7, 9-12`.
fn ranges(indices: &mut [u64]) -> String {
    indices.sort_unstable();
    let runs = indices.chunk_by(|a, b| a + 1 == *b);
    let text = runs.map(|run| match run {
        [only] => only.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    text.collect::<Vec<_>>().join(", ")
}

/// How it went.
#[derive(Debug, Serialize)]
pub struct Summary {
    topic: String,
    records: u64,
    failed: u64,
    bytes: u64,
    seconds: f64,
    records_per_second: f64,
    megabytes_per_second: f64,
    latency_ms: Latency,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

impl Summary {
    /// The summary of `tally` after `elapsed`.
    pub fn new(topic: &str, tally: &Tally, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64().max(0.000_001);
        let millis = |micros: u64| micros as f64 / 1_000.0;
        let quantile = |quantile| millis(tally.latency.value_at_quantile(quantile));
        // Where one record went is worth knowing; where the last of many went is not.
        let place = tally.recent.back().filter(|_| tally.sent == 1);
        Self {
            topic: topic.to_owned(),
            records: tally.sent,
            failed: tally.failed,
            bytes: tally.bytes,
            seconds,
            records_per_second: tally.sent as f64 / seconds,
            megabytes_per_second: tally.bytes as f64 / 1e6 / seconds,
            latency_ms: Latency {
                p50: quantile(0.5),
                p90: quantile(0.9),
                p99: quantile(0.99),
                max: millis(tally.latency.max()),
            },
            partition: place.map(|place| place.partition),
            offset: place.and_then(|place| place.offset),
        }
    }

    /// For people, in a line or two.
    pub fn text(&self) -> String {
        let Latency { p50, p90, p99, max } = self.latency_ms;
        let failed = if self.failed == 0 { String::new() } else { format!(", {} failed", HumanCount(self.failed)) };
        let sent = match (self.partition, self.offset) {
            (Some(partition), Some(offset)) => {
                return format!("1 record to {}[{partition}] at offset {offset} in {p50:.1} ms{failed}", self.topic);
            }
            _ => format!("{} records to {}{failed}", HumanCount(self.records), self.topic),
        };
        if self.records == 0 {
            return sent;
        }
        format!(
            "{sent}: {:.1} MB in {:.2} s, {} records/s, {:.1} MB/s\n\
             latency p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, max {max:.1} ms",
            self.bytes as f64 / 1e6,
            self.seconds,
            HumanCount(self.records_per_second as u64),
            self.megabytes_per_second,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn failures_are_told_as_ranges() {
        assert_eq!(ranges(&mut [9, 1, 3, 2, 7, 10]), "1-3, 7, 9-10");
        assert_eq!(ranges(&mut [5]), "5");
    }
}
