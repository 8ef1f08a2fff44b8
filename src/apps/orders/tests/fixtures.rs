//! Events about one order, and what a service makes of them.

use std::time::Duration;

use crate::apps::orders::events::{
    Body, Cause, Event, InventoryRejected, InventoryReserved, Item, OrderCancelled, OrderCompleted, OrderPlaced,
    Origin, PaymentAuthorized, PaymentDeclined, PaymentRefunded, ReservedItem, ShortItem, Time,
};
use crate::apps::orders::money::Cents;
use crate::processor::{Moment, Processor, States};

/// How long services remember an order: longer than any test.
pub const RETENTION: Duration = Duration::from_secs(86_400);
/// The order that the events are about.
pub const ORDER: &str = "o1";

pub fn event(body: impl Into<Body>) -> Event {
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736".to_owned();
    Event::of_order(body, Origin { correlation_id: "request-7".to_owned(), trace_id, sampled: true })
}

fn id() -> String {
    ORDER.to_owned()
}

pub fn placed(at: i64, items: &[(&str, u32, i64)]) -> Event {
    let item = |(product, quantity, cents): &(&str, u32, i64)| Item {
        product_id: (*product).to_owned(),
        quantity: *quantity,
        price: Cents(*cents),
        name: None,
    };
    let items: Vec<_> = items.iter().map(item).collect();
    let total = items.iter().map(|item| item.price.times(item.quantity)).sum();
    event(OrderPlaced { order_id: id(), user_id: "ada".to_owned(), items, total, ts: Time(at) })
}

pub fn authorized(at: i64, cents: i64) -> Event {
    let payment_id = "payment".to_owned();
    event(PaymentAuthorized { order_id: id(), payment_id, amount: Cents(cents), ts: Time(at) })
}

pub fn declined(at: i64) -> Event {
    event(PaymentDeclined { order_id: id(), reason: "no".to_owned(), ts: Time(at) })
}

pub fn refunded(at: i64, cents: i64) -> Event {
    let payment_id = "payment".to_owned();
    event(PaymentRefunded { order_id: id(), payment_id, amount: Cents(cents), ts: Time(at) })
}

pub fn reserved(at: i64, product: &str, quantity: u32) -> Event {
    let item = ReservedItem { product_id: product.to_owned(), quantity, reserved_at: Time(at) };
    event(InventoryReserved { order_id: id(), items: vec![item], ts: Time(at) })
}

pub fn rejected(at: i64) -> Event {
    let item = ShortItem { product_id: "mug".to_owned(), quantity: 2, available_quantity: 1 };
    event(InventoryRejected { order_id: id(), reason: "no mugs".to_owned(), items: vec![item], ts: Time(at) })
}

pub fn completed(at: i64) -> Event {
    event(OrderCompleted { order_id: id(), ts: Time(at) })
}

pub fn cancelled(at: i64) -> Event {
    let reason = "changed my mind".to_owned();
    event(OrderCancelled { order_id: id(), reason, cause: Cause::Other, ts: Time(at) })
}

/// What the events make of nothing.
pub fn states<P: Processor<Event = Event>>(service: &P, events: &[Event]) -> States<P::State> {
    let mut states = States::default();
    events.iter().for_each(|event| service.evolve(event, &mut states));
    states
}

pub fn at(now_ms: i64) -> Moment {
    Moment { now_ms, attempt: 1, woken: false }
}

/// The single event that was decided on, if any.
pub fn only(mut events: Vec<Event>) -> Option<Body> {
    assert!(events.len() <= 1, "{events:?}");
    events.pop().map(|event| event.body)
}
