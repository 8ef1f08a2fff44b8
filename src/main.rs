//! The `kboard` executable: parse, start logging, dispatch, exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;

/// The system allocator keeps freed pages of 10,000 streams; mimalloc gives them back and is faster under the
/// many small allocations of a request (docs/adr/0006-allocator.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kboard::cli::run(kboard::cli::Cli::parse())
}
