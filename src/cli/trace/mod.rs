//! `kboard trace`: every record of one correlation, or of one trace, across the topics, in the order of their times.

mod search;
mod show;
mod wanted;

use jiff::Timestamp;

use super::output::{self, Format};
use super::{Status, shutdown};
use crate::config::Settings;
use crate::kafka::Cluster;
use crate::time;
use search::Search;
use wanted::Wanted;

/// What `--since` takes for all that is kept.
const EARLIEST: &str = "earliest";

/// Find every record of one correlation or trace, across the topics, and print its timeline.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard trace 0198f2c1-7d1e-7c55-9b3a-5f0d6c1e2a3b               an order's id, or the X-Correlation-ID of a request
  kboard trace 4bf92f3577b34da6a3ce929d0e0e4736                   a trace id, as a log line or a tracing backend has it
  kboard trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
  kboard trace order-4711 --since 24h --topic orders.v1 --topic payments.v1
  kboard trace order-4711 --output json | jq -r '.records[].event_type'

A record belongs to it when its headers say so (x-correlation-id or correlation-id; traceparent or x-trace-id), or its
value is JSON that does (correlationId, traceId, also in metadata): that works on any Kafka. Logs are read from --since
on, by the time of their records, at the speed of the log; no group is joined and nothing is committed.
The exit code is 0 when something was found and all could be read, 1 otherwise.")]
pub struct Args {
    /// The correlation id, the trace id (32 hexadecimal digits), or a traceparent.
    #[arg(value_name = "ID", value_parser = Wanted::parse)]
    id: Wanted,
    /// From which time on to look: 15m, 2h, 2026-01-31T12:00:00Z, or earliest for everything that is kept.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = since)]
    since: Since,
    /// Only this topic; repeatable. All but Kafka's own when none is named.
    #[arg(long = "topic", short, value_name = "NAME")]
    topics: Vec<String>,
    /// How to print it.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// From when on records are looked at; everything when `None`.
#[derive(Clone, Copy, Debug)]
struct Since(Option<Timestamp>);

fn since(text: &str) -> Result<Since, String> {
    if text == EARLIEST {
        return Ok(Since(None));
    }
    time::parse(text).map(|time| Since(Some(time)))
}

/// Looks, and prints what there is.
pub async fn run(args: &Args, settings: &Settings) -> anyhow::Result<Status> {
    let stop = shutdown::on_signal()?;
    let cluster = Cluster::new(settings.kafka.clone());
    let searched = async {
        let search = Search::start(&cluster, &args.topics, args.since.0).await?;
        search.run(&args.id).await
    };
    let Some(report) = stop.run_until_cancelled(searched).await else { return Ok(Status::Interrupted) };
    let report = report?;
    for problem in &report.problems {
        eprintln!("not read to its end: {problem}");
    }
    if report.records.is_empty() {
        eprintln!("{}", show::nothing(&report));
    }
    if !(report.records.is_empty() && args.output == Format::Table) {
        output::print(args.output, &report, show::timeline)?;
    }
    let is_found = !report.records.is_empty() && report.problems.is_empty();
    Ok(if is_found { Status::Success } else { Status::Partial })
}
