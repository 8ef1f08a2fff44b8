//! The log: structured lines on stderr, so that stdout belongs to what a command prints.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::json::JsonLines;
use crate::config::{LogFormat, Settings};

/// Libraries whose own news is ours to tell. The clients report each lost connection as an error, without saying which or
/// that they try again; `--log krafka=debug` shows it all.
const QUIET: &str = "krafka=off,rskafka=off,fred=off,hyper=warn,warp=warn";

/// Starts logging for the rest of the process.
///
/// # Errors
/// A filter that can't be parsed.
pub fn start(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", settings.log))
        .map_err(|error| anyhow::anyhow!("log = {:?}: {error}", settings.log))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    match settings.log_format {
        LogFormat::Json => registry.with(lines.event_format(JsonLines)).try_init()?,
        LogFormat::Text => registry.with(lines.compact().with_ansi(std::io::stderr().is_terminal())).try_init()?,
    }
    Ok(())
}
