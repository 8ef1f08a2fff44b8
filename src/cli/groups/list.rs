//! `kboard groups list`.

use regex::Regex;

use super::show::{self, Summary};
use crate::cli::{Status, output};
use crate::kafka::Cluster;
use crate::kafka::admin::groups::{self, Listing};

/// List the groups: state, members, topics, and how many records they are behind in all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard groups list
  kboard groups list '^orders' --output json")]
pub struct Args {
    /// Only groups whose name matches this regular expression.
    #[arg(value_name = "REGEX", value_parser = Regex::new)]
    filter: Option<Regex>,
    /// How to print it.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: output::Format,
}

/// Prints the list.
pub async fn run(args: &Args, cluster: &Cluster) -> anyhow::Result<Status> {
    let mut listings = groups::list(cluster).await?;
    listings.retain(|listing| args.filter.as_ref().is_none_or(|filter| filter.is_match(&listing.group)));
    let described = groups::describe(cluster, &listings).await?;
    super::tell_problems(&described);
    let mut described = described.into_iter().peekable();
    let row = |listing: &Listing| match described.next_if(|group| group.group == listing.group) {
        Some(group) => Summary::from(&group),
        None => Summary::without_offsets(listing),
    };
    output::print(args.output, &listings.iter().map(row).collect::<Vec<_>>(), |rows| show::list(rows))?;
    Ok(Status::Success)
}
