//! `kboard topics delete`.

use crate::cli::confirm::confirm;
use crate::cli::{Status, output};
use crate::kafka::admin::topics::Topic;
use crate::kafka::{Cluster, admin};

/// Delete topics with all their records; asks first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard topics delete orders
  kboard topics delete clicks views --yes")]
pub struct Args {
    /// The topics.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

/// Deletes them.
pub async fn run(args: &Args, cluster: &Cluster) -> anyhow::Result<Status> {
    super::refuse_repeated(&args.topics)?;
    super::require(cluster, &args.topics).await?;
    let topics = admin::topics::describe(cluster, &args.topics).await?;
    if let Some(topic) = topics.iter().find(|topic| topic.internal) {
        anyhow::bail!("topic {:?} belongs to Kafka itself, which does not work without it", topic.name);
    }
    confirm(&question(&topics), (args.topics.len() == 1).then(|| args.topics[0].as_str()), args.yes)?;
    for name in &args.topics {
        admin::topics::delete(cluster, name).await?;
        output::line(&format!("{name}: deleted"))?;
    }
    Ok(Status::Success)
}

fn question(topics: &[Topic]) -> String {
    let named: Vec<String> = topics
        .iter()
        .map(|topic| match topic.messages() {
            Some(messages) => {
                format!("{} ({})", topic.name, output::counted(messages, "message"))
            }
            None => topic.name.clone(),
        })
        .collect();
    format!("Delete {} for ever: {}?", output::counted(topics.len(), "topic"), named.join(", "))
}
