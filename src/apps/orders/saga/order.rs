//! What is known of one order: the state of the saga, and the read model of the pages.
//!
//! It is what a set of events says, in whatever order they came and however often: each fact is the earliest of those that
//! were told, and the timeline stands in the order of the events' own times.

use serde::{Deserialize, Serialize};

use super::timeline::Timeline;
use crate::apps::orders::events::{Body, Cause, Event, Item, Origin, ShortItem};
use crate::apps::orders::facts::keep_earliest;
use crate::apps::orders::money::Cents;

/// An order. As JSON, what isn't known is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Order {
    /// That it was placed: the first fact, but not always the first that is heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placed: Option<Placed>,
    /// That it was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorized: Option<Authorized>,
    /// That the bank refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declined: Option<Declined>,
    /// That the money went back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Refunded>,
    /// That everything is set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Done>,
    /// That something is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    /// That everything is back in stock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<Done>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Every event about it.
    pub timeline: Timeline,
}

/// Declares facts: each begins with when it happened (`at`, in milliseconds since the epoch), so that the earliest is the least.
macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            /// When, in milliseconds since the epoch.
            pub at: i64,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    )*};
}

facts! {
    /// Something was done, and there is no more to say.
    Done {}

    /// An order was placed.
    Placed {
        /// The customer.
        user_id: String,
        /// What it costs.
        total: Cents,
        /// What was ordered.
        items: Vec<Item>,
        /// The request it came from.
        origin: Origin,
    }

    /// The bank holds the money.
    Authorized {
        /// How much.
        amount: Cents,
        /// The payment.
        payment_id: String,
    }

    /// The bank refused to pay.
    Declined {
        /// Why.
        reason: String,
    }

    /// The money went back.
    Refunded {
        /// How much.
        amount: Cents,
    }

    /// There is not enough of something.
    Rejected {
        /// Why.
        reason: String,
        /// What is short.
        items: Vec<ShortItem>,
    }

    /// How an order ended.
    Outcome {
        /// Why it was cancelled; `None` when it was completed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cancelled: Option<Cancelled>,
    }
}

/// Why an order was cancelled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cancelled {
    /// For programs.
    pub cause: Cause,
    /// For people.
    pub reason: String,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Neither service has answered.
    Pending,
    /// It is paid.
    PaymentAuthorized,
    /// It won't be paid.
    PaymentDeclined,
    /// Everything is set aside.
    InventoryReserved,
    /// Something is short.
    InventoryRejected,
    /// It is paid and set aside.
    Completed,
    /// It won't be carried out.
    Cancelled,
}

impl Status {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Pending,
        Self::PaymentAuthorized,
        Self::PaymentDeclined,
        Self::InventoryReserved,
        Self::InventoryRejected,
        Self::Completed,
        Self::Cancelled,
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::PaymentAuthorized => "PAYMENT_AUTHORIZED",
            Self::PaymentDeclined => "PAYMENT_DECLINED",
            Self::InventoryReserved => "INVENTORY_RESERVED",
            Self::InventoryRejected => "INVENTORY_REJECTED",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The status of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.name() == name)
    }
}

impl Order {
    /// Where it stands.
    pub fn status(&self) -> Status {
        match &self.outcome {
            Some(Outcome { cancelled: None, .. }) => Status::Completed,
            Some(Outcome { cancelled: Some(_), .. }) => Status::Cancelled,
            None if self.declined.is_some() => Status::PaymentDeclined,
            None if self.rejected.is_some() => Status::InventoryRejected,
            None if self.reserved.is_some() => Status::InventoryReserved,
            None if self.authorized.is_some() => Status::PaymentAuthorized,
            None => Status::Pending,
        }
    }

    /// Takes in what an event says.
    pub fn learn(&mut self, event: &Event) {
        let at = event.at();
        match &event.body {
            Body::OrderPlaced(placed) => keep_earliest(
                &mut self.placed,
                Placed {
                    at,
                    user_id: placed.user_id.clone(),
                    total: placed.total,
                    items: placed.items.clone(),
                    origin: event.origin.clone(),
                },
            ),
            Body::PaymentAuthorized(payment) => keep_earliest(
                &mut self.authorized,
                Authorized { at, amount: payment.amount, payment_id: payment.payment_id.clone() },
            ),
            Body::PaymentDeclined(payment) => {
                keep_earliest(&mut self.declined, Declined { at, reason: payment.reason.clone() });
            }
            Body::PaymentRefunded(payment) => {
                keep_earliest(&mut self.refunded, Refunded { at, amount: payment.amount });
            }
            Body::InventoryReserved(_) => keep_earliest(&mut self.reserved, Done { at }),
            Body::InventoryRejected(rejected) => keep_earliest(
                &mut self.rejected,
                Rejected { at, reason: rejected.reason.clone(), items: rejected.items.clone() },
            ),
            Body::InventoryReleased(_) => keep_earliest(&mut self.released, Done { at }),
            Body::OrderCompleted(_) => keep_earliest(&mut self.outcome, Outcome { at, cancelled: None }),
            Body::OrderCancelled(cancelled) => {
                let cancelled = Cancelled { cause: cancelled.cause, reason: cancelled.reason.clone() };
                keep_earliest(&mut self.outcome, Outcome { at, cancelled: Some(cancelled) });
            }
            Body::PageView(_) | Body::TopProductsUpdated(_) => return,
        }
        self.timeline.add(event);
    }
}
