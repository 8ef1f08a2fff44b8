//! The command line: one module a subcommand, each with its arguments and one `run`.

mod completions;
mod config;
mod consume;
mod man;
mod output;
mod produce;
mod settings;
mod shutdown;
mod time;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Settings;

/// Event-driven applications on Apache Kafka and Redis in one executable.
#[derive(Debug, Parser)]
#[command(name = "kboard", version, propagate_version = true, max_term_width = 120)]
pub struct Cli {
    #[command(flatten)]
    settings: settings::SettingsFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Completions(completions::Args),
    Config(config::Args),
    Consume(consume::Args),
    Man(man::Args),
    Produce(produce::Args),
}

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All of it was done.
    Success,
    /// It ran to its end, but some of what it was asked for failed (already reported).
    Partial,
}

/// Runs one invocation and reports its failure, if any, on stderr.
pub fn run(cli: Cli) -> ExitCode {
    match dispatch(cli) {
        Ok(Status::Success) => ExitCode::SUCCESS,
        Ok(Status::Partial) => ExitCode::from(1),
        // A reader that went away (`kboard topics list | head -1`) is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", describe(&error));
            ExitCode::from(2)
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<Status> {
    let resolved = cli.settings.resolve()?;
    let settings = Settings::from_resolved(&resolved)?;
    crate::telemetry::logs::start(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Completions(args) => completions::run(&args),
            Command::Config(args) => config::run(&args, &resolved),
            Command::Consume(args) => consume::run(args, &settings).await,
            Command::Man(args) => man::run(&args),
            Command::Produce(args) => produce::run(args, &settings).await,
        }
    })
}

/// The error and its causes, each said once: clients repeat a cause in the text of what it caused.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            let separator = if text.is_empty() { "" } else { ": " };
            text.push_str(separator);
            text.push_str(&cause);
        }
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
