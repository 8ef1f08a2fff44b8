//! `kboard produce`: records to any topic, from an argument, a file, stdin or an app's generator.

mod report;
mod source;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use krafka::Compression;
use krafka::producer::Acks;
use tokio_util::sync::CancellationToken;

use self::report::{Progress, Summary};
use self::source::{Line, Shape, Source};
use super::output::{self, Format};
use super::{Status, shutdown};
use crate::apps::{self, Prefix};
use crate::config::{Settings, parse_duration};
use crate::kafka::Cluster;
use crate::kafka::bulk::{ACKS, BulkOptions, BulkProducer, COMPRESSIONS};
use crate::kafka::pace::Pace;
use crate::kafka::partition::{PARTITIONERS, Partitioner};

/// What is in flight gets this long after Ctrl-C.
const LAST_CALL: Duration = Duration::from_millis(3_500);
/// After that, the client has counted what is still in flight as failed.
const GRACE: Duration = Duration::from_millis(500);
/// The pace of an app's made-up records when neither `--rate` nor `--count` sets an end to them.
const APP_RATE: f64 = 10.0;

/// Write records to a topic: a value, a file, the lines of stdin, or an app's made-up records.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard produce --topic greetings --key en '{\"text\":\"hello\"}'
  kboard produce --topic logs < app.log
  kboard produce --topic users --key-separator : -Z < users.txt
  kboard produce --topic images --file photo.jpg --header content-type=image/jpeg
  kboard produce --topic load --count 1000000 --compression lz4 'x'
  kboard produce --app board --rate 50
  kboard consume --topic orders --until-end | kboard produce --topic orders-copy --json

Each line of stdin is a record, sent as soon as it is read. A record that fails is reported on
stderr with its line number while the others go on, and the exit code is 1; 130 when Ctrl-C came
before the end. Topics are never created by writing to them: `kboard topics create` does that.")]
pub struct Args {
    /// The value; without it (and without --file or --app), each line of stdin is one.
    #[arg(conflicts_with_all = ["file", "app"])]
    value: Option<String>,
    /// The topic.
    #[arg(long, short, value_name = "NAME", required_unless_present = "app")]
    topic: Option<String>,
    /// Send the whole content of FILE as one value.
    #[arg(long, short, value_name = "FILE", conflicts_with = "app")]
    file: Option<PathBuf>,
    /// The key of every record.
    #[arg(long, short, conflicts_with_all = ["key_separator", "app"])]
    key: Option<String>,
    /// Split each line of stdin at the first TEXT into key and value.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["value", "file", "app"],
          value_parser = clap::builder::NonEmptyStringValueParser::new())]
    key_separator: Option<String>,
    /// A header of every record; repeatable, names too. NAME without = has a null value.
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE", value_parser = header, conflicts_with = "app")]
    headers: Vec<(String, Option<Bytes>)>,
    /// Read each line as a record in JSON, as `kboard consume` prints it: {"key", "value", "headers"}.
    #[arg(long, conflicts_with_all = ["value", "file", "app", "key", "key_separator", "headers", "null_empty"])]
    json: bool,
    /// Send each record to the partition that its line names.
    #[arg(long, requires = "json", conflicts_with = "partition")]
    keep_partitions: bool,
    /// Give each record the time that its line names.
    #[arg(long, requires = "json")]
    keep_timestamps: bool,
    /// Send an empty value as null (a tombstone), and an empty key as no key.
    #[arg(long, short = 'Z', conflicts_with = "app")]
    null_empty: bool,
    /// The partition of every record.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(0..), conflicts_with = "partitioner")]
    partition: Option<i32>,
    /// How records without --partition choose theirs. murmur2 is Java's default: by key, sticky without one; the
    /// others ignore the key.
    #[arg(long, default_value = "murmur2", value_parser = one_of(PARTITIONERS))]
    partitioner: Partitioner,
    /// Replicas that must have a record before it counts: none, the leader, or all in sync.
    #[arg(long, default_value = "all", value_parser = one_of(ACKS))]
    acks: Acks,
    /// Let a retry write a record twice. Implied by --acks 0 and 1, which can't rule it out.
    #[arg(long)]
    no_idempotence: bool,
    /// How batches are compressed.
    #[arg(long, default_value = "none", value_parser = one_of(COMPRESSIONS))]
    compression: Compression,
    /// Records a second, evenly spaced [default: as fast as Kafka takes them].
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Stop after N records; a value or a file is repeated N times [default: 1 of a value, all lines of stdin].
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
    /// How long a record may wait for its acknowledgement, retries included; from 10s.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timeout)]
    timeout: Duration,
    /// Write an app's realistic made-up records to its topic; until Ctrl-C, 10 a second, unless --count or --rate.
    #[arg(long, value_name = "APP", value_parser = PossibleValuesParser::new(apps::REGISTRY.iter().map(|app| app.name)))]
    app: Option<String>,
    /// Make the same content in every run.
    #[arg(long, value_name = "N", requires = "app")]
    seed: Option<u64>,
    /// How to print the summary: for people on stderr, or one document on stdout.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// Takes one of the names of `table`, for what it stands for.
fn one_of<T: Copy + Send + Sync + 'static>(table: &'static [(&'static str, T)]) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(table.iter().map(|(name, _)| *name)).try_map(move |given| {
        let found = table.iter().find(|(name, _)| *name == given);
        found.map(|(_, value)| *value).ok_or("not one of the possible values")
    })
}

