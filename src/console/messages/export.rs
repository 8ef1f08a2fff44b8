//! What a view of a topic shows, as a file of any length: each record as `kboard consume` prints it, or as CSV.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::sync::mpsc;
use warp::http::header::{CONTENT_DISPOSITION, HeaderValue};
use warp::reply::Response;

use super::browse::Way;
use super::extent::Extent;
use super::query::{ExportFormat, From, Query};
use super::reader::{Item, Show};
use super::search::Search;
use super::sift::Sieve;
use super::stream::{NDJSON, streamed};
use crate::console::filter::Filter;
use crate::console::refusal::Refusal;
use crate::console::request::Params;
use crate::console::{Console, human};
use crate::kafka::fetch::Record;
use crate::kafka::record_json::{HeadersJson, RecordJson};

/// The type of CSV.
pub const CSV: &str = "text/csv";
/// Pieces that may wait for a slow client before the reading waits for it.
const AHEAD: usize = 4;
/// The first line of CSV. What is null, and what is no text, is told beside it: CSV knows neither.
const HEADER: &[u8] = b"partition,offset,timestamp,key_is,key,value_is,value,headers\r\n";

/// All records of a view, or those that a search finds; in a partition they come in order.
pub async fn export(console: Arc<Console>, params: Params, query: Query) -> Result<Response, Refusal> {
    let topic = params.text("topic").to_owned();
    let filter = Filter::parse(&query.q, query.case).map_err(|error| Refusal::field("q", error.to_string()))?;
    let extent = Extent::of(&console, &topic, &query).await?;
    let way = match query.from {
        // A file goes forward whatever the page's order.
        From::Newest | From::Oldest if query.after.is_none() => Way::After(extent.start()),
        _ => extent.way(&console, &Query { before: None, ..query.clone() }).await?,
    };
    let (media_type, extension) = match query.format {
        ExportFormat::Ndjson => (NDJSON, "ndjson"),
        ExportFormat::Csv => (CSV, "csv"),
    };
    let show = written(&topic, query.format);
    let sieve = Sieve { filter: filter.map(Arc::new), show };
    let search = Search::start(&console.cluster, &extent, &way, sieve, query.isolation(), usize::MAX);
    let (sender, receiver) = mpsc::channel(AHEAD);
    let shutdown = console.shutdown.clone();
    let head = if query.format == ExportFormat::Csv { HEADER } else { b"" };
    tokio::spawn(async move { shutdown.run_until_cancelled(run(search, head, sender)).await });
    let mut response = streamed(media_type, receiver);
    // The names of topics have no character that would have to be escaped.
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{topic}.{extension}\""));
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    Ok(response)
}

async fn run(mut search: Search<Vec<u8>>, head: &'static [u8], client: mpsc::Sender<Result<Bytes, Infallible>>) {
    let mut piece = head.to_vec();
    loop {
        let found = tokio::select! {
            biased;
            () = client.closed() => return,
            found = search.next() => found,
        };
        let Some(found) = found else { break };
        found.into_iter().for_each(|entry| piece.extend_from_slice(&entry.shown));
        if !piece.is_empty() && client.send(Ok(std::mem::take(&mut piece).into())).await.is_err() {
            return;
        }
    }
    if !piece.is_empty() {
        // Who has gone by now has missed nothing but this.
        let _ = client.send(Ok(piece.into())).await;
    }
    let tally = &search.tally;
    if tally.errors > 0 || !tally.away.is_empty() {
        tracing::warn!(errors = tally.errors, examples = ?tally.examples, away = ?tally.away, "an export left something out");
    }
}

/// A record as a line of a file; what can't be read has none.
fn written(topic: &str, format: ExportFormat) -> Show<Vec<u8>> {
    let topic = topic.to_owned();
    Arc::new(move |partition, item| {
        let Item::Record(record) = item else { return (Vec::new(), 0) };
        let line = match format {
            ExportFormat::Ndjson => {
                // Writing to memory never fails, and neither does writing these types.
                let mut line = serde_json::to_vec(&RecordJson::new(&topic, partition, record)).unwrap_or_default();
                line.push(b'\n');
                line
            }
            ExportFormat::Csv => csv(partition, record),
        };
        (line, 0)
    })
}

fn csv(partition: i32, record: &Record) -> Vec<u8> {
    let timestamp = if record.timestamp >= 0 { human::iso(record.timestamp) } else { String::new() };
    let mut line = format!("{partition},{},{timestamp},", record.offset).into_bytes();
    field(record.key.as_deref(), &mut line);
    line.push(b',');
    field(record.value.as_deref(), &mut line);
    line.push(b',');
    // As above.
    let headers = serde_json::to_vec(&HeadersJson::new(&record.headers)).unwrap_or_default();
    quoted(&headers, &mut line);
    line.extend_from_slice(b"\r\n");
    line
}

/// What it is, and then itself.
fn field(bytes: Option<&[u8]>, line: &mut Vec<u8>) {
    match bytes {
        None => line.extend_from_slice(b"null,"),
        Some(bytes) if std::str::from_utf8(bytes).is_ok() => {
            line.extend_from_slice(b"text,");
            quoted(bytes, line);
        }
        Some(bytes) => {
            line.extend_from_slice(b"base64,");
            line.extend_from_slice(STANDARD.encode(bytes).as_bytes());
        }
    }
}

/// As RFC 4180 has it: in quotation marks where there is something to protect, and those doubled.
fn quoted(bytes: &[u8], line: &mut Vec<u8>) {
    if !bytes.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        return line.extend_from_slice(bytes);
    }
    line.push(b'"');
    for byte in bytes {
        line.extend_from_slice(if *byte == b'"' { b"\"\"" } else { std::slice::from_ref(byte) });
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let written = |bytes: Option<&[u8]>| {
            let mut line = Vec::new();
            field(bytes, &mut line);
            String::from_utf8(line).unwrap()
        };
        assert_eq!(written(None), "null,");
        assert_eq!(written(Some(b"")), "text,");
        assert_eq!(written(Some(b"plain; text")), "text,plain; text");
        assert_eq!(written(Some(b"a,\"b\"\r\nc")), "text,\"a,\"\"b\"\"\r\nc\"");
        assert_eq!(written(Some(b"\xff\xfe")), "base64,//4=");
    }
}
