//! `kboard groups reset`.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use jiff::Timestamp;
use krafka::admin::TopicPartition;

use super::show;
use crate::apps::Prefix;
use crate::cli::{Status, output};
use crate::kafka::admin::groups::{self, Group};
use crate::kafka::admin::reset::{Move, Target};
use crate::kafka::admin::topics;
use crate::kafka::{Cluster, admin, lookup};
use crate::time;

/// Set where a group goes on from. Shows the plan; --execute carries it out.
///
/// Offsets outside the log stop at its ends. A group with members is refused: they would go on from where they are
/// and commit over it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard groups reset analytics --to-earliest
  kboard groups reset analytics --to-time '2h ago' --execute
  kboard groups reset analytics --to-offset 1200 --topic orders:0,2 --execute
  kboard groups reset analytics --by -100 --topic orders --topic clicks")]
pub struct Args {
    /// The group.
    #[arg(value_name = "GROUP")]
    group: String,
    #[command(flatten)]
    target: TargetFlags,
    /// Only this topic, or these partitions of it; may be repeated. All that the group has committed when left out.
    #[arg(long, value_name = "TOPIC[:P,P]")]
    topic: Vec<Selection>,
    /// Show the plan and change nothing, which is the default.
    #[arg(long, conflicts_with = "execute")]
    dry_run: bool,
    /// Carry the plan out.
    #[arg(long)]
    execute: bool,
    /// How to print the plan.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: output::Format,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct TargetFlags {
    /// To the first record that is there.
    #[arg(long)]
    to_earliest: bool,
    /// Behind the last record.
    #[arg(long)]
    to_latest: bool,
    #[arg(long, value_name = "TIME", value_parser = time::parse,
        help = format!("To the first record at or after a time: {}", time::FORMS))]
    to_time: Option<Timestamp>,
    /// To this offset.
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// So many records on, or back if negative.
    #[arg(long, value_name = "RECORDS", allow_negative_numbers = true)]
    by: Option<i64>,
}

impl TargetFlags {
    fn target(&self) -> Target {
        match (self.to_time, self.to_offset, self.by) {
            (Some(time), _, _) => Target::Time(time.as_millisecond()),
            (_, Some(offset), _) => Target::Offset(offset),
            (_, _, Some(records)) => Target::By(records),
            _ if self.to_earliest => Target::Earliest,
            _ => Target::Latest,
        }
    }
}

/// A topic, or some partitions of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Selection {
    topic: String,
    partitions: Option<BTreeSet<i32>>,
}

impl std::str::FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (topic, partitions) = match text.split_once(':') {
            None => (text, None),
            Some((topic, numbers)) => {
                let numbers = numbers.split(',').map(|number| number.trim().parse::<u16>().map(i32::from));
                let numbers: Result<_, _> = numbers.collect();
                (topic, Some(numbers.map_err(|_| format!("expected TOPIC or TOPIC:0,2, not {text:?}"))?))
            }
        };
        Ok(Self { topic: admin::topic_name(topic)?, partitions })
    }
}

/// Shows the plan and carries it out.
pub async fn run(args: &Args, cluster: &Cluster, prefix: &Prefix) -> anyhow::Result<Status> {
    let known = groups::list(cluster).await?;
    let is_new = !args.topic.is_empty() && !known.iter().any(|listing| listing.group == args.group);
    let group = match is_new {
        true => None,
        false => groups::describe(cluster, &[super::pick(&known, &args.group)?]).await?.into_iter().next(),
    };
    let moves = plan(cluster, group.as_ref(), args).await?;
    output::print(args.output, &moves, |moves| show::moves(moves))?;
    if super::owned_by_app(&args.group, prefix) {
        eprintln!(
            "Note: group {0:?} keeps where it is in Redis beside its state, so this does not make it read anything \
             again. `kboard replay --group {0}` does.",
            args.group
        );
    }
    if is_new {
        eprintln!("Note: group {:?} does not exist yet; committing makes it.", args.group);
    }
    let refusal = group.as_ref().map_or(Ok(()), super::refuse_members);
    if !args.execute {
        eprintln!("Dry run: nothing was changed. {}", refusal.err().unwrap_or("Add --execute to do it.".to_owned()));
        return Ok(Status::Success);
    }
    refusal.map_err(anyhow::Error::msg)?;
    let due = moves.iter().filter(|step| step.is_due());
    let offsets: HashMap<TopicPartition, i64> =
        due.filter_map(|step| Some((TopicPartition::new(&step.topic, step.partition), step.after?))).collect();
    let stuck = moves.iter().any(|step| step.after.is_none());
    if !offsets.is_empty() {
        let count = output::counted(offsets.len(), "partition");
        groups::move_to(cluster, &args.group, offsets).await?;
        eprintln!("{count} reset");
    } else {
        eprintln!("Nothing to do.");
    }
    Ok(if stuck { Status::Partial } else { Status::Success })
}

