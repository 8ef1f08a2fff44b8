//! The events of an order, and of those who look: what happened, when, for whom, and where it stands in the log.
//!
//! - [`payload`]: what each tells.
//! - [`check`]: the limits of what can be told; reading and writing keep the same ones.
//! - [`envelope`]: how a record holds an event.
//! - [`schema`]: the JSON Schemas, made of the types.
//! - [`time`]: times as events say them.

pub mod check;
pub mod envelope;
pub mod payload;
pub mod schema;
pub mod time;

use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::topics;
use crate::telemetry::trace::TraceContext;
pub use payload::{
    Cause, InventoryRejected, InventoryReleased, InventoryReserved, Item, OrderCancelled, OrderCompleted, OrderPlaced,
    PageView, PaymentAuthorized, PaymentDeclined, PaymentRefunded, ReleasedItem, ReservedItem, ShortItem, TopProduct,
    TopProductsUpdated,
};
pub use time::Time;

/// The space in which ids are derived (RFC 9562, version 5): the same fact has the same id whoever derives it, and when.
const NAMESPACE: Uuid = Uuid::from_u128(0x1d9b_5a3e_7c64_4f0e_9a1b_2f8c_60d7_e5a4);

/// The id that follows from `name`.
pub fn derived_id(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Identifies it: two with one id are one event.
    pub id: String,
    /// The request that set it off.
    pub origin: Origin,
    /// What happened, and when.
    pub body: Body,
    /// Where it stands in the log; `None` before it has been read from there.
    pub place: Option<Place>,
}

/// The request that set an event off.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Ties together everything that the request set off.
    pub correlation_id: String,
    /// Its trace, as 32 hexadecimal digits.
    pub trace_id: String,
    /// Whether the trace is recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sampled: bool,
}

/// Where an event stands in its topic. The earlier place is the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The offset.
    pub offset: i64,
    /// The partition.
    pub partition: i32,
}

/// What every payload has.
trait Payload {
    fn ts(&mut self) -> &mut Time;
    fn order(&self) -> Option<&str>;
    fn check(&self) -> Result<(), String>;
}

/// Declares the events: the type of each, and the topic it belongs to.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident in $topic:path;)*) => {
        /// What kind of event it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventType { $($(#[$doc])* $name,)* }

        impl EventType {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The topic that it belongs to, before the prefix.
            pub fn topic(self) -> &'static str {
                match self { $(Self::$name => $topic,)* }
            }

            fn read(self, payload: &RawValue) -> serde_json::Result<Body> {
                match self { $(Self::$name => serde_json::from_str(payload.get()).map(Body::$name),)* }
            }

            fn payload_schema(self, generator: &mut SchemaGenerator) -> Schema {
                match self { $(Self::$name => generator.subschema_for::<payload::$name>(),)* }
            }
        }

        /// What happened.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Body { $($(#[$doc])* $name($name),)* }

        $(
            impl From<$name> for Body {
                fn from(payload: $name) -> Self {
                    Self::$name(payload)
                }
            }
        )*

        impl Body {
            /// What kind of event it is.
            pub fn event_type(&self) -> EventType {
                match self { $(Self::$name(_) => EventType::$name,)* }
            }

            fn payload(&mut self) -> &mut dyn Payload {
                match self { $(Self::$name(payload) => payload,)* }
            }

            /// When it happened, in milliseconds since the epoch.
            pub fn at(&self) -> i64 {
                match self { $(Self::$name(payload) => payload.ts.0,)* }
            }

            /// The order that it is about.
            pub fn order(&self) -> Option<&str> {
                match self { $(Self::$name(payload) => payload.order(),)* }
            }

            /// Whether it keeps the limits.
            ///
            /// # Errors
            /// The first that it doesn't, for people.
            pub fn check(&self) -> Result<(), String> {
                match self { $(Self::$name(payload) => payload.check(),)* }
            }
        }
    };
}

events! {
    /// A customer placed an order.
    OrderPlaced in topics::ORDERS;
    /// The bank holds the money.
    PaymentAuthorized in topics::PAYMENTS;
    /// The bank refused to pay.
    PaymentDeclined in topics::PAYMENTS;
    /// Everything needed is set aside.
    InventoryReserved in topics::INVENTORY;
    /// There is not enough of something.
    InventoryRejected in topics::INVENTORY;
    /// The order is paid and set aside.
    OrderCompleted in topics::OUTCOME;
    /// The order won't be carried out.
    OrderCancelled in topics::OUTCOME;
    /// The money went back.
    PaymentRefunded in topics::PAYMENTS;
    /// What was set aside is back in stock.
    InventoryReleased in topics::INVENTORY;
    /// Somebody looked at a page.
    PageView in topics::PAGE_VIEWS;
    /// Which products were ordered most.
    TopProductsUpdated in topics::SNAPSHOTS;
}

impl EventType {
    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }
}

impl Event {
    /// An event about an order, not yet written. Its id follows from the order and what happened to it, since each thing
    /// happens to an order once.
    pub fn of_order(body: impl Into<Body>, origin: Origin) -> Self {
        let body = body.into();
        Self { id: order_event_id(&body), origin, body, place: None }
    }

    /// Whether its id is the one that follows from what happened: then it was made here.
    pub fn is_derived(&self) -> bool {
        self.id == order_event_id(&self.body)
    }

    /// When it happened, in milliseconds since the epoch.
    pub fn at(&self) -> i64 {
        self.body.at()
    }

    /// The order that it is about, or nothing.
    pub fn order(&self) -> &str {
        self.body.order().unwrap_or_default()
    }
}

impl Origin {
    /// The origin that is a request with this correlation and trace.
    pub fn new(correlation_id: impl Into<String>, trace: TraceContext) -> Self {
        Self {
            correlation_id: correlation_id.into(),
            trace_id: format!("{:032x}", trace.trace_id),
            sampled: trace.sampled,
        }
    }

    /// The trace, seen from the event with this id.
    pub fn trace(&self, event_id: &str) -> TraceContext {
        let trace_id = u128::from_str_radix(&self.trace_id, 16).unwrap_or_default().max(1);
        let (_, low) = id_of(event_id).as_u64_pair();
        TraceContext { trace_id, span_id: low.max(1), sampled: self.sampled }
    }
}

fn order_event_id(body: &Body) -> String {
    derived_id(&format!("{}/{}", body.order().unwrap_or_default(), body.event_type().name())).to_string()
}

/// The id as a number; of one that is no UUID, the UUID that follows from it.
fn id_of(id: &str) -> Uuid {
    id.parse().unwrap_or_else(|_| derived_id(id))
}
