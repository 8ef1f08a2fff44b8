//! `kboard topics create`.

use super::apply;
use crate::cli::{Status, output};
use crate::config::TopicDefaults;
use crate::kafka::admin::ensure::MIN_INSYNC_REPLICAS;
use crate::kafka::admin::plan::Desired;
use crate::kafka::{Cluster, admin};

/// Create topics, all alike. Nothing is created unless the brokers accept every one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard topics create orders --partitions 6
  kboard topics create clicks views --partitions 3 --config retention.ms=86400000 --config compression.type=lz4
  kboard topics create orders --replication-factor 3 --if-not-exists")]
pub struct Args {
    /// Their names.
    #[arg(required = true, value_name = "TOPIC", value_parser = admin::topic_name)]
    topics: Vec<String>,
    /// How many partitions; the brokers' default when left out.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// A setting of the topics; may be repeated.
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = super::key_value)]
    config: Vec<(String, String)>,
    /// Leave topics that exist as they are, instead of failing.
    #[arg(long)]
    if_not_exists: bool,
}

/// Creates them.
pub async fn run(args: &Args, cluster: &Cluster, defaults: &TopicDefaults) -> anyhow::Result<Status> {
    super::refuse_repeated(&args.topics)?;
    let known = admin::topics::names(cluster, true).await?;
    let (existing, missing): (Vec<&String>, Vec<&String>) = args.topics.iter().partition(|name| known.contains(name));
    if let Some(name) = existing.first().filter(|_| !args.if_not_exists) {
        anyhow::bail!("topic {name:?} exists already; --if-not-exists leaves it as it is, `topics alter` changes it");
    }
    let desired = |name: &&String| Desired {
        name: (*name).clone(),
        partitions: args.partitions,
        replication_factor: None,
        config: args.config.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect(),
    };
    let plan = admin::apply::plan(cluster, &missing.iter().map(desired).collect::<Vec<_>>(), defaults).await?;
    apply::check(cluster, &plan, defaults).await?;
    for step in &plan.steps {
        admin::apply::carry_out(cluster, step, defaults).await?;
        output::line(&created(cluster, &step.topic).await?)?;
    }
    for name in existing {
        output::line(&format!("{name}: exists already"))?;
    }
    Ok(Status::Success)
}

async fn created(cluster: &Cluster, topic: &String) -> anyhow::Result<String> {
    let current = admin::apply::current(cluster, [topic]).await?;
    let Some(made) = current.get(topic) else { return Ok(format!("{topic}: created")) };
    let min_insync = made.overrides.get(MIN_INSYNC_REPLICAS).map_or("?", String::as_str);
    Ok(format!(
        "{topic}: created with {}, {} each, {MIN_INSYNC_REPLICAS} {min_insync}",
        output::counted(made.partitions, "partition"),
        output::counted(made.replication_factor, "replica"),
    ))
}
