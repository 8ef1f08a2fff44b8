//! `kboard completions`: completion scripts for shells.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::{Cli, Status, output};

/// Print the completion script of a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard completions bash > /etc/bash_completion.d/kboard
  kboard completions zsh > \"${fpath[1]}/_kboard\"
  kboard completions fish > ~/.config/fish/completions/kboard.fish")]
pub struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &Args) -> anyhow::Result<Status> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "kboard", &mut script);
    output::line(&String::from_utf8(script)?)?;
    Ok(Status::Success)
}
