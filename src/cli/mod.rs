//! The command line: one module a subcommand, each with its arguments and one `run`.

mod broker;
mod completions;
mod config;
mod confirm;
mod consume;
mod embedded;
mod groups;
mod health;
mod man;
mod members;
mod output;
mod produce;
mod replay;
mod reset;
mod serve;
mod settings;
mod shutdown;
mod start;
mod top;
mod topics;
mod trace;

use std::io::IsTerminal;
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
    Serve(serve::Args),
    Consume(consume::Args),
    Produce(produce::Args),
    Topics(topics::Args),
    Groups(groups::Args),
    Top(top::Args),
    Replay(replay::Args),
    Trace(trace::Args),
    Reset(reset::Args),
    Broker(broker::Args),
    Health(health::Args),
    Config(config::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// How a command that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All of it was done.
    Success,
    /// It ran to its end, but some of what it was asked for failed (already reported).
    Partial,
    /// A signal ended it before all of it was done.
    Interrupted,
}

/// Runs one invocation and reports its failure, if any, on stderr.
pub fn run(cli: Cli) -> ExitCode {
    match dispatch(cli) {
        Ok(Status::Success) => ExitCode::SUCCESS,
        Ok(Status::Partial) => ExitCode::from(1),
        Ok(Status::Interrupted) => ExitCode::from(shutdown::INTERRUPTED),
        // A reader that went away (`kboard topics list | head -1`) is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            ExitCode::from(2)
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<Status> {
    // These two tell of kboard itself: no wrong setting keeps them from it.
    match &cli.command {
        Command::Completions(args) => return completions::run(args),
        Command::Man(args) => return man::run(args),
        _ => {}
    }
    let resolved = cli.settings.resolve()?;
    let settings = Settings::from_resolved(&resolved)?;
    // Lines of a log would go right through what is drawn on the same terminal.
    if !matches!(&cli.command, Command::Top(args) if args.takes_terminal() && std::io::stderr().is_terminal()) {
        crate::telemetry::logs::start(&settings)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Config(args) => config::run(&args, &resolved),
            Command::Completions(_) | Command::Man(_) => Ok(Status::Success), // see above
            Command::Serve(args) => serve::run(&args, &settings).await,
            Command::Consume(args) => consume::run(args, &settings).await,
            Command::Produce(args) => produce::run(args, &settings).await,
            Command::Topics(args) => topics::run(&args, &settings).await,
            Command::Groups(args) => groups::run(&args, &settings).await,
            Command::Top(args) => top::run(&args, &settings).await,
            Command::Replay(args) => replay::run(&args, &settings).await,
            Command::Trace(args) => trace::run(&args, &settings).await,
            Command::Reset(args) => reset::run(&args, &settings).await,
            Command::Broker(args) => broker::run(&args, &settings).await,
            Command::Health(args) => health::run(&args).await,
        }
    })
}

/// The error and its causes in one line; one that tells its cause itself is not followed by it again.
fn with_causes(error: &anyhow::Error) -> String {
    error
        .chain()
        .skip(1)
        .map(ToString::to_string)
        .fold(error.to_string(), |told, cause| if told.ends_with(&cause) { told } else { format!("{told}: {cause}") })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
