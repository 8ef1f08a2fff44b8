//! `kboard replay --dlq`: sends letters of a dead-letter topic back to where they came from, as the console does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Args;
use crate::cli::{Status, output, shutdown};
use crate::config::Settings;
use crate::console::filter::{Filter, Subject};
use crate::kafka::dead_letter::letter::Letter;
use crate::kafka::dead_letter::send_back::{self, Chosen, Origins, Outcome};
use crate::kafka::fetch::Record;
use crate::kafka::{Cluster, lookup};

/// What letters have in common that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Kind {
    /// The topic they go back to.
    origin: Option<String>,
    /// The group that gave them up, and gets them again.
    group: Option<String>,
    /// What they died of, with # for numbers and ids.
    error: String,
}

impl Kind {
    fn of(letter: &Letter) -> Self {
        Self { origin: letter.origin.clone(), group: letter.group.clone(), error: letter.kind() }
    }
}

/// What is remembered of a letter; there may be millions, of a few kinds.
struct Taken {
    kind: Arc<Kind>,
    /// Why it can't go back, whatever topics there are.
    stuck: Option<&'static str>,
}

/// What became of letters, or would.
#[derive(Clone, Debug, Default, Serialize)]
struct Counts {
    letters: u64,
    sent: u64,
    failed: u64,
}

/// Letters of one kind.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    kind: Kind,
    #[serde(flatten)]
    counts: Counts,
}

/// What was done, or would be.
#[derive(Serialize)]
struct Report {
    topic: String,
    dry_run: bool,
    #[serde(flatten)]
    all: Counts,
    /// How many match that were sent back before.
    sent_before: usize,
    /// How many match beyond the limit.
    more: usize,
    /// Of how many --where could not say whether they match.
    undecided: u64,
    kinds: Vec<Row>,
}

/// Letters for which there was no answer, or no way back: how many, by reason, and where the first of them is.
#[derive(Default)]
struct Problems(BTreeMap<String, (u64, i32, i64)>);

impl Problems {
    fn add(&mut self, reason: String, partition: i32, offset: i64) {
        let (count, first_partition, first_offset) = self.0.entry(reason).or_insert((0, partition, offset));
        *count += 1;
        // Letters are read from the newest back.
        (*first_partition, *first_offset) = (*first_partition, *first_offset).min((partition, offset));
    }

    fn count(&self) -> u64 {
        self.0.values().map(|(count, ..)| count).sum()
    }

    fn tell(&self, what: &str) {
        for (reason, (count, partition, offset)) in &self.0 {
            eprintln!("{} {what}, the first at {partition}:{offset}: {reason}", output::counted(*count, "letter"));
        }
    }
}

/// Sends back what is asked for, or tells what that would be.
pub async fn run(topic: &str, args: &Args, settings: &Settings) -> anyhow::Result<Status> {
    let stop = shutdown::on_signal()?;
    let search = args.where_.as_deref().unwrap_or_default();
    let filter = Filter::parse(search, false).with_context(|| format!("--where {search:?}"))?;
    let cluster = Cluster::new(settings.kafka.clone());
    let mut undecided = Problems::default();
    let chosen = choose(&cluster, topic, args, filter.as_ref(), &mut undecided);
    let Some(chosen) = stop.run_until_cancelled(chosen).await else { return Ok(Status::Interrupted) };
    let chosen = chosen?;
    undecided.tell("left where they are, since --where has no answer for them");

    let mut kinds: BTreeMap<Arc<Kind>, Counts> = BTreeMap::new();
    for letter in chosen.letters.values() {
        kinds.entry(Arc::clone(&letter.kind)).or_default().letters += 1;
    }
    let mut refused = Problems::default();
    if args.dry_run {
        let tried = stop.run_until_cancelled(try_out(&cluster, &chosen, &mut kinds, &mut refused)).await;
        let Some(tried) = tried else { return Ok(Status::Interrupted) };
        tried?;
        refused.tell("would not be sent back");
    } else {
        send(&cluster, topic, &chosen, &stop, &mut kinds, &mut refused).await?;
        refused.tell("not sent back");
    }
    let report = Report {
        topic: topic.to_owned(),
        dry_run: args.dry_run,
        all: total(kinds.values()),
        sent_before: chosen.sent_before,
        more: chosen.more,
        undecided: undecided.count(),
        kinds: kinds.into_iter().map(|(kind, counts)| Row { kind: Arc::unwrap_or_clone(kind), counts }).collect(),
    };
    output::print(args.output, &report, table)?;
    let Counts { letters, sent, failed } = report.all;
    Ok(match () {
        () if !args.dry_run && sent + failed < letters => Status::Interrupted,
        () if failed > 0 || report.undecided > 0 => Status::Partial,
        () => Status::Success,
    })
}

