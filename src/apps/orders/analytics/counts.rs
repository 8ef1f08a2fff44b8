//! What is counted: in every minute, and altogether.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::tally::Tally;
use crate::apps::orders::events::{Body, Cause};

/// How long a bucket is, in milliseconds.
pub const MINUTE: i64 = 60_000;

/// Numbers of a minute, or of all time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Orders that were placed.
    pub placed: u64,
    /// Orders that were completed.
    pub completed: u64,
    /// Orders that were cancelled, by cause.
    pub cancelled: BTreeMap<Cause, u64>,
    /// What the bank authorized, less what was refunded, in cents. In one minute there may be more refunds than payments.
    pub revenue_cents: i64,
    /// Looks at pages, by page.
    pub views: Tally<u64>,
    /// What was ordered, by product.
    pub products: Tally<Ordered>,
}

/// How much of a product was ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ordered {
    /// How many pieces.
    pub count: u64,
    /// What they cost together, in cents.
    pub revenue_cents: i64,
}

impl AddAssign for Ordered {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.revenue_cents += other.revenue_cents;
    }
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, other: &Counts) {
        self.placed += other.placed;
        self.completed += other.completed;
        for (cause, count) in &other.cancelled {
            *self.cancelled.entry(*cause).or_default() += count;
        }
        self.revenue_cents += other.revenue_cents;
        self.views += &other.views;
        self.products += &other.products;
    }
}

impl Counts {
    /// Counts an event.
    pub fn count(&mut self, body: &Body) {
        match body {
            Body::OrderPlaced(order) => {
                self.placed += 1;
                for item in &order.items {
                    let revenue_cents = item.price.times(item.quantity).0;
                    self.products.add(&item.product_id, Ordered { count: item.quantity.into(), revenue_cents });
                }
            }
            Body::OrderCompleted(_) => self.completed += 1,
            Body::OrderCancelled(order) => *self.cancelled.entry(order.cause).or_default() += 1,
            Body::PaymentAuthorized(payment) => self.revenue_cents += payment.amount.0,
            Body::PaymentRefunded(payment) => self.revenue_cents -= payment.amount.0,
            Body::PageView(view) => self.views.add(path(&view.page), 1),
            Body::PaymentDeclined(_)
            | Body::InventoryReserved(_)
            | Body::InventoryRejected(_)
            | Body::InventoryReleased(_)
            | Body::TopProductsUpdated(_) => {}
        }
    }

    /// Orders that were cancelled, for whatever cause.
    pub fn cancelled_altogether(&self) -> u64 {
        self.cancelled.values().sum()
    }

    /// Orders that have not ended; of all time, since one may end in another minute than it began.
    pub fn open(&self) -> u64 {
        self.placed.saturating_sub(self.completed + self.cancelled_altogether())
    }
}

/// The key of the minute in which `at` (milliseconds since the epoch) lies.
pub fn minute_key(at: i64) -> String {
    format!("minute:{}", at - at.rem_euclid(MINUTE))
}

/// A page without what differs from visit to visit.
fn path(page: &str) -> &str {
    page.split(['?', '#']).next().unwrap_or(page)
}
