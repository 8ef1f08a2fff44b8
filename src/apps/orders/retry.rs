//! What the groups of the app do with records that fail.

use super::topics;
use crate::apps::Prefix;
use crate::processor::retry::{Policy, Retry};

/// The group of the worker that sends waiting records back, before the prefix.
pub const GROUP: &str = "orders-retry";

/// Five attempts with growing delays, then a dead letter. Later records about the order don't wait for one that failed: the
/// services reach the same state in whatever order they hear of things, and a cancellation must not be late.
pub fn retry(prefix: &Prefix) -> Retry {
    Retry {
        policy: Policy::default(),
        topic: prefix.apply(topics::RETRY),
        dead_letters: prefix.apply(topics::DEAD_LETTERS),
        keep_order: false,
    }
}
