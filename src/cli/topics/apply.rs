//! `kboard topics apply`.

use std::path::PathBuf;

use super::{file, show};
use crate::cli::confirm::confirm;
use crate::cli::{Status, output};
use crate::config::TopicDefaults;
use crate::kafka::admin::plan::{Action, Plan};
use crate::kafka::{Cluster, admin};

/// Make the topics what a YAML file says: shows the plan, asks, and changes only what differs.
///
/// Topics and settings that the file does not name are left as they are. The plan marks a topic with + (created),
/// ~ (changed, from → to), = (as it should be) or ! (impossible). All of it is checked by the brokers before
/// anything is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "The file:
  topics:
    - name: orders.created
      partitions: 12
      replication-factor: 3      # left out: by the cluster's size
      config:
        retention.ms: 604800000
        compression.type: null   # null: the brokers' default

Examples:
  kboard topics apply -f topics.yaml --dry-run
  kboard topics apply -f topics.yaml --yes
  kboard topics export '^orders' | kboard topics apply -f - --yes --kafka other:9092")]
pub struct Args {
    /// The file; - for stdin.
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// Show the plan and have the brokers check it, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
    /// How to print the plan.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: output::Format,
}

/// Shows the plan and carries it out.
pub async fn run(args: &Args, cluster: &Cluster, defaults: &TopicDefaults) -> anyhow::Result<Status> {
    let desired = file::read(&args.file)?;
    let plan = admin::apply::plan(cluster, &desired, defaults).await?;
    output::print(args.output, &plan, show::plan)?;
    check(cluster, &plan, defaults).await?;
    if plan.is_empty() || args.dry_run {
        eprintln!("{}", if plan.is_empty() { "Nothing to do." } else { "Dry run: nothing was changed." });
        return Ok(Status::Success);
    }
    confirm(&question(&plan), None, args.yes)?;
    for (done, step) in plan.steps.iter().enumerate() {
        admin::apply::carry_out(cluster, step, defaults).await.map_err(|error| {
            let all = plan.steps.len();
            anyhow::Error::from(error).context(format!("after {done} of {all} topics (applying again goes on there)"))
        })?;
    }
    eprintln!("{}", summary(&plan, ["created", "changed"]));
    Ok(Status::Success)
}

/// Fails with all that is wrong with `plan`, by Kafka's rules and by the brokers', before anything is changed.
pub async fn check(cluster: &Cluster, plan: &Plan, defaults: &TopicDefaults) -> anyhow::Result<()> {
    let mut wrong: Vec<String> = plan
        .refused()
        .flat_map(|(topic, reasons)| reasons.iter().map(move |reason| format!("topic {topic:?}: {reason}")))
        .collect();
    wrong.extend(admin::apply::objections(cluster, plan, defaults).await?.iter().map(ToString::to_string));
    match wrong.as_slice() {
        [] => Ok(()),
        [one] => anyhow::bail!("{one}"),
        several => anyhow::bail!("nothing was changed, because\n  {}", several.join("\n  ")),
    }
}

fn question(plan: &Plan) -> String {
    format!("{}. Go on?", summary(plan, ["to create", "to change"]))
}

fn summary(plan: &Plan, [created, changed]: [&str; 2]) -> String {
    let count = |is: fn(&Action) -> bool| plan.steps.iter().filter(|step| is(&step.action)).count();
    let new = count(|action| matches!(action, Action::Create { .. }));
    let other = count(|action| matches!(action, Action::Change { .. }));
    let parts = [(new, created), (other, changed)].into_iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, verb)| format!("{} {verb}", output::counted(count, "topic"))).collect::<Vec<_>>().join(", ")
}
