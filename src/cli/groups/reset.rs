//! `kboard groups reset`.

use std::collections::HashMap;

use jiff::Timestamp;
use krafka::admin::TopicPartition;

use super::show;
use crate::apps::Prefix;
use crate::cli::{Status, output};
use crate::kafka::Cluster;
use crate::kafka::admin::groups::{self, Group};
use crate::kafka::admin::reset::{self, Selection, Target};
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
    /// To where another group is.
    #[arg(long, value_name = "GROUP")]
    to_group: Option<String>,
}

impl TargetFlags {
    fn target(&self) -> Target {
        match (self.to_time, self.to_offset, self.by, &self.to_group) {
            (Some(time), ..) => Target::Time(time.as_millisecond()),
            (_, Some(offset), ..) => Target::Offset(offset),
            (_, _, Some(records), _) => Target::By(records),
            (.., Some(group)) => Target::Group(group.clone()),
            _ if self.to_earliest => Target::Earliest,
            _ => Target::Latest,
        }
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
    super::tell_problems(group.as_slice());
    let committed = group.as_ref().map(Group::committed).unwrap_or_default();
    let moves = reset::plan(cluster, &args.group, &committed, &args.topic, &args.target.target()).await?;
    output::print(args.output, &moves, |moves| show::moves(moves))?;
    if super::owned_by_app(&args.group, prefix) {
        eprintln!(
            "Note: group {0:?} keeps where it is in Redis beside its state, so this does not make it read anything \
             again. `kboard replay --group {0} --from-earliest --online` does.",
            args.group
        );
    }
    if is_new {
        eprintln!("Note: group {:?} does not exist yet; committing makes it.", args.group);
    }
    let refusal = group.as_ref().map_or(Ok(()), Group::may_change);
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
