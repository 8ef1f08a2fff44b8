//! What each event tells: the payloads of the envelopes, with the names that they have on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;
use crate::apps::orders::money::Cents;

/// Declares payloads: structs of the wire, in camel case.
macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    )*};
}

payloads! {
    /// One line of an order.
    Item {
        /// The product.
        product_id: String,
        /// How many, at least one.
        #[schemars(range(min = 1, max = 10_000))]
        quantity: u32,
        /// What one costs; more than nothing.
        #[schemars(extend("exclusiveMinimum" = 0))]
        price: Cents,
        /// What people call the product.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    }

    /// A customer placed an order.
    OrderPlaced {
        /// The order.
        order_id: String,
        /// The customer.
        user_id: String,
        /// What was ordered; at least one line.
        #[schemars(length(min = 1, max = 100))]
        items: Vec<Item>,
        /// What it costs altogether: the sum of the items.
        total: Cents,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        ts: Time,
    }

    /// The bank holds the money for an order.
    PaymentAuthorized {
        /// The order.
        order_id: String,
        /// The payment.
        payment_id: String,
        /// How much.
        amount: Cents,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        ts: Time,
    }

    /// The bank refused to pay for an order.
    PaymentDeclined {
        /// The order.
        order_id: String,
        /// Why.
        reason: String,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        ts: Time,
    }

    /// The money of a cancelled order went back.
    PaymentRefunded {
        /// The order.
        order_id: String,
        /// The payment that is undone.
        payment_id: String,
        /// How much.
        amount: Cents,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        ts: Time,
    }

    /// Everything an order needs is set aside.
    InventoryReserved {
        /// The order.
        order_id: String,
        /// What was set aside, each product once.
        items: Vec<ReservedItem>,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        ts: Time,
    }

    /// A product that was set aside.
    ReservedItem {
        /// The product.
        product_id: String,
        /// How many.
        quantity: u32,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        reserved_at: Time,
    }

    /// There is not enough of something that an order needs; nothing was set aside.
    InventoryRejected {
        /// The order.
        order_id: String,
        /// Why.
        reason: String,
        /// The products that are short.
        items: Vec<ShortItem>,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        ts: Time,
    }

    /// A product of which there is not enough.
    ShortItem {
        /// The product.
        product_id: String,
        /// How many were asked for.
        quantity: u32,
        /// How many there were.
        available_quantity: u64,
    }

    /// What was set aside for a cancelled order is back in stock.
    InventoryReleased {
        /// The order.
        order_id: String,
        /// What went back, each product once.
        items: Vec<ReleasedItem>,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        ts: Time,
    }

    /// A product that went back into stock.
    ReleasedItem {
        /// The product.
        product_id: String,
        /// How many.
        quantity: u32,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        released_at: Time,
    }

    /// An order is paid and everything it needs is set aside.
    OrderCompleted {
        /// The order.
        order_id: String,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        ts: Time,
    }

    /// An order won't be carried out; what was done for it is undone.
    OrderCancelled {
        /// The order.
        order_id: String,
        /// Why, for people.
        reason: String,
        /// Why, for programs.
        #[serde(default)]
        cause: Cause,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        ts: Time,
    }

    /// Somebody looked at a page.
    PageView {
        /// The page's path.
        page: String,
        /// The customer, when known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_id: Option<String>,
        /// The visit it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_id: Option<String>,
        /// The browser.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_agent: Option<String>,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        ts: Time,
    }

    /// Which products were ordered most, lately.
    TopProductsUpdated {
        /// The products, the most ordered first.
        top: Vec<TopProduct>,
        /// The time that is counted, e.g. `10m`: the last ten minutes.
        period: String,
        /// How many orders had been placed by then, of all time.
        #[serde(default)]
        orders: u64,
        /// When.
        #[serde(default)]
        #[schemars(!default)]
        ts: Time,
    }

    /// How much of a product was ordered.
    TopProduct {
        /// The product.
        product_id: String,
        /// How many pieces.
        count: u64,
        /// What they cost together.
        revenue: Cents,
    }
}

/// Why an order was cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The bank refused to pay.
    PaymentDeclined,
    /// There was not enough in stock.
    InventoryRejected,
    /// The services did not answer in time.
    TimedOut,
    /// Something else, or not said.
    #[default]
    #[serde(other)]
    Other,
}

impl Cause {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::PaymentDeclined => "payment_declined",
            Self::InventoryRejected => "inventory_rejected",
            Self::TimedOut => "timed_out",
            Self::Other => "other",
        }
    }
}
