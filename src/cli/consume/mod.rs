//! `kboard consume`: an app's consumer group, or any topic's records printed.

mod format;
mod group;
mod print;

use anyhow::bail;
use krafka::Kafka;
use krafka::consumer::IsolationLevel;
use regex::Regex;

use self::format::Format;
use super::{Status, shutdown};
use crate::apps::{self, Prefix};
use crate::config::Settings;
use crate::kafka::reader::{From, Reader};
use crate::kafka::{Cluster, KafkaError, lookup};
use crate::time;

/// Run an app's consumer group, or print the records of topics.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard consume --group message-board                        the board's projection; metrics on 127.0.0.1:9091
  kboard consume --topic orders.created                       new records, as JSON lines
  kboard consume --topic orders.created --until-end           all there are, then end
  kboard consume --topic-pattern 'orders\\..*' --from 15m      the last quarter of an hour and on
  kboard consume --topic users --from -10 --until-end         the last 10 of every partition
  kboard consume --topic logs --until-end --format value > app.log
  kboard consume --topic users --format '%p:%o %k = %s\\n'
  kboard consume --topic orders.created --group audit         shares the work, goes on where it left off

In a format string: %t topic, %p partition, %o offset, %T timestamp (ms), %k key, %K its length,
%s value, %S its length (-1 for null), %h headers, %% a %; \\n \\r \\t \\0 \\\\ \\xHH.
In JSON, text is a string, other bytes are {\"base64\": …}, and null is not empty.
With --group, what was printed is committed after it was printed: a crash can print records again,
never skip one. Ctrl-C before --until-end or --count is reached exits with 130.")]
pub struct Args {
    /// The consumer group. One that an app owns runs that app; with --topic, a member that prints. Without a group
    /// nothing is committed and nobody else is disturbed.
    #[arg(long, short, value_name = "NAME")]
    group: Option<String>,
    /// A topic to print; repeatable.
    #[arg(long = "topic", short, value_name = "NAME")]
    topics: Vec<String>,
    /// Print the topics whose whole name matches, of those that exist at the start.
    #[arg(long, value_name = "REGEX")]
    topic_pattern: Option<Regex>,
    /// Only this partition; repeatable.
    #[arg(long = "partition", short, value_name = "N", conflicts_with = "group",
          value_parser = clap::value_parser!(i32).range(0..))]
    partitions: Vec<i32>,
    /// Where to begin: earliest, latest, committed, an offset (500), the last N of every partition (-10), or a time
    /// (15m, 2026-01-31T12:00:00Z, @ and unix milliseconds). [default: latest; earliest with --until-end; committed
    /// with --group, where earliest or latest say what to do in a partition that was never committed]
    #[arg(long, short = 'o', value_name = "WHERE", allow_hyphen_values = true, value_parser = from)]
    from: Option<From>,
    /// Stop at what was the end when it started.
    #[arg(long, short = 'e')]
    until_end: bool,
    /// Stop after N records.
    #[arg(long, short = 'n', visible_short_alias = 'c', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// json, value (the bytes and a newline), or a text with tokens, see below. [default: json]
    #[arg(long, short, value_parser = Format::parse)]
    format: Option<Format>,
    /// Print records of transactions that are open or were aborted, too.
    #[arg(long)]
    uncommitted: bool,
}

/// Reads `--from`.
fn from(text: &str) -> Result<From, String> {
    Ok(match text {
        "earliest" | "beginning" => From::Earliest,
        "latest" | "end" => From::Latest,
        "committed" | "stored" => From::Committed,
        _ => match (text.parse::<i64>(), text.strip_prefix('@')) {
            (Ok(last), _) if last < 0 => From::Last(last.saturating_neg()),
            (Ok(offset), _) => From::Offset(offset),
            (Err(_), millis) => From::Time(time::parse(millis.unwrap_or(text))?.as_millisecond()),
        },
    })
}

/// Runs the group, or prints.
pub async fn run(args: Args, settings: &Settings) -> anyhow::Result<Status> {
    match &args.group {
        Some(name) if args.topics.is_empty() && args.topic_pattern.is_none() => {
            let prefix = Prefix(settings.topic_prefix.clone());
            let Some(group) = apps::group(name, &prefix) else {
                bail!(
                    "no app owns the group {name:?} (there are: {}); to print records as a member of it, name a --topic",
                    apps_groups(settings)
                );
            };
            if let Some(option) = printing_option(&args) {
                bail!("{option} is for printing: name a --topic and another --group, or none");
            }
            group::run(group, settings).await
        }
        Some(name) if apps::group(name, &Prefix(settings.topic_prefix.clone())).is_some() => bail!(
            "the group {name:?} belongs to an app: a member that only prints would take messages from it; \
             print with another --group, or without one"
        ),
        None if args.topics.is_empty() && args.topic_pattern.is_none() => bail!(
            "nothing to consume: name a --topic to print (`kboard topics list` shows what there is), \
             or an app's --group to run it ({})",
            apps_groups(settings)
        ),
        _ => print(args, settings).await,
    }
}