async fn choose(
    cluster: &Cluster,
    topic: &str,
    args: &Args,
    filter: Option<&Filter>,
    undecided: &mut Problems,
) -> anyhow::Result<Chosen<Taken>> {
    lookup::partitions(cluster.producing().await?, topic).await?;
    let mut known: BTreeSet<Arc<Kind>> = BTreeSet::new();
    let mut kind_of = |letter: &Letter| {
        let kind = Kind::of(letter);
        known.get(&kind).cloned().unwrap_or_else(|| {
            let kind = Arc::new(kind);
            known.insert(Arc::clone(&kind));
            kind
        })
    };
    let mut take =
        |letter: &Letter| Taken { kind: kind_of(letter), stuck: letter.way_back(letter.value.is_some()).err() };
    let wanted = |letter: &Letter, record: &Record| {
        let Some(filter) = filter else { return Some(take(letter)) };
        match filter.matches(&Subject::new(letter.partition, record)) {
            Ok(matches) => matches.then(|| take(letter)),
            Err(fault) => {
                undecided.add(fault.to_string(), letter.partition, letter.offset);
                None
            }
        }
    };
    Ok(send_back::choose(cluster, topic, args.limit.unwrap_or(usize::MAX), wanted).await?)
}

/// Finds out which letters could not be sent back.
async fn try_out(
    cluster: &Cluster,
    chosen: &Chosen<Taken>,
    kinds: &mut BTreeMap<Arc<Kind>, Counts>,
    refused: &mut Problems,
) -> anyhow::Result<()> {
    let mut origins = Origins::new(cluster);
    for ((partition, offset), Taken { kind, stuck }) in &chosen.letters {
        let reason = match (stuck, &kind.origin) {
            (Some(reason), _) => Some((*reason).to_owned()),
            (None, Some(origin)) => origins.partitions(origin).await?.err(),
            (None, None) => None,
        };
        if let Some(reason) = reason {
            kinds.entry(Arc::clone(kind)).or_default().failed += 1;
            refused.add(reason, *partition, *offset);
        }
    }
    Ok(())
}

async fn send(
    cluster: &Cluster,
    topic: &str,
    chosen: &Chosen<Taken>,
    stop: &CancellationToken,
    kinds: &mut BTreeMap<Arc<Kind>, Counts>,
    refused: &mut Problems,
) -> anyhow::Result<()> {
    let bar = ProgressBar::new(chosen.letters.len() as u64).with_message(topic.to_owned());
    if let Ok(style) =
        ProgressStyle::with_template("{msg} [{bar:40}] {human_pos}/{human_len} letters, {per_sec}, {eta} left")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    let tell = |letters: &[(Letter, Outcome)]| {
        for (letter, outcome) in letters {
            let counts = kinds.entry(Arc::new(Kind::of(letter))).or_default();
            match outcome {
                Ok(_) => counts.sent += 1,
                Err(reason) => {
                    counts.failed += 1;
                    refused.add(reason.clone(), letter.partition, letter.offset);
                }
            }
        }
        bar.inc(letters.len() as u64);
    };
    let sent = send_back::send(cluster, topic, &chosen.places(), stop, tell).await;
    bar.finish_and_clear();
    Ok(sent?)
}

fn total<'a>(all: impl Iterator<Item = &'a Counts>) -> Counts {
    all.fold(Counts::default(), |sum, counts| Counts {
        letters: sum.letters + counts.letters,
        sent: sum.sent + counts.sent,
        failed: sum.failed + counts.failed,
    })
}

fn table(report: &Report) -> String {
    let Report { topic, all, sent_before, more, .. } = report;
    let rows = report.kinds.iter().map(|Row { kind: Kind { origin, group, error }, counts }| {
        let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        let done = if report.dry_run { counts.letters - counts.failed } else { counts.sent };
        [or_unknown(origin), or_unknown(group), done.to_string(), error.clone()]
    });
    let mut lines = Vec::new();
    if !report.kinds.is_empty() {
        lines.push(output::table(["TO", "GROUP", "LETTERS", "ERROR"], &[2], rows) + "\n");
    }
    let done = match report.dry_run {
        true => format!("{} would be sent back", output::counted(all.letters - all.failed, "letter")),
        false => format!("{} sent back", output::counted(all.sent, "letter")),
    };
    let besides = [
        (all.failed as usize, if report.dry_run { "can't be sent" } else { "could not be sent" }),
        (*sent_before, "sent back before"),
        (report.undecided as usize, "undecided"),
        (*more, "more match"),
    ];
    let besides = besides.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
    let nothing = if report.dry_run { "; nothing was changed" } else { "" };
    lines.push(format!("{topic}: {done}{}{nothing}", besides.collect::<String>()));
    lines.join("\n")
}
