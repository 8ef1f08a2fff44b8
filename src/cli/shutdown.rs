//! From signals to one token: the first Ctrl-C or SIGTERM asks every part to finish, a second one ends the process.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that a signal ended before its work was done: 128 + SIGINT, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// A token that the first SIGINT or SIGTERM cancels.
///
/// # Errors
/// When the signal handlers can't be installed.
pub fn on_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if cancelled.is_cancelled() {
                tracing::warn!("second signal: ending at once");
                std::process::exit(INTERRUPTED.into());
            }
            tracing::info!("shutting down");
            cancelled.cancel();
        }
    });
    Ok(token)
}
