//! The applications; the registry lists them.

pub mod board;

use bytes::Bytes;
use rand::Rng;

/// A record that an app's generator made up.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The topic, without the configured prefix.
    pub topic: String,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Bytes,
    /// The headers, in order.
    pub headers: Vec<(String, Bytes)>,
}

/// Makes up one realistic record of an app; the same random numbers make the same content.
pub type Generator = fn(&mut dyn Rng) -> Generated;

// JOIN: replaced by the app registry, which names each app's generator beside its topics and groups.
/// The apps that have a generator.
pub const GENERATORS: &[(&str, Generator)] = &[("board", board::generator::generate)];
