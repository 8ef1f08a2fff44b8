//! `kboard groups`: see consumer groups, set where they go on from, delete them.

mod delete;
mod describe;
mod list;
mod reset;
mod show;

use clap::Subcommand;

use super::Status;
use crate::apps::{self, Prefix};
use crate::config::Settings;
use crate::kafka::admin::groups::{self, Group, Listing};
use crate::kafka::{Cluster, KafkaError, lookup};

/// See consumer groups, set where they go on from, delete them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Describe(describe::Args),
    Reset(reset::Args),
    Delete(delete::Args),
}

/// Runs the subcommand.
pub async fn run(args: &Args, settings: &Settings) -> anyhow::Result<Status> {
    let cluster = Cluster::new(settings.kafka.clone());
    match &args.command {
        Command::List(args) => list::run(args, &cluster).await,
        Command::Describe(args) => describe::run(args, &cluster).await,
        Command::Reset(args) => reset::run(args, &cluster, &Prefix(settings.topic_prefix.clone())).await,
        Command::Delete(args) => delete::run(args, &cluster).await,
    }
}

/// The groups named `names`, in that order.
async fn find(cluster: &Cluster, names: &[String]) -> anyhow::Result<Vec<Group>> {
    let known = groups::list(cluster).await?;
    let wanted: Vec<Listing> = names.iter().map(|name| pick(&known, name)).collect::<Result<_, _>>()?;
    Ok(groups::describe(cluster, &wanted).await?)
}

fn pick(known: &[Listing], name: &str) -> anyhow::Result<Listing> {
    let Some(listing) = known.iter().find(|listing| listing.group == name) else {
        let known: Vec<String> = known.iter().map(|listing| listing.group.clone()).collect();
        return Err(KafkaError::UnknownGroup { group: name.to_owned(), similar: lookup::near(name, &known) }.into());
    };
    if !listing.has_offsets() {
        anyhow::bail!("group {name:?} is a {} group, which has no offsets like a consumer group's", listing.kind);
    }
    Ok(listing.clone())
}

/// Says of which groups not everything is known.
fn tell_problems(groups: &[Group]) {
    for group in groups {
        if let Some(problem) = &group.problem {
            eprintln!("Note: group {:?} is not fully known: {problem}", group.group);
        }
    }
}

/// Whether `group` feeds a projection of an app, whose own offsets are kept in Redis beside the state.
fn owned_by_app(group: &str, prefix: &Prefix) -> bool {
    apps::group(group, prefix).is_some()
}
