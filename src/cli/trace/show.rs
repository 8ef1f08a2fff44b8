//! A timeline as people read it.

use std::collections::BTreeSet;

use super::EARLIEST;
use super::search::{Found, Report};
use crate::cli::output;
use crate::time;

/// What is shown where something is not known.
const UNKNOWN: &str = "-";
/// The longest key that is shown whole, in characters.
const LONGEST: usize = 40;

/// The table, and a line that sums it up.
pub fn timeline(report: &Report) -> String {
    let row = |found: &Found| {
        let said = |text: &Option<String>| text.as_deref().map_or_else(|| UNKNOWN.to_owned(), plain);
        [
            said(&found.time),
            format!("+{}", length(found.delta_ms)),
            found.topic.to_string(),
            found.partition.to_string(),
            found.offset.to_string(),
            event(found),
            said(&found.key),
            said(&found.said.source),
            said(&found.said.trace_id),
        ]
    };
    let header = ["TIME", "DELTA", "TOPIC", "PARTITION", "OFFSET", "TYPE", "KEY", "SOURCE", "TRACE"];
    let table = output::table(header, &[1, 3, 4], report.records.iter().map(row));
    let topics = report.records.iter().map(|found| &found.topic).collect::<BTreeSet<_>>().len();
    let last = report.records.last().map_or(0, |last| last.delta_ms);
    let more = if report.more > 0 { format!("; {} more are not shown", report.more) } else { String::new() };
    let records = output::counted(report.records.len() as u64, "record");
    let topics = output::counted(topics as u64, "topic");
    format!("{table}\n\n{records} in {topics}, {} from the first to the last{more}", length(last))
}

/// That nothing was found, where, and how to look further.
pub fn nothing(report: &Report) -> String {
    let Report { id, since, topics, scanned, .. } = report;
    let (since, further) = match since {
        Some(since) => (format!(" since {since}"), format!("; --since 24h or --since {EARLIEST} looks further back")),
        None => (String::new(), String::new()),
    };
    let scanned = output::counted(*scanned, "record");
    let topics = output::counted(*topics as u64, "topic");
    format!("no record of {id:?} among {scanned} of {topics}{since}{further}")
}

fn length(ms: i64) -> String {
    if ms < 10_000 { format!("{ms} ms") } else { time::length(ms as f64 / 1_000.0) }
}

/// A text, if it is no longer than a column may be.
fn plain(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What happened, and how often it was tried before.
fn event(found: &Found) -> String {
    let event = found.said.event_type.as_deref().map_or_else(|| UNKNOWN.to_owned(), plain);
    match found.said.retry_count {
        None | Some(0) => event,
        Some(count) => format!("{event}, retry {count}"),
    }
}