async fn plan(cluster: &Cluster, group: Option<&Group>, args: &Args) -> anyhow::Result<Vec<Move>> {
    let committed: HashMap<(&str, i32), i64> = group
        .into_iter()
        .flat_map(|group| &group.positions)
        .filter_map(|position| Some(((position.topic.as_str(), position.partition), position.committed?)))
        .collect();
    let partitions = match args.topic.as_slice() {
        [] => committed.keys().map(|(topic, partition)| TopicPartition::new(*topic, *partition)).collect(),
        selections => selected(cluster, selections).await?,
    };
    if partitions.is_empty() {
        anyhow::bail!("group {:?} has committed nothing; say which topic with --topic", args.group);
    }
    let ranges = reachable(cluster, &partitions).await?;
    let target = args.target.target();
    let times = match target {
        Target::Time(time) => topics::offsets_at(cluster, ranges.keys(), time).await?,
        _ => HashMap::new(),
    };
    let mut moves: Vec<Move> = partitions
        .iter()
        .map(|key| {
            let before = committed.get(&(key.topic.as_str(), key.partition)).copied();
            Move::new(&key.topic, key.partition, target, before, ranges.get(key), times.get(key).copied())
        })
        .collect();
    moves.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    Ok(moves)
}

/// The ranges of those of `partitions` that exist and have a leader.
async fn reachable(
    cluster: &Cluster,
    partitions: &[TopicPartition],
) -> anyhow::Result<HashMap<TopicPartition, Range<i64>>> {
    let layout = topics::layout(cluster, partitions.iter().map(|key| &key.topic)).await?;
    let led: Vec<TopicPartition> =
        layout.values().flat_map(topics::Topic::led).filter(|key| partitions.contains(key)).collect();
    Ok(topics::ranges(cluster, &led).await?)
}

/// The partitions that `--topic` names, each once.
async fn selected(cluster: &Cluster, selections: &[Selection]) -> anyhow::Result<Vec<TopicPartition>> {
    let layout = topics::layout(cluster, selections.iter().map(|selection| &selection.topic)).await?;
    let mut partitions = BTreeSet::new();
    for Selection { topic, partitions: wanted } in selections {
        let Some(found) = layout.get(topic) else {
            return Err(lookup::unknown_topic(topic, &topics::names(cluster, true).await?).into());
        };
        let numbers: BTreeSet<i32> = found.partitions.iter().map(|partition| partition.partition).collect();
        if let Some(number) = wanted.as_ref().and_then(|wanted| wanted.difference(&numbers).next()) {
            anyhow::bail!("topic {topic:?} has no partition {number}; it has {}", numbers.len());
        }
        partitions.extend(wanted.as_ref().unwrap_or(&numbers).iter().map(|number| (topic.clone(), *number)));
    }
    Ok(partitions.into_iter().map(|(topic, number)| TopicPartition::new(topic, number)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_be_narrowed_to_some_partitions() {
        let all = Selection { topic: "orders.v1".to_owned(), partitions: None };
        assert_eq!("orders.v1".parse(), Ok(all.clone()));
        let some = Selection { partitions: Some([0, 2].into()), ..all };
        assert_eq!("orders.v1:2, 0".parse(), Ok(some));
        for text in ["orders:", "orders:x", "orders:-1", ":1", "or ders"] {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
    }
}