fn header(text: &str) -> Result<(String, Option<Bytes>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(Bytes::copy_from_slice(value.as_bytes()))),
        None => (text, None),
    };
    if name.is_empty() { Err("expected NAME=VALUE".to_owned()) } else { Ok((name.to_owned(), value)) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (0.001..=10_000_000.0).contains(rate));
    rate.ok_or_else(|| "expected records a second, from 0.001 to 10000000".to_owned())
}

fn timeout(text: &str) -> Result<Duration, String> {
    // The client wants room for a whole request of 10 s.
    let timeout = parse_duration(text)?;
    if timeout < Duration::from_secs(10) { Err("expected 10s or longer".to_owned()) } else { Ok(timeout) }
}

/// Sends the records and reports on them.
pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<Status> {
    let stop = shutdown::on_signal()?;
    let mut source = source(&args)?;
    let topic = topic(&args, settings)?;
    let cluster = Cluster::new(settings.kafka.clone());
    let started = BulkProducer::start(&cluster, &topic, options(&args));
    let (mut producer, failures) = tokio::select! {
        started = started => started?,
        () = stop.cancelled() => bail!("interrupted before Kafka answered"),
    };

    let outcomes = producer.outcomes().clone();
    let reads_stdin = matches!(source, Source::Lines { .. });
    let limit = args.count.or_else(|| matches!(source, Source::Repeated(_)).then_some(1));
    // Progress would run through what a person types, and one record needs none.
    let visible = !(reads_stdin && std::io::stdin().is_terminal()) && limit != Some(1);
    let progress = Progress::new(visible, limit, if reads_stdin { "line" } else { "record" });
    let done = CancellationToken::new();
    let reporter = tokio::spawn(report::watch(outcomes.clone(), failures, progress, done.clone()));

    let start = Instant::now();
    let gone = outcomes.gone().clone();
    let pace = args.rate.or_else(|| (args.app.is_some() && args.count.is_none()).then_some(APP_RATE)).map(Pace::new);
    let (sent, ended) = tokio::select! {
        biased;
        () = stop.cancelled() => (Ok(()), false),
        () = gone.cancelled() => (Err(anyhow::anyhow!("gave up: Kafka took no record for {:?}", args.timeout)), false),
        sent = send_all(&mut producer, &mut source, limit, pace) => (sent, true),
    };
    let closing = producer.close(if stop.is_cancelled() || sent.is_err() { LAST_CALL } else { args.timeout });
    tokio::pin!(closing);
    tokio::select! {
        () = &mut closing => {}
        // Ctrl-C while the last records are on their way: they get the last call, not the whole timeout.
        () = async { stop.cancelled().await; tokio::time::sleep(LAST_CALL + GRACE).await } => {}
    }
    let tally = outcomes.tally();
    let elapsed = start.elapsed();
    done.cancel();
    reporter.await?;

    let summary = Summary::new(&topic, &tally, elapsed);
    match args.output {
        Format::Table => eprintln!("{}", summary.text()),
        format => output::print(format, &summary, Summary::text)?,
    }
    sent?;
    // An app without a count and a person at a terminal write until they are stopped: for them it is no interruption.
    let endless = limit.is_none() && (!reads_stdin || std::io::stdin().is_terminal());
    Ok(match (tally.failed, ended || endless) {
        (_, false) => {
            eprintln!("interrupted: not everything was sent");
            Status::Interrupted
        }
        (0, true) => Status::Success,
        (_, true) => Status::Partial,
    })
}

async fn send_all(
    producer: &mut BulkProducer,
    source: &mut Source,
    limit: Option<u64>,
    mut pace: Option<Pace>,
) -> anyhow::Result<()> {
    let mut index = 0;
    while limit.is_none_or(|limit| index < limit) {
        let Some(next) = source.next().await? else { break };
        index += 1;
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        match next {
            Ok(record) => producer.send(index, record).await,
            Err(reason) => producer.outcomes().reject(index, reason),
        }
    }
    Ok(())
}

fn options(args: &Args) -> BulkOptions {
    BulkOptions {
        acks: args.acks,
        idempotent: args.acks == Acks::All && !args.no_idempotence,
        compression: args.compression,
        partitioner: args.partitioner,
        partition: args.partition,
        timeout: args.timeout,
    }
}

fn source(args: &Args) -> anyhow::Result<Source> {
    if let Some(app) = args.app.as_deref().and_then(apps::app) {
        return Ok(Source::generated(app.generate, args.seed));
    }
    let shape = Shape {
        key: args.key.clone().map(Bytes::from),
        separator: args.key_separator.clone().map(Bytes::from),
        headers: args.headers.clone(),
        empty_is_null: args.null_empty,
    };
    if args.json {
        let (partitions, timestamps) = (args.keep_partitions, args.keep_timestamps);
        return Ok(Source::stdin(Line::Json { partitions, timestamps }));
    }
    let value = match (&args.value, &args.file) {
        (Some(value), _) => Bytes::from(value.clone()),
        (None, Some(path)) => std::fs::read(path).with_context(|| path.display().to_string())?.into(),
        (None, None) => return Ok(Source::stdin(Line::Value(shape))),
    };
    Ok(Source::Repeated(shape.record(None, value)))
}

/// The topic named, or the app's own.
fn topic(args: &Args, settings: &Settings) -> anyhow::Result<String> {
    match (&args.topic, args.app.as_deref().and_then(apps::app)) {
        (Some(topic), _) => Ok(topic.clone()),
        (None, Some(app)) => {
            let prefix = Prefix(settings.topic_prefix.clone());
            Ok(prefix.apply(&(app.generate)(&mut rand::rng()).topic))
        }
        (None, None) => bail!("name the topic with --topic"),
    }
}
