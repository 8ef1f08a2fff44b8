//! The load programs behind every figure in the README. `benches/README.md` says how to run each and what its figures
//! mean.
//!
//! # Map
//! - one module a program: [`post`], [`fanout`], [`drain`], [`history`], [`soak`], [`start`].
//! - [`targets`]: the servers of a run, started or found; [`server`]: how each is spoken to.
//! - [`http`], [`pacer`]: sending; [`viewers`], [`stream`]: watching; [`stamp`]: what joins the two.
//! - [`backlog`]: the topic and the Redis window; [`child`], [`process`], [`sampler`]: the servers as processes.
//! - [`report`], [`machine`]: what is printed.

mod backlog;
mod child;
mod drain;
mod fanout;
mod history;
mod http;
mod machine;
mod pacer;
mod post;
mod process;
mod report;
mod sampler;
mod server;
mod soak;
mod stamp;
mod start;
mod stream;
mod targets;
mod viewers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;
use tokio::task::LocalSet;

use crate::machine::Machine;
use crate::targets::Services;

/// Enough for 10,000 viewers on either side of the loopback, and what else is open.
const OPEN_FILES: u64 = 12_000;

/// Load programs for kboard and its peers.
#[derive(Parser)]
#[command(name = "board", max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    services: Services,
    /// Print JSON: the machine, each round, and the medians
    #[arg(long, global = true)]
    json: bool,
    // `cargo bench` adds it to the arguments of every bench program.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    Post(post::Args),
    Fanout(fanout::Args),
    Drain(drain::Args),
    History(history::Args),
    Soak(soak::Args),
    Start(start::Args),
}

fn main() -> ExitCode {
    // `cargo test --all-targets` and a bare `cargo bench` run this with nothing to do: no load without being asked.
    if std::env::args().skip(1).all(|argument| argument == "--bench") {
        println!("a load program is named: cargo bench --bench board -- post (--help lists all)");
        return ExitCode::SUCCESS;
    }
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    process::raise_open_files(OPEN_FILES)?;
    // One thread sends; the viewers have another. The rest of the machine is the server's.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let services = &cli.services;
    let rounds = LocalSet::new().block_on(&runtime, async {
        match &cli.program {
            Program::Post(args) => post::run(args, services).await,
            Program::Fanout(args) => fanout::run(args, services).await,
            Program::Drain(args) => drain::run(args, services).await,
            Program::History(args) => history::run(args, services).await,
            Program::Soak(args) => soak::run(args, services).await,
            Program::Start(args) => start::run(args, services).await,
        }
    })?;
    let machine = Machine::facts(services);
    let medians = report::medians(&rounds);
    if cli.json {
        let whole = json!({ "machine": machine, "rounds": rounds, "medians": medians });
        println!("{}", serde_json::to_string_pretty(&whole)?);
    } else {
        println!("{}\n{}", machine.text(), report::tables(&medians));
    }
    Ok(())
}
