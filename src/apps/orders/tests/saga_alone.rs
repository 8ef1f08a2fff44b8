//! The saga by itself.

use proptest::prelude::*;

use super::fixtures::{
    ORDER, RETENTION, at, authorized, cancelled, completed, declined, only, placed, rejected, reserved, states,
};
use crate::apps::Prefix;
use crate::apps::orders::events::{Body, Cause, Event, Place};
use crate::apps::orders::saga::order::{Order, Status};
use crate::apps::orders::saga::{ALL, Saga, by_customer, by_status};
use crate::apps::orders::service::Service;
use crate::apps::orders::switches::{LiveSwitches, Switches};
use crate::processor::{Moment, Processor, States};

fn service() -> Saga {
    Saga::new(Prefix::default(), LiveSwitches::fixed(Switches::calm()), RETENTION)
}

fn order() -> Event {
    placed(1_000, &[("mug", 2, 1_250)])
}

fn decided(events: &[Event]) -> Option<Body> {
    let service = service();
    only(service.decide(ORDER, &states(&service, events), &at(2_000)).unwrap().events)
}

fn status(events: &[Event]) -> Status {
    states(&service(), events).get(ORDER).status()
}

#[test]
fn an_order_completes_when_it_is_paid_and_set_aside_in_either_order() {
    let (paid, set_aside) = (authorized(1_100, 2_500), reserved(1_200, "mug", 2));
    for events in [
        [order(), paid.clone(), set_aside.clone()],
        [set_aside.clone(), order(), paid.clone()],
        [paid.clone(), set_aside.clone(), order()],
    ] {
        assert!(matches!(decided(&events), Some(Body::OrderCompleted(_))), "{events:?}");
        assert_eq!(decided(&events[..2]), None);
        assert_eq!(decided(&[&events[..], &[completed(1_300)]].concat()), None);
    }
}

#[test]
fn an_order_is_cancelled_at_once_when_either_service_refuses() {
    for (refusal, cause, words) in [
        (declined(1_100), Cause::PaymentDeclined, "payment was declined"),
        (rejected(1_100), Cause::InventoryRejected, "no mugs"),
    ] {
        let Some(Body::OrderCancelled(cancelled)) = decided(&[refusal, order()]) else { panic!("not cancelled") };
        assert_eq!((cancelled.cause, cancelled.order_id.as_str()), (cause, ORDER));
        assert!(cancelled.reason.contains(words), "{}", cancelled.reason);
    }
}

#[test]
fn an_order_that_waits_too_long_is_cancelled_when_its_time_comes() {
    let service = service();
    let states = states(&service, &[order(), authorized(1_100, 2_500)]);
    let waiting = service.decide(ORDER, &states, &at(2_000)).unwrap();
    assert_eq!((waiting.events.len(), waiting.wake), (0, Some(31_000)));
    let late = Moment { woken: true, ..at(31_000) };
    let Some(Body::OrderCancelled(cancelled)) = only(service.decide(ORDER, &states, &late).unwrap().events) else {
        panic!("not cancelled")
    };
    assert_eq!(cancelled.cause, Cause::TimedOut);
    assert_eq!(cancelled.reason, "timed out: no inventory answered within 30000 ms");
}

#[test]
fn an_order_that_is_read_late_still_hears_the_others_first() {
    let service = service();
    let states = states(&service, &[order()]);
    let waiting = service.decide(ORDER, &states, &at(90_000)).unwrap();
    assert_eq!((waiting.events.len(), waiting.wake), (0, Some(120_000)));
}

#[test]
fn the_status_says_how_far_an_order_is() {
    let (paid, set_aside) = (authorized(2, 2_500), reserved(3, "mug", 2));
    assert_eq!(status(&[order()]), Status::Pending);
    assert_eq!(status(&[order(), paid.clone()]), Status::PaymentAuthorized);
    assert_eq!(status(&[order(), paid.clone(), set_aside]), Status::InventoryReserved);
    assert_eq!(status(&[order(), declined(2)]), Status::PaymentDeclined);
    assert_eq!(status(&[order(), paid, rejected(3)]), Status::InventoryRejected);
    assert_eq!(status(&[order(), completed(4)]), Status::Completed);
    assert_eq!(status(&[order(), completed(5), cancelled(4)]), Status::Cancelled);
    for known in Status::ALL {
        assert_eq!(Status::named(known.name()), Some(*known));
        assert_eq!(serde_json::to_value(known).unwrap(), known.name());
    }
}

#[test]
fn an_order_is_found_by_status_and_customer_the_newest_first() {
    let service = service();
    let states = states(&service, &[order(), completed(2_000)]);
    let indexes = service.indexes(ORDER, states.get(ORDER));
    let names: Vec<_> = indexes.iter().map(|index| index.name.as_str()).collect();
    assert_eq!(names, [ALL, &by_status(Status::Completed), &by_customer("ada")]);
    assert!(indexes.iter().all(|index| index.score == -1_000.0));
    assert!(service.indexes(ORDER, &Order::default()).is_empty());
}

#[test]
fn viewers_are_told_the_status_and_the_steps() {
    let service = service();
    let mut read = order();
    read.place = Some(Place { partition: 2, offset: 40 });
    let states = states(&service, &[authorized(1_100, 2_500), read]);
    let told = service.announce(ORDER, states.get(ORDER)).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["status"], &told["total"]), (&"PAYMENT_AUTHORIZED".into(), &25.into()));
    assert_eq!(told["steps"][0], serde_json::json!(["OrderPlaced", 1_000, 2, 40]));
    assert_eq!(told["steps"][1], serde_json::json!(["PaymentAuthorized", 1_100, null, null]));
    assert_eq!(service.announce(ORDER, &Order::default()), None);
}

/// Events of others: the same things told several times, at other times, and ids used twice.
fn foreign() -> impl Strategy<Value = Event> {
    let at = 0..6_i64;
    let body = prop_oneof![
        (at.clone(), 1..4_i64).prop_map(|(at, cents)| placed(at, &[("mug", 1, cents)])),
        (at.clone(), 1..4_i64).prop_map(|(at, cents)| authorized(at, cents)),
        at.clone().prop_map(declined),
        (at.clone(), 1..4_u32).prop_map(|(at, quantity)| reserved(at, "mug", quantity)),
        at.clone().prop_map(rejected),
        at.clone().prop_map(completed),
        at.prop_map(cancelled),
    ];
    (body, prop::option::of(0..90_u8), prop::option::of((0..3_i32, 0..5_i64))).prop_map(|(mut event, id, place)| {
        event.id = id.map_or(event.id, |id| format!("id-{id}"));
        event.place = place.map(|(partition, offset)| Place { offset, partition });
        event
    })
}

proptest! {
    #[test]
    fn an_order_is_the_same_in_whatever_order_and_however_often_its_events_come(
        (events, shuffled) in prop::collection::vec(foreign(), 0..200).prop_flat_map(|events| {
            let twice = [events.clone(), events.clone()].concat();
            (Just(events), Just(twice).prop_shuffle())
        })
    ) {
        let text = |states: &States<Order>| serde_json::to_string(states.get(ORDER)).unwrap();
        let (one, other) = (states(&service(), &events), states(&service(), &shuffled));
        prop_assert_eq!(text(&one), text(&other));
        let read: Order = serde_json::from_str(&text(&one)).unwrap();
        prop_assert_eq!(&read, one.get(ORDER), "a state survives its JSON");
        prop_assert!(read.timeline.entries().len() <= 64);
    }
}
