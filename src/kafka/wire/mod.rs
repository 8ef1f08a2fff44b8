//! Kafka's protocol as kboard speaks it to read: connections, and which broker to ask.
//!
//! - [`Connection`]: requests and their answers; `handshake` opens one.
//! - [`Brokers`]: connections for everyone who needs one, and who leads which partition.

mod brokers;
mod connection;
mod error;
mod handshake;
mod layout;
#[cfg(test)]
mod tests;

pub use brokers::{Brokers, Lease, REQUEST_PATIENCE};
pub use connection::{Answer, Connection};
pub use error::WireError;
pub use layout::{Layout, format_address};
