//! `kboard topics list`.

use regex::Regex;

use super::show::{self, Summary};
use crate::cli::{Status, output};
use crate::kafka::{Cluster, admin};

/// List the topics: partitions, replicas, messages (the offsets they span), size on disk, state.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard topics list
  kboard topics list '^orders\\.'
  kboard topics list --internal --output json")]
pub struct Args {
    /// Only topics whose name matches this regular expression.
    #[arg(value_name = "REGEX", value_parser = Regex::new)]
    filter: Option<Regex>,
    /// Also those of Kafka itself, such as __consumer_offsets.
    #[arg(long)]
    internal: bool,
    /// How to print it.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: output::Format,
}

/// Prints the list.
pub async fn run(args: &Args, cluster: &Cluster) -> anyhow::Result<Status> {
    let names = super::matching(cluster, args.filter.as_ref(), args.internal).await?;
    let topics = admin::topics::describe(cluster, &names).await?;
    let rows: Vec<Summary> = topics.iter().map(Summary::from).collect();
    output::print(args.output, &rows, |rows| show::list(rows))?;
    Ok(Status::Success)
}
