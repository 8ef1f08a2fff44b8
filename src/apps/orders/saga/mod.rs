//! `order-saga`: joins what became of the payment and the reservation of every order, in whatever order they are heard of, and
//! says once how the order ended. Its state of an order is what the pages show.
//!
//! - [`order`]: what is known of one order.
//! - [`timeline`]: its events.
//!
//! Keys are the ids of orders. Indexes: [`ALL`], [`by_status`], [`by_customer`]; the newest order comes first in each.

pub mod order;
pub mod timeline;

use std::time::Duration;

use krafka::ConsumerRecord;
use serde_json::json;

use super::events::{Body, Cause, Event, EventType, OrderCancelled, OrderCompleted, Time, envelope};
use super::service::Service;
use super::switches::{LiveSwitches, Switches};
use super::topics;
use crate::apps::Prefix;
use crate::kafka::Outgoing;
use crate::processor::{Decision, Failure, Index, Moment, Processor, States};
use crate::telemetry::trace::TraceContext;
use order::{Order, Placed, Status};

/// The index of all orders.
pub const ALL: &str = "all";

/// The most orders that an index finds.
const INDEXED: usize = 1_000_000;
/// The most orders of one customer that an index finds.
const INDEXED_BY_CUSTOMER: usize = 1_000;

/// The service.
pub struct Saga {
    /// Put before the names of topics.
    pub prefix: Prefix,
    /// How long it waits.
    pub switches: LiveSwitches,
    /// How long an order that has ended is kept after the last that happened to it.
    pub retention: Duration,
}

/// The index of the orders that stand so.
pub fn by_status(status: Status) -> String {
    format!("status:{}", status.name())
}

/// The index of a customer's orders.
pub fn by_customer(user_id: &str) -> String {
    format!("customer:{user_id}")
}

impl Service for Saga {
    const GROUP: &str = "order-saga";
    // Its own topic, too: the timeline tells where every event stands.
    const TOPICS: &[&str] = &[topics::ORDERS, topics::PAYMENTS, topics::INVENTORY, topics::OUTCOME];
    const EMITS: &[&str] = &[topics::OUTCOME];
    const ANNOUNCES: bool = true;

    fn new(prefix: Prefix, switches: LiveSwitches, retention: Duration) -> Self {
        Self { prefix, switches, retention }
    }
}

impl Processor for Saga {
    type Event = Event;
    type State = Order;

    fn read(&self, record: &ConsumerRecord) -> Result<Option<Event>, String> {
        envelope::read(&self.prefix, record).map(Some)
    }

    fn keys(&self, event: &Event) -> Vec<String> {
        vec![event.order().to_owned()]
    }

    fn evolve(&self, event: &Event, states: &mut States<Order>) {
        states.get_mut(event.order()).learn(event);
    }

    fn decide(&self, id: &str, states: &States<Order>, moment: &Moment) -> Result<Decision<Event>, Failure> {
        Ok(decide(id, states.get(id), moment, &self.switches.get()))
    }

    fn write(&self, event: &Event) -> Outgoing {
        envelope::write(&self.prefix, event)
    }

    fn waited(&self, _id: &str, order: &Order) -> Option<TraceContext> {
        let placed = order.timeline.entries().iter().find(|entry| entry.event_type == EventType::OrderPlaced)?;
        Some(order.placed.as_ref()?.origin.trace(&placed.id))
    }

    fn indexes(&self, _id: &str, order: &Order) -> Vec<Index> {
        let Some(placed) = &order.placed else { return Vec::new() };
        let index = |name, limit| Index { name, score: -(placed.at as f64), limit };
        vec![
            index(ALL.to_owned(), INDEXED),
            index(by_status(order.status()), INDEXED),
            index(by_customer(&placed.user_id), INDEXED_BY_CUSTOMER),
        ]
    }

    fn announce(&self, id: &str, order: &Order) -> Option<String> {
        let placed = order.placed.as_ref()?;
        let steps: Vec<_> = (order.timeline.entries().iter())
            .map(|entry| {
                let place = entry.place;
                json!([entry.event_type, entry.at, place.map(|place| place.partition), place.map(|place| place.offset)])
            })
            .collect();
        let told = json!({
            "orderId": id,
            "status": order.status(),
            "userId": placed.user_id,
            "total": placed.total,
            "placedAt": placed.at,
            "steps": steps,
        });
        Some(told.to_string())
    }

    fn lifetime(&self, _id: &str, order: &Order) -> Option<Duration> {
        let is_open = order.placed.is_some() && order.outcome.is_none();
        (!is_open).then_some(self.retention)
    }
}

fn decide(id: &str, order: &Order, moment: &Moment, switches: &Switches) -> Decision<Event> {
    let (Some(placed), None) = (&order.placed, &order.outcome) else { return Decision::default() };
    let tell = |body| Decision { events: vec![Event::of_order(body, placed.origin.clone())], wake: None };
    let cancel = |cause, reason: String| {
        tell(Body::from(OrderCancelled { order_id: id.to_owned(), reason, cause, ts: Time(moment.now_ms) }))
    };
    if let Some(declined) = &order.declined {
        return cancel(Cause::PaymentDeclined, format!("the payment was declined: {}", declined.reason));
    }
    if let Some(rejected) = &order.rejected {
        return cancel(Cause::InventoryRejected, format!("the order can't be filled: {}", rejected.reason));
    }
    if order.authorized.is_some() && order.reserved.is_some() {
        return tell(Body::from(OrderCompleted { order_id: id.to_owned(), ts: Time(moment.now_ms) }));
    }
    match wait(placed, moment, switches) {
        Some(until) => Decision { events: Vec::new(), wake: Some(until) },
        None => cancel(Cause::TimedOut, unanswered(order, switches)),
    }
}

/// Until when the order waits for its services; `None` when it has waited long enough. An order that is read late, because
/// this service was away, is not given up before it has heard what the others said meanwhile.
fn wait(placed: &Placed, moment: &Moment, switches: &Switches) -> Option<i64> {
    let timeout = switches.saga_timeout_ms as i64; // an hour at most
    let end = placed.at + timeout;
    match moment.now_ms < end {
        true => Some(end),
        false => (!moment.woken).then_some(moment.now_ms + timeout),
    }
}

fn unanswered(order: &Order, switches: &Switches) -> String {
    let services = match (order.authorized.is_some(), order.reserved.is_some()) {
        (false, false) => "neither payment nor inventory",
        (false, true) => "no payment",
        (true, _) => "no inventory",
    };
    format!("timed out: {services} answered within {} ms", switches.saga_timeout_ms)
}
