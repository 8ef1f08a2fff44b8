//! `kboard topics export`.

use regex::Regex;

use super::file;
use crate::cli::{Status, output};
use crate::kafka::{Cluster, admin};

/// Print the topics as the YAML that `topics apply` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard topics export > topics.yaml
  kboard topics export '^orders\\.' --kafka staging:9092")]
pub struct Args {
    /// Only topics whose name matches this regular expression.
    #[arg(value_name = "REGEX", value_parser = Regex::new)]
    filter: Option<Regex>,
    /// Also those of Kafka itself, such as __consumer_offsets.
    #[arg(long)]
    internal: bool,
}

/// Prints the file.
pub async fn run(args: &Args, cluster: &Cluster) -> anyhow::Result<Status> {
    let names = super::matching(cluster, args.filter.as_ref(), args.internal).await?;
    let current = admin::apply::current(cluster, &names).await?;
    output::line(&file::write(&current)?)?;
    Ok(Status::Success)
}
