//! `kboard replay`: rebuilds projections from the log, beside the live state, and puts them in its place in one step. With
//! `--dlq`, sends dead letters back ([`dlq`]).

mod dlq;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use krafka::admin::TopicPartition as AdminPartition;
use serde::Serialize;

use super::output::{self, Format};
use super::{Status, shutdown, start};
use crate::apps::{self, GroupSpec, Prefix, Services};
use crate::config::Settings;
use crate::kafka::Cluster;
use crate::kafka::admin::groups;
use crate::kafka::log::{self, PartitionLog};
use crate::kafka::replay::{Part, Progress, Range, Report};
use crate::time;

/// Records a second that a dry run assumes: the least that `benches/board drain` is to show of one process.
const ASSUMED_RATE: f64 = 100_000.0;
/// Where a rebuild may begin: what is for dead letters goes with none of these (with `requires`, clap would let it pass, since
/// each of them rules out `--dlq`).
const REBUILD: [&str; 3] = ["from_earliest", "from_time", "from_offset"];
/// How often the progress bar looks.
const TICK: Duration = Duration::from_millis(100);

/// Rebuild projections from the log, or send dead letters back.
#[derive(Debug, clap::Args)]
#[command(
    group(clap::ArgGroup::new("from").required(true).args(["from_earliest", "from_time", "from_offset", "dlq"])),
    after_help = "Examples:
  kboard replay --from-earliest                          every projection of every app
  kboard replay --group message-board --from-earliest --dry-run
  kboard replay --group message-board --from-time 2h
  kboard replay --group message-board --from-offset 0=1200 --from-offset 1=900
  kboard replay --from-earliest --online                 while consumers run: they wait for the end
  kboard replay --dlq orders.dlq.v1 --dry-run            how many letters would go back where, by error
  kboard replay --dlq orders.dlq.v1 --where '$header.x-dlq-group == \"payment-service\"'
  kboard replay --dlq orders.dlq.v1 --where '$.payload.total < 100' --limit 10
  kboard replay --dlq orders.dlq.v1 --where /timeout/ --output json

The state is built beside the live one and put in its place in one atomic step: readers never see half of it, viewers
get the new window. Interrupted, it leaves the live state as it was, and may be run again.

