//! The topics of the app, and who reads them.

use super::super::Prefix;
use crate::kafka::admin::TopicSpec;
use crate::kafka::dead_letter;

/// Orders as they are placed.
pub const ORDERS: &str = "orders.v1";
/// What became of their payments.
pub const PAYMENTS: &str = "payments.v1";
/// What became of their reservations.
pub const INVENTORY: &str = "inventory.v1";
/// How they ended.
pub const OUTCOME: &str = "orders.outcome.v1";
/// Pages that were looked at.
pub const PAGE_VIEWS: &str = "analytics.pageviews.v1";
/// What was ordered most, from time to time.
pub const SNAPSHOTS: &str = "analytics.snapshots.v1";
/// Records that wait until they are tried again.
pub const RETRY: &str = "orders.retry.v1";
/// Records that were given up.
pub const DEAD_LETTERS: &str = "orders.dlq.v1";

/// Partitions of the topics whose key is the order.
const PARTITIONS: i32 = 3;

/// The topics, as they have to be made.
pub fn specs(prefix: &Prefix) -> Vec<TopicSpec> {
    let by_order = [ORDERS, PAYMENTS, INVENTORY, OUTCOME].map(|name| TopicSpec::new(prefix.apply(name), PARTITIONS));
    let single = [PAGE_VIEWS, SNAPSHOTS].map(|name| TopicSpec::new(prefix.apply(name), 1));
    // A record that waits or was given up has more headers than it came with.
    let roomy = [RETRY, DEAD_LETTERS].map(|name| dead_letter::spec_named(prefix.apply(name)));
    by_order.into_iter().chain(single).chain(roomy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_orders_have_three_partitions_and_the_others_one() {
        let specs = specs(&Prefix("test-".to_owned()));
        let partitions = |name: &str| specs.iter().find(|spec| spec.name == name).map(|spec| spec.partitions);
        for name in ["orders.v1", "payments.v1", "inventory.v1", "orders.outcome.v1"] {
            assert_eq!(partitions(&format!("test-{name}")), Some(3), "{name}");
        }
        for name in ["analytics.pageviews.v1", "analytics.snapshots.v1", "orders.retry.v1", "orders.dlq.v1"] {
            assert_eq!(partitions(&format!("test-{name}")), Some(1), "{name}");
        }
    }
}
