//! `kboard man`: the manual, made from the same descriptions as `--help`.

use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;

use super::{Cli, Status, output};

/// Print the manual page, or write the pages of all commands into a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard man | man -l -
  kboard man --dir /usr/local/share/man/man1")]
pub struct Args {
    /// Write one page a command into DIR, which is created if need be.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints or writes the pages.
pub fn run(args: &Args) -> anyhow::Result<Status> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        Man::new(manual()).render(&mut page)?;
        output::line(&String::from_utf8(page)?)?;
        return Ok(Status::Success);
    };
    let failed = || format!("write the manual into {}", dir.display());
    std::fs::create_dir_all(dir).with_context(failed)?;
    clap_mangen::generate_to(manual(), dir).with_context(failed)?;
    Ok(Status::Success)
}

/// The commands as the manual has them: it leaves out what the short help does, and a manual has room for all of it.
fn manual() -> clap::Command {
    Cli::command().mut_args(|argument| argument.hide_short_help(false))
}
