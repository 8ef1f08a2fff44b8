//! `kboard top`: what goes on in a cluster, live.
//!
//! - [`looks`]: rates, from some looks at the cluster; [`facts`]: what is known of it, in rows; [`trouble`]: what is wrong.
//! - [`once`]: the facts as one table, or as JSON.
//! - [`model`]: what the screen shows, and how keys change that; [`cursor`], [`filter`]: parts of it; [`details`]: one topic
//!   or group; [`columns`], [`sheet`]: the tables, as they could be and as they stand.
//! - [`draw`]: a model on a screen, and nothing else; [`words`]: numbers in little room.
//! - [`screen`]: the terminal, and what wakes it.

mod columns;
mod cursor;
mod details;
mod draw;
mod facts;
mod filter;
mod looks;
mod model;
mod once;
mod screen;
mod sheet;
#[cfg(test)]
mod testing;
mod trouble;
mod words;

use std::io::IsTerminal;
use std::time::Duration;

use jiff::tz::TimeZone;
use regex::Regex;

use super::{Status, output, shutdown};
use crate::config::{self, Settings};
use crate::kafka::Cluster;
use crate::kafka::watch::Watch;
use filter::Filter;
use model::Model;

/// How often the cluster may be looked at: a look takes some requests to each broker, and what is known of a group's course
/// is told from some looks in three minutes.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(60);

/// Watch topics and groups live: throughput, lag, rebalances, errors.
///
/// It joins no group, commits nothing and needs nothing but Kafka. Rates are told over the last ten seconds, because consumers
/// commit every five unless told otherwise. BYTES/S is what a topic's logs grow by on disk, on one replica. Rebalances are those
/// since the start.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard top
  kboard top '^orders' --interval 5s
  kboard top --once --interval 10s
  kboard top --once --output json | jq '.groups[] | select(.lag > 1000)'

Keys: Tab the next table, arrows or j and k the rows, Enter one topic or group, / filter, s sort, p pause, ? all of them,
q quit. NO_COLOR=1 does without colours.")]
pub struct Args {
    /// Only topics and groups whose name matches this regular expression; / changes it.
    #[arg(value_name = "REGEX", value_parser = Regex::new)]
    filter: Option<Regex>,
    /// How often to look at the cluster, from 500ms to 1m.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// Also topics of Kafka itself, such as __consumer_offsets.
    #[arg(long)]
    internal: bool,
    /// Look twice, print what was seen and end: for scripts, and where there is no terminal.
    #[arg(long)]
    once: bool,
    /// How to print it.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT", requires = "once")]
    output: output::Format,
}

impl Args {
    /// Whether it takes the terminal for itself, which leaves no room for a log.
    pub fn takes_terminal(&self) -> bool {
        !self.once && std::io::stdout().is_terminal()
    }
}

/// Shows the cluster until it is told to end, or once.
pub async fn run(args: &Args, settings: &Settings) -> anyhow::Result<Status> {
    anyhow::ensure!(
        args.once || args.takes_terminal(),
        "kboard top draws on a terminal, and stdout is none; --once prints one table, --once --output json the same as JSON"
    );
    let cluster = Cluster::new(settings.kafka.clone());
    // Who mistyped the address is told so, rather than shown an empty screen.
    cluster.ping().await?;
    let shutdown = shutdown::on_signal()?;
    let watch = Watch::start(cluster.clone(), args.interval, shutdown.clone());
    let filter = Filter::new(args.filter.as_ref().map_or("", Regex::as_str));
    if args.once {
        let printed = once::run(&watch, cluster.servers(), &filter, args.internal, args.output);
        return shutdown.run_until_cancelled(printed).await.unwrap_or(Ok(Status::Interrupted));
    }
    let model = Model::new(cluster.servers(), args.interval, filter, args.internal, TimeZone::system());
    screen::run(&watch, model, &shutdown).await?;
    Ok(Status::Success)
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = config::parse_duration(text)?;
    match INTERVALS.contains(&interval) {
        true => Ok(interval),
        false => Err("expected 500ms to 1m".to_owned()),
    }
}