A letter that is sent back goes to the partition it came from, for the group that gave it up, and is marked in the
dead-letter topic: no later run, and no console, sends it again. --where is the console's search: a text in any case
or a /pattern/ in key, value and headers, or an expression over $ (the value as JSON), $key, $header.NAME, $offset, …
with == != < <= > >= contains =~ exists && || !. Letters that could not go back, or of which --where can't tell, make
the exit code 1; it is 130 when Ctrl-C came before the end."
)]
pub struct Args {
    /// The group whose projection to rebuild; repeatable. All of them when none is named.
    #[arg(long = "group", short, value_name = "NAME")]
    groups: Vec<String>,
    /// From the oldest record that is kept.
    #[arg(long)]
    from_earliest: bool,
    /// From the first record at or after a time: 2h, 2026-01-31T12:00:00Z, unix milliseconds.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    from_time: Option<jiff::Timestamp>,
    /// From an offset of a partition; repeatable. Partitions not named are read from their start.
    #[arg(long, value_name = "PARTITION=OFFSET", value_parser = partition_offset)]
    from_offset: Vec<(i32, i64)>,
    /// Up to a time instead of the end; what was written later is read by the consumers afterwards.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<jiff::Timestamp>,
    /// Run although consumers of the group do: they are held off the state until the new one is in its place.
    #[arg(long)]
    online: bool,
    /// Send the letters of this dead-letter topic back to where they came from, instead of rebuilding anything.
    #[arg(long, value_name = "TOPIC", conflicts_with_all = ["groups", "until", "online"])]
    dlq: Option<String>,
    /// Only letters that match, in the console's search language.
    #[arg(long = "where", value_name = "EXPR", conflicts_with_all = REBUILD)]
    where_: Option<String>,
    /// Only the first N letters that match and wait, partition by partition from the oldest.
    #[arg(long, value_name = "N", conflicts_with_all = REBUILD)]
    limit: Option<usize>,
    /// Say how many records it would read and about how long it would take, or which letters it would send back, and change
    /// nothing.
    #[arg(long)]
    dry_run: bool,
    /// How to print the result.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// What was done, or would be.
#[derive(Serialize)]
struct Outcome {
    group: String,
    records: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
}

fn partition_offset(text: &str) -> Result<(i32, i64), String> {
    let parsed =
        text.split_once('=').and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
    parsed
        .filter(|(partition, offset)| *partition >= 0 && *offset >= 0)
        .ok_or_else(|| "expected PARTITION=OFFSET, such as 0=1200".to_owned())
}

/// Replays.
pub async fn run(args: &Args, settings: &Settings) -> anyhow::Result<Status> {
    if let Some(topic) = &args.dlq {
        return dlq::run(topic, args, settings).await;
    }
    let stop = shutdown::on_signal()?;
    let prefix = Prefix(settings.topic_prefix.clone());
    let groups = chosen(&args.groups, &prefix)?;
    let mut outcomes = Vec::with_capacity(groups.len());
    if args.dry_run {
        let cluster = Cluster::new(settings.kafka.clone());
        for group in groups {
            outcomes.push(estimate(args, group, &cluster, &prefix).await?);
        }
        output::print(args.output, &outcomes, |outcomes| table(outcomes))?;
        return Ok(Status::Success);
    }
    let services = start::services(settings, &apps::all(), Arc::default(), stop).await?;
    for group in &groups {
        refuse_if_active(args, group, &services).await?;
    }
    for group in groups {
        outcomes.push(replay(args, group, &services).await?);
    }
    output::print(args.output, &outcomes, |outcomes| table(outcomes))?;
    start::stop(&services).await;
    Ok(Status::Success)
}

async fn estimate(args: &Args, group: &GroupSpec, cluster: &Cluster, prefix: &Prefix) -> anyhow::Result<Outcome> {
    let records = range(args, group, cluster, prefix).await?.len();
    let estimated_seconds = Some(records as f64 / ASSUMED_RATE);
    Ok(Outcome { group: prefix.apply(group.name), records, estimated_seconds, report: None })
}

fn chosen(names: &[String], prefix: &Prefix) -> anyhow::Result<Vec<&'static GroupSpec>> {
    if names.is_empty() {
        return Ok(apps::groups().collect());
    }
    let known = || apps::groups().map(|group| prefix.apply(group.name)).collect::<Vec<_>>().join(", ");
    let find = |name: &String| {
        apps::group(name, prefix).with_context(|| format!("no app owns a group {name:?}; there are: {}", known()))
    };
    names.iter().map(find).collect()
}

async fn refuse_if_active(args: &Args, group: &GroupSpec, services: &Services) -> anyhow::Result<()> {
    if args.online {
        return Ok(());
    }
    let name = services.prefix.apply(group.name);
    let members = groups::members(&services.cluster, &name).await?;
    if !members.is_empty() {
        let count = members.len();
        bail!(
            "group {name} has {count} running member{}: {}\nstop them, or pass --online to hold them off until the new state is in its place",
            if count == 1 { "" } else { "s" },
            members.join(", "),
        );
    }
    Ok(())
}

async fn replay(args: &Args, group: &'static GroupSpec, services: &Services) -> anyhow::Result<Outcome> {
    let name = services.prefix.apply(group.name);
    let range = range(args, group, &services.cluster, &services.prefix).await?;
    let records = range.len();
    let progress = Progress { cancelled: services.shutdown.child_token(), ..Progress::default() };
    let bar = tokio::spawn(show(name.clone(), records, progress.clone()));
    let report = (group.rebuild)(services.clone(), range, progress).await;
    bar.abort();
    let report = report.with_context(|| format!("replay of {name}"))?;
    // With members, the group's own commits follow; without, the tools would still show the offsets of before.
    if groups::members(&services.cluster, &name).await?.is_empty() {
        groups::move_to(&services.cluster, &name, report.stands.clone()).await?;
    }
    Ok(Outcome { group: name, records, estimated_seconds: None, report: Some(report) })
}