/// The groups that apps own, for people.
fn apps_groups(settings: &Settings) -> String {
    let prefix = Prefix(settings.topic_prefix.clone());
    apps::groups().map(|group| prefix.apply(group.name)).collect::<Vec<_>>().join(", ")
}

/// An option that only means something when records are printed.
fn printing_option(args: &Args) -> Option<&'static str> {
    let given = [
        ("--from", args.from.is_some()),
        ("--until-end", args.until_end),
        ("--count", args.count.is_some()),
        ("--format", args.format.is_some()),
        ("--uncommitted", args.uncommitted),
    ];
    given.into_iter().find_map(|(option, given)| given.then_some(option))
}

async fn print(args: Args, settings: &Settings) -> anyhow::Result<Status> {
    let stop = shutdown::on_signal()?;
    let cluster = Cluster::new(settings.kafka.clone());
    let reader = tokio::select! {
        reader = start(&args, &cluster) => reader?,
        () = stop.cancelled() => return Ok(Status::Interrupted),
    };
    let stopped = stop.clone();
    print::run(reader, args.format.unwrap_or_default(), args.count, args.group.is_some(), stop).await?;
    // Who watches for new records ends it so; who wants all there are did not get them.
    let has_end = args.until_end || args.count.is_some();
    Ok(if has_end && stopped.is_cancelled() { Status::Interrupted } else { Status::Success })
}

async fn start(args: &Args, cluster: &Cluster) -> anyhow::Result<Reader> {
    let isolation = if args.uncommitted { IsolationLevel::ReadUncommitted } else { IsolationLevel::ReadCommitted };
    let kafka = cluster.consuming().await?;
    let partitions = partitions(args, kafka).await?;
    let Some(group) = &args.group else {
        let from = match args.from {
            Some(From::Committed) => bail!("--from committed needs --group: offsets are committed by a group"),
            Some(from) => from,
            None if args.until_end => From::Earliest,
            None => From::Latest,
        };
        return Ok(Reader::alone(kafka, &partitions, from, args.until_end, isolation).await?);
    };
    let from = args.from.unwrap_or(From::Committed);
    if !matches!(from, From::Earliest | From::Latest | From::Committed) {
        bail!(
            "with --group, --from can be earliest, latest or committed; `kboard groups reset` moves a group elsewhere"
        );
    }
    Ok(Reader::in_group(kafka, group, &partitions, from, args.until_end, isolation).await?)
}

/// The topics asked for, each with its partitions asked for.
async fn partitions(args: &Args, kafka: &Kafka) -> anyhow::Result<Vec<(String, Vec<i32>)>> {
    let mut topics = args.topics.clone();
    if let Some(pattern) = &args.topic_pattern {
        topics.extend(lookup::matching(kafka, pattern).await?);
        if topics.is_empty() {
            bail!("no topic matches {pattern}; `kboard topics list` shows what there is");
        }
    }
    topics.sort_unstable();
    topics.dedup();
    let mut found = Vec::with_capacity(topics.len());
    for topic in topics {
        let all = lookup::partitions(kafka, &topic).await?;
        if let Some(&partition) = args.partitions.iter().find(|partition| !all.contains(partition)) {
            return Err(KafkaError::UnknownPartition { topic, partition, count: all.len() }.into());
        }
        let chosen = if args.partitions.is_empty() { all } else { args.partitions.clone() };
        found.push((topic, chosen));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_begin_is_read() {
        assert_eq!(from("earliest"), Ok(From::Earliest));
        assert_eq!(from("committed"), Ok(From::Committed));
        assert_eq!(from("500"), Ok(From::Offset(500)));
        assert_eq!(from("-10"), Ok(From::Last(10)));
        assert_eq!(from("@1700000000000"), Ok(From::Time(1_700_000_000_000)));
        assert_eq!(from("2026-01-31T12:00:00Z"), Ok(From::Time(1_769_860_800_000)));
        assert!(matches!(from("15m"), Ok(From::Time(_))));
        assert!(from("yesterday-ish").is_err());
    }
}
