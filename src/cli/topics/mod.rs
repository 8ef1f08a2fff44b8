//! `kboard topics`: see, make, change and delete topics.

mod alter;
mod apply;
mod create;
mod delete;
mod describe;
mod export;
mod file;
mod list;
mod show;

use clap::Subcommand;

use super::Status;
use crate::config::Settings;
use crate::kafka::{Cluster, admin, lookup};

/// See, make, change and delete topics.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Describe(describe::Args),
    Create(create::Args),
    Delete(delete::Args),
    Alter(alter::Args),
    Apply(apply::Args),
    Export(export::Args),
}

/// Runs the subcommand.
pub async fn run(args: &Args, settings: &Settings) -> anyhow::Result<Status> {
    let cluster = Cluster::new(settings.kafka.clone());
    match &args.command {
        Command::List(args) => list::run(args, &cluster).await,
        Command::Describe(args) => describe::run(args, &cluster).await,
        Command::Create(args) => create::run(args, &cluster, &settings.topics).await,
        Command::Delete(args) => delete::run(args, &cluster).await,
        Command::Alter(args) => alter::run(args, &cluster, &settings.topics).await,
        Command::Apply(args) => apply::run(args, &cluster, &settings.topics).await,
        Command::Export(args) => export::run(args, &cluster).await,
    }
}

/// The names of the topics, in order, that match `filter`.
async fn matching(cluster: &Cluster, filter: Option<&regex::Regex>, internal: bool) -> anyhow::Result<Vec<String>> {
    let mut names = admin::topics::names(cluster, internal).await?;
    names.retain(|name| filter.is_none_or(|filter| filter.is_match(name)));
    Ok(names)
}

/// Fails for the first of `names` that does not exist, with the names that are near it.
async fn require(cluster: &Cluster, names: &[String]) -> anyhow::Result<()> {
    let known = admin::topics::names(cluster, true).await?;
    match names.iter().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => Err(lookup::unknown_topic(name, &known).into()),
    }
}

/// Refuses names that stand there twice, before anything is done for the first of them.
fn refuse_repeated(names: &[String]) -> anyhow::Result<()> {
    let repeated = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
    match repeated {
        Some((_, name)) => anyhow::bail!("topic {name:?} is named twice"),
        None => Ok(()),
    }
}

/// Reads `key=value` of a `--config`.
fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected key=value, such as retention.ms=86400000".to_owned()),
    }
}
