//! Reads the topics for what belongs to an id.

use std::collections::BTreeMap;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use super::wanted::{Said, Wanted};
use crate::kafka::admin::topics;
use crate::kafka::fetch::{self, At, Chunk, Isolation, Range, Scan, ScanOptions};
use crate::kafka::{Cluster, KafkaError, lookup};
use crate::web::human;

/// Records that are shown at most: beyond, an id is no story any more. All are counted.
const MOST: usize = 10_000;

/// What was found.
#[derive(Serialize)]
pub struct Report {
    /// What was looked for.
    pub id: String,
    /// The time from which on was looked; everything that is kept when there is none.
    pub since: Option<String>,
    /// How many topics were looked at.
    pub topics: usize,
    /// How many records were looked at.
    pub scanned: u64,
    /// The records, in the order of their times.
    pub records: Vec<Found>,
    /// How many belong to it beyond those.
    pub more: u64,
    /// What could not be read, each with its reason.
    pub problems: Vec<String>,
}

/// A record that belongs to it.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Its time; none if it has none.
    pub time: Option<String>,
    /// The same, in milliseconds since the epoch.
    pub timestamp: i64,
    /// Milliseconds after the first record.
    pub delta_ms: i64,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The key.
    pub key: Option<String>,
    /// What it says of itself.
    #[serde(flatten)]
    pub said: Said,
}

/// A search, ready to begin.
pub struct Search {
    scan: Scan,
    ranges: Vec<Range>,
    report: Report,
}

impl Search {
    /// Finds out what of `names`, or of all topics, was written since a time.
    ///
    /// # Errors
    /// When the cluster can't be asked, or a topic does not exist.
    pub async fn start(cluster: &Cluster, names: &[String], since: Option<Timestamp>) -> Result<Self, KafkaError> {
        let known = topics::names(cluster, names.iter().any(|name| name.starts_with("__"))).await?;
        if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
            return Err(lookup::unknown_topic(unknown, &known));
        }
        let chosen = if names.is_empty() { &known[..] } else { names };
        // One that somebody has just deleted is no reason not to look at the others.
        let (layout, refused) = topics::layouts(cluster, chosen).await?;
        let partitions: Vec<(&str, i32)> = (layout.iter())
            .flat_map(|(name, topic)| topic.partitions.iter().map(|partition| (name.as_str(), partition.partition)))
            .collect();
        let from = since.map_or(At::Earliest, |time| At::Time(time.as_millisecond()));
        let (starts, ends) = tokio::join!(
            fetch::offsets(cluster, &partitions, from, Isolation::All),
            fetch::offsets(cluster, &partitions, At::Latest, Isolation::All),
        );
        let shared: BTreeMap<&str, Arc<str>> = layout.keys().map(|name| (name.as_str(), Arc::from(&**name))).collect();
        let (mut ranges, mut problems) = (Vec::new(), refused.values().map(ToString::to_string).collect::<Vec<_>>());
        for ((&(topic, partition), start), end) in partitions.iter().zip(starts).zip(ends) {
            match (start, end) {
                // Nothing was written since.
                (Ok(None), _) | (_, Ok(None)) => {}
                (Ok(Some(start)), Ok(Some(end))) => {
                    let (topic, from, to) = (Arc::clone(&shared[topic]), start.offset, end.offset.max(start.offset));
                    ranges.push(Range { topic, partition, from, to: Some(to) });
                }
                (Err(error), _) | (_, Err(error)) => problems.push(error.to_string()),
            }
        }
        let since = since.map(|time| human::iso(time.as_millisecond()));
        let (id, topics, records) = (String::new(), layout.len(), Vec::new());
        let report = Report { id, since, topics, scanned: 0, records, more: 0, problems };
        let scan = Scan::start(cluster, ranges.clone(), &ScanOptions::default());
        Ok(Self { scan, ranges, report })
    }

    /// Reads all of it, and says what belongs to `wanted`.
    pub async fn run(mut self, wanted: &Wanted) -> anyhow::Result<Report> {
        let length = |range: &Range| range.to.map_or(0, |to| (to - range.from).max(0).unsigned_abs());
        let bar = ProgressBar::new(self.ranges.iter().map(length).sum()).with_message(wanted.id().to_owned());
        if let Ok(style) =
            ProgressStyle::with_template("{msg} [{bar:40}] {human_pos}/{human_len} records, {per_sec}, {eta} left")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        while let Some(chunk) = self.scan.next().await {
            match chunk {
                Ok(chunk) => self.take(wanted, &chunk),
                Err(error) => self.report.problems.push(error.to_string()),
            }
            let passed = self.scan.progress().iter().zip(&self.ranges);
            bar.set_position(passed.map(|(progress, range)| (progress.next - range.from).max(0).unsigned_abs()).sum());
        }
        bar.finish_and_clear();
        Ok(finished(self.report, wanted))
    }

    fn take(&mut self, wanted: &Wanted, chunk: &Chunk) {
        let Range { topic, partition, .. } = &self.ranges[chunk.range];
        let report = &mut self.report;
        report.scanned += chunk.records.len() as u64;
        let unreadable = chunk.unreadable.iter();
        report
            .problems
            .extend(unreadable.map(|part| format!("{topic}[{partition}] at {}: {}", part.base_offset, part.reason)));
        for record in &chunk.records {
            let Some(said) = wanted.find(record) else { continue };
            if report.records.len() >= MOST {
                report.more += 1;
                continue;
            }
            let timestamp = record.timestamp;
            report.records.push(Found {
                time: (timestamp >= 0).then(|| human::iso(timestamp)),
                timestamp,
                delta_ms: 0,
                topic: Arc::clone(topic),
                partition: *partition,
                offset: record.offset,
                key: record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()),
                said,
            });
        }
    }
}

/// The records in the order of their times. A record that is tried again keeps the time of its event: the first comes before
/// the copies. What one partition has besides at one time is in the order of its offsets.
fn finished(mut report: Report, wanted: &Wanted) -> Report {
    wanted.id().clone_into(&mut report.id);
    report.records.sort_by(|a, b| {
        let retry = |found: &Found| found.said.retry_count.unwrap_or(0);
        let place =
            |found: &Found| (found.timestamp, retry(found), Arc::clone(&found.topic), found.partition, found.offset);
        place(a).cmp(&place(b))
    });
    let first = report.records.first().map_or(0, |first| first.timestamp);
    report.records.iter_mut().for_each(|found| found.delta_ms = found.timestamp - first);
    report
}
