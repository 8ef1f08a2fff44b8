//! The `kboard` executable: parse, start logging, dispatch, exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;

/// The system allocator keeps freed pages of 10,000 streams; mimalloc gives them back and is faster under the
/// many small allocations of a request (docs/adr/0006-allocator.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A connection's buffers touch one page in two; with huge pages all of it is memory that a viewer costs (20 KB
    // instead of 12). Where the kernel doesn't know of it, nothing is lost.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // The embedded Redis would use io_uring, which keeps the sockets of a killed process for a while: its next start would
    // find the port taken. kevy asks the environment only.
    // SAFETY: no other thread runs yet that could read the environment meanwhile.
    unsafe { std::env::set_var("KEVY_IO_URING", "0") };
    kboard::cli::run(kboard::cli::Cli::parse())
}