async fn range(args: &Args, group: &GroupSpec, cluster: &Cluster, prefix: &Prefix) -> anyhow::Result<Range> {
    let seen = groups::offsets(cluster, &prefix.apply(group.name)).await?;
    let mut parts = Vec::new();
    for topic in group.topics.iter().chain(group.emits.iter().filter(|topic| !group.topics.contains(topic))) {
        let logs = log::open(cluster, &prefix.apply(topic)).await?;
        if let Some((partition, _)) =
            args.from_offset.iter().find(|(partition, _)| !logs.iter().any(|log| log.partition() == *partition))
        {
            bail!("--from-offset {partition}=…: the topic has partitions 0 to {}", logs.len().saturating_sub(1));
        }
        parts.extend(try_join_all(logs.into_iter().map(|log| part(args, log, &seen))).await?);
    }
    let range = Range { parts };
    // From the start it may be empty: the board is. What was asked for in particular must be there.
    if range.is_empty() && (!args.from_earliest || args.until.is_some()) {
        bail!("there is no record in that range: the state would be empty afterwards");
    }
    Ok(range)
}

async fn part(args: &Args, log: PartitionLog, seen: &HashMap<AdminPartition, i64>) -> anyhow::Result<Part> {
    let start = log.start().await?;
    let end = match args.until {
        Some(time) => log.at(time.as_millisecond()).await?,
        None => log.end().await?,
    };
    let named = args.from_offset.iter().find(|(partition, _)| *partition == log.partition());
    let from = match (args.from_time, named) {
        (Some(time), _) => log.at(time.as_millisecond()).await?,
        (None, Some((partition, offset))) if !(start..=end).contains(offset) => {
            bail!("--from-offset {partition}={offset}: the partition has the offsets {start} to {end}");
        }
        (None, Some((_, offset))) => *offset,
        (None, None) => start,
    };
    let seen = seen.get(&AdminPartition::new(log.topic(), log.partition())).copied().unwrap_or(0);
    let to = end.max(start);
    Ok(Part { from: from.clamp(start, to), to, seen, log })
}

/// Draws the progress on a terminal; elsewhere indicatif draws nothing.
async fn show(group: String, records: u64, progress: Progress) {
    let bar = ProgressBar::new(records).with_message(group);
    if let Ok(style) =
        ProgressStyle::with_template("{msg} [{bar:40}] {human_pos}/{human_len} records, {per_sec}, {eta} left")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    let mut tick = tokio::time::interval(TICK);
    while !progress.swapping.load(Ordering::Relaxed) {
        tick.tick().await;
        bar.set_position(progress.passed.load(Ordering::Relaxed));
    }
    bar.finish_and_clear();
}

fn table(outcomes: &[Outcome]) -> String {
    let lines = outcomes.iter().map(|outcome| match (&outcome.report, outcome.estimated_seconds) {
        (Some(report), _) => format!(
            "{}: {} applied, {} skipped, {:.1} s ({:.0} records/s)",
            outcome.group,
            output::counted(report.applied, "message"),
            output::counted(report.poison, "dead letter"),
            report.seconds,
            outcome.records as f64 / report.seconds.max(0.001),
        ),
        (None, seconds) => format!(
            "{}: {} to read, about {:.0} s; nothing was changed",
            outcome.group,
            output::counted(outcome.records, "record"),
            seconds.unwrap_or_default().ceil(),
        ),
    });
    lines.collect::<Vec<_>>().join("\n")
}
