//! `kboard groups describe`.

use jiff::Timestamp;

use super::show::{self, Details};
use crate::cli::{Status, output};
use crate::kafka::Cluster;
use crate::kafka::admin::waiting;

/// Describe groups: state, members, and how far each partition has been read.
///
/// LAG counts records; BEHIND is for how long the next one of them has waited.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard groups describe message-board
  kboard groups describe message-board --output json | jq '.[0].partitions[] | select(.lag > 0)'")]
pub struct Args {
    /// The groups.
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// How to print it.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: output::Format,
}

/// Prints the descriptions.
pub async fn run(args: &Args, cluster: &Cluster) -> anyhow::Result<Status> {
    let mut groups = super::find(cluster, &args.groups).await?;
    super::tell_problems(&groups);
    waiting::fill(cluster, &mut groups, Timestamp::now().as_millisecond()).await;
    let details: Vec<Details> = groups.iter().map(Details::from).collect();
    output::print(args.output, &details, |details| {
        details.iter().map(show::details).collect::<Vec<_>>().join("\n\n\n")
    })?;
    Ok(Status::Success)
}
