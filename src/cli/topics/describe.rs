//! `kboard topics describe`.

use super::show::{self, Details, Summary};
use crate::cli::{Status, output};
use crate::kafka::{Cluster, admin};

/// Describe topics: each partition's leader, replicas, offsets and size, and the settings that it has of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard topics describe message-board
  kboard topics describe orders.placed.v1 orders.outcome.v1 --output yaml")]
pub struct Args {
    /// The topics.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// How to print it.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: output::Format,
}

/// Prints the descriptions.
pub async fn run(args: &Args, cluster: &Cluster) -> anyhow::Result<Status> {
    super::require(cluster, &args.topics).await?;
    let topics = admin::topics::describe(cluster, &args.topics).await?;
    let mut settings = admin::settings::describe(cluster, &args.topics).await?;
    let details = topics.into_iter().map(|topic| {
        let mut config = settings.remove(&topic.name).unwrap_or_default();
        config.retain(|_, setting| setting.overridden);
        Details { summary: Summary::from(&topic), partitions: topic.partitions, config }
    });
    output::print(args.output, &details.collect::<Vec<_>>(), |details| {
        details.iter().map(show::details).collect::<Vec<_>>().join("\n\n\n")
    })?;
    Ok(Status::Success)
}
