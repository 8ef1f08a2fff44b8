//! `kboard groups delete`.

use crate::cli::confirm::confirm;
use crate::cli::{Status, output};
use crate::kafka::Cluster;
use crate::kafka::admin::groups;

/// Delete groups with their offsets; asks first. Groups with members are refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard groups delete old-analytics
  kboard groups delete test-1 test-2 --yes")]
pub struct Args {
    /// The groups.
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

/// Deletes them.
pub async fn run(args: &Args, cluster: &Cluster) -> anyhow::Result<Status> {
    for group in &super::find(cluster, &args.groups).await? {
        group.may_change().map_err(anyhow::Error::msg)?;
    }
    let count = output::counted(args.groups.len(), "group");
    let question = format!("Delete {count} with what they have committed: {}?", args.groups.join(", "));
    confirm(&question, (args.groups.len() == 1).then(|| args.groups[0].as_str()), args.yes)?;
    for name in &args.groups {
        groups::delete(cluster, name).await?;
        output::line(&format!("{name}: deleted"))?;
    }
    Ok(Status::Success)
}
