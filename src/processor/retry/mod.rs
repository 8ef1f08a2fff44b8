//! Retries: a record that failed waits in the retry topic until it is due, goes back to its topic for the group that failed,
//! and becomes a dead letter when its attempts are used up.
//!
//! - [`policy`]: when a record is tried again, and how often.
//! - [`record`]: what a waiting record says of itself.
//! - [`worker`]: keeps them until they are due.

pub mod policy;
pub mod record;
pub mod worker;

pub use policy::Policy;
pub use record::Attempt;
pub use worker::Worker;

/// What a group does with records that fail.
#[derive(Clone, Debug)]
pub struct Retry {
    /// When and how often they are tried again.
    pub policy: Policy,
    /// The topic in which they wait.
    pub topic: String,
    /// The topic in which they end.
    pub dead_letters: String,
    /// Whether later records about the same key wait until the one that failed has been dealt with.
    pub keep_order: bool,
}
