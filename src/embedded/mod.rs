//! Servers that kboard brings itself. Nothing but `cli` uses them; everybody else is given addresses.
//!
//! - [`kafka`], [`redis`]: the two.
//! - `lock`, `replace`: what their folders need: one process at a time, and files that are replaced as a whole.

pub mod kafka;
mod lock;
pub mod redis;
mod replace;

pub use lock::LockError;
