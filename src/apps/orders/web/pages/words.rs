//! What people call the statuses of orders and the events that happen to them.

use crate::apps::orders::events::{Cause, EventType};
use crate::apps::orders::saga::order::Status;

/// A status, as it is shown.
pub trait Shown {
    /// The class of its badge and its sign, so that the colour isn't all that tells.
    fn badge(&self) -> (&'static str, &'static str);

    /// What people call it.
    fn words(&self) -> &'static str;
}

impl Shown for Status {
    fn badge(&self) -> (&'static str, &'static str) {
        match self {
            Self::Completed => ("badge-good", "✓"),
            Self::Cancelled | Self::PaymentDeclined | Self::InventoryRejected => ("badge-bad", "✕"),
            Self::Pending | Self::PaymentAuthorized | Self::InventoryReserved => ("badge-open", "…"),
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::PaymentAuthorized => "Paid, waits for stock",
            Self::PaymentDeclined => "Payment declined",
            Self::InventoryReserved => "Reserved, waits for payment",
            Self::InventoryRejected => "Out of stock",
            Self::Completed => "Completed",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// What happened.
pub fn event(event: EventType) -> &'static str {
    match event {
        EventType::OrderPlaced => "Order placed",
        EventType::PaymentAuthorized => "Payment authorized",
        EventType::PaymentDeclined => "Payment declined",
        EventType::PaymentRefunded => "Payment refunded",
        EventType::InventoryReserved => "Stock reserved",
        EventType::InventoryRejected => "Not enough in stock",
        EventType::InventoryReleased => "Stock released",
        EventType::OrderCompleted => "Order completed",
        EventType::OrderCancelled => "Order cancelled",
        EventType::PageView => "Page viewed",
        EventType::TopProductsUpdated => "Ranking updated",
    }
}

/// How an event is marked in a timeline: its class, and its sign.
pub fn event_mark(event: EventType) -> (&'static str, &'static str) {
    match event {
        EventType::PaymentDeclined | EventType::InventoryRejected | EventType::OrderCancelled => ("failed", "✕"),
        EventType::PaymentRefunded | EventType::InventoryReleased => ("undone", "↺"),
        _ => ("done", "✓"),
    }
}

/// Why orders were cancelled.
pub fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::PaymentDeclined => "Payment declined",
        Cause::InventoryRejected => "Out of stock",
        Cause::TimedOut => "Timed out",
        Cause::Other => "Other",
    }
}

/// A time between two events, in milliseconds: `0 ms`, `850 ms`, `1.25 s`, `2m 5s`.
pub fn since(millis: i64) -> String {
    match millis {
        ..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{:.2} s", millis as f64 / 1_000.0),
        _ => crate::web::human::length(millis),
    }
}

/// The end of an order's id, by which people tell orders apart: ids of one moment begin alike.
pub fn short(id: &str) -> &str {
    let length = id.chars().count();
    match length {
        ..=12 => id,
        _ => id.char_indices().nth(length - 12).map_or(id, |(at, _)| &id[at..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cut_and_lengths_told() {
        assert_eq!(short("0193a5b2-7c1d-7e2f-8a3b-4c5d6e7f8091"), "4c5d6e7f8091");
        assert_eq!((short("o1"), short("ééééééééééééé")), ("o1", "éééééééééééé"));
        assert_eq!(
            (since(0), since(999), since(1_250), since(125_000)),
            ("0 ms".into(), "999 ms".into(), "1.25 s".into(), "2m 5s".into())
        );
    }
}
