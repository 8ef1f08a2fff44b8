//! What the groups of the app do with records that fail.

use std::time::Duration;

use super::service::Service;
use super::switches::LiveSwitches;
use super::topics;
use crate::apps::Prefix;
use crate::processor::retry::worker::Worker;
use crate::processor::retry::{Policy, Retry};

/// The worker that sends waiting records back.
impl Service for Worker {
    const GROUP: &str = "orders-retry";
    const TOPICS: &[&str] = &[topics::RETRY];
    const EMITS: &[&str] = &[topics::ORDERS, topics::PAYMENTS, topics::INVENTORY, topics::OUTCOME, topics::PAGE_VIEWS];
    const ANNOUNCES: bool = false;

    fn new(prefix: Prefix, _: LiveSwitches, _: Duration) -> Self {
        Self::new(prefix.apply(topics::RETRY))
    }
}

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
