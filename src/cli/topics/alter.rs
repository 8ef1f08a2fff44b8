//! `kboard topics alter`.

use std::collections::BTreeMap;

use super::{apply, show};
use crate::cli::{Status, output};
use crate::config::TopicDefaults;
use crate::kafka::admin::plan::Desired;
use crate::kafka::{Cluster, admin};

/// Change a topic: more partitions, other settings. What differs is shown as it is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard topics alter orders --partitions 12
  kboard topics alter orders --config retention.ms=86400000 --delete-config compression.type")]
pub struct Args {
    /// The topic.
    #[arg(value_name = "TOPIC")]
    topic: String,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// How many partitions it should have; Kafka can only add some.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// A setting to change; may be repeated.
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = super::key_value)]
    config: Vec<(String, String)>,
    /// A setting to give back to the brokers' default; may be repeated.
    #[arg(long, value_name = "KEY")]
    delete_config: Vec<String>,
}

/// Changes it.
pub async fn run(args: &Args, cluster: &Cluster, defaults: &TopicDefaults) -> anyhow::Result<Status> {
    super::require(cluster, std::slice::from_ref(&args.topic)).await?;
    let desired = args.changes.desired(&args.topic)?;
    let plan = admin::apply::plan(cluster, &[desired], defaults).await?;
    if plan.is_empty() {
        output::line(&format!("{}: is so already", args.topic))?;
        return Ok(Status::Success);
    }
    apply::check(cluster, &plan, defaults).await?;
    for step in &plan.steps {
        admin::apply::carry_out(cluster, step, defaults).await?;
    }
    output::line(&show::plan(&plan))?;
    Ok(Status::Success)
}

impl Changes {
    fn desired(&self, topic: &str) -> anyhow::Result<Desired> {
        let set = self.config.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
        let config: BTreeMap<_, _> = set.chain(self.delete_config.iter().map(|key| (key.clone(), None))).collect();
        if config.len() < self.config.len() + self.delete_config.len() {
            anyhow::bail!("a setting is named twice; name each once, in --config or in --delete-config");
        }
        Ok(Desired { name: topic.to_owned(), partitions: self.partitions, replication_factor: None, config })
    }
}
