//! `kboard reset`: an app as it is before its first start.

use anyhow::bail;
use clap::builder::PossibleValuesParser;
use tokio_util::sync::CancellationToken;

use super::confirm::confirm;
use super::{Status, output, start};
use crate::apps::{self, App, Prefix};
use crate::config::{Settings, TopicDefaults};
use crate::kafka::Cluster;
use crate::kafka::admin::topics::Topic;
use crate::kafka::admin::{TopicSpec, ensure_topics, groups, topics};
use crate::redis::{Redis, erase};

/// Delete all that an app has: its records, its groups' offsets, its state in Redis; asks first.
///
/// The topics are made anew, empty. Refused while the app's groups have members: they would write what they have in
/// memory. A server without consumers is no member: end it yourself, or what it is sent meanwhile is deleted too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard reset --app board --dry-run     what would go
  kboard reset --app board               asks, then does it
  kboard reset --app board --yes         for scripts

It tells what will go before it asks. Interrupted, it may be run again and does the rest. The embedded broker and Redis
end with `kboard serve`: to reset an app there, let `kboard broker` run them, or `kboard serve --no-consumers`.")]
pub struct Args {
    /// The app.
    #[arg(long, value_name = "APP", value_parser = PossibleValuesParser::new(apps::REGISTRY.iter().map(|app| app.name)))]
    app: String,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
    /// Tell what would go, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What an app has.
struct Belongings {
    /// Its topics as they should be.
    specs: Vec<TopicSpec>,
    /// Those of them that there are.
    topics: Vec<Topic>,
    /// Those of its groups that there are.
    groups: Vec<String>,
    /// What its keys are called, as [`erase`] takes it, and how many there are.
    keys: (Vec<String>, u64),
}

/// Resets it.
pub async fn run(args: &Args, settings: &Settings) -> anyhow::Result<Status> {
    let Some(app) = apps::app(&args.app) else { bail!("there is no app {:?}", args.app) };
    let prefix = Prefix(settings.topic_prefix.clone());
    let cluster = start::cluster(settings, &CancellationToken::new()).await?;
    let redis = Redis::connect(&settings.redis).await?;
    let found = Belongings::find(app, &cluster, &redis, &prefix).await?;
    output::line(&found.told(app.name))?;
    if args.dry_run {
        output::line("Dry run: nothing was changed.")?;
    } else {
        confirm(&format!("Delete all this of {} for ever?", app.name), Some(app.name), args.yes)?;
        found.delete(&cluster, &redis, &settings.topics).await?;
    }
    redis.close().await;
    Ok(Status::Success)
}

impl Belongings {
    async fn find(app: &App, cluster: &Cluster, redis: &Redis, prefix: &Prefix) -> anyhow::Result<Self> {
        let listed = groups::list(cluster).await?;
        let names: Vec<String> = app.groups.iter().map(|group| prefix.apply(group.name)).collect();
        let ours: Vec<_> = listed.into_iter().filter(|listing| names.contains(&listing.group)).collect();
        let problems: Vec<String> =
            groups::describe(cluster, &ours).await?.iter().filter_map(|group| group.may_change().err()).collect();
        if !problems.is_empty() {
            bail!("{}", problems.join("\n"));
        }
        let specs = (app.topics)(prefix);
        let topics: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
        let keys = (app.keys)(prefix);
        let count = erase::count(redis, &keys).await?;
        Ok(Self {
            topics: topics::describe(cluster, &topics).await?,
            specs,
            groups: ours.into_iter().map(|listing| listing.group).collect(),
            keys: (keys, count),
        })
    }

    /// What will go, for people.
    fn told(&self, app: &str) -> String {
        let mut lines = vec![format!("{app} has")];
        for topic in &self.topics {
            let messages =
                topic.messages().map_or("unknown content".to_owned(), |count| output::counted(count, "message"));
            lines.push(format!("  topic {}: {messages}", topic.name));
        }
        lines.extend(self.groups.iter().map(|group| format!("  group {group}: what it has committed")));
        let (names, count) = &self.keys;
        lines.push(format!("  in Redis: {} called {}", output::counted(*count, "key"), names.join(", ")));
        lines.join("\n")
    }

    async fn delete(&self, cluster: &Cluster, redis: &Redis, defaults: &TopicDefaults) -> anyhow::Result<()> {
        // The groups first: the coordinator refuses if somebody has joined since, and nothing is lost then.
        for group in &self.groups {
            groups::delete(cluster, group).await?;
            output::line(&format!("group {group}: deleted"))?;
        }
        for topic in &self.topics {
            topics::delete(cluster, &topic.name).await?;
        }
        ensure_topics(cluster, &self.specs, defaults).await?;
        for spec in &self.specs {
            output::line(&format!(
                "topic {}: made anew with {}",
                spec.name,
                output::counted(spec.partitions, "partition")
            ))?;
        }
        let erased = erase::erase(redis, &self.keys.0).await?;
        output::line(&format!("in Redis: {} deleted", output::counted(erased, "key")))
    }
}
