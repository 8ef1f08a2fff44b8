//! The inventory service by itself.

use super::fixtures::{ORDER, RETENTION, at, cancelled, completed, only, placed, rejected, reserved, states};
use crate::apps::Prefix;
use crate::apps::orders::events::{Body, Event, ShortItem};
use crate::apps::orders::inventory::{Inventory, State, stock_key};
use crate::apps::orders::service::Service;
use crate::apps::orders::switches::{LiveSwitches, Switches};
use crate::processor::{Failure, Processor, States};

fn service(switches: Switches) -> Inventory {
    Inventory::new(Prefix::default(), LiveSwitches::fixed(switches), RETENTION)
}

fn decided(service: &Inventory, states: &States<State>) -> Vec<Event> {
    service.decide(&format!("order:{ORDER}"), states, &at(9)).unwrap().events
}

fn stock(states: &States<State>, product: &str) -> u64 {
    states.get(&stock_key(product)).reserved()
}

#[test]
fn everything_is_set_aside_and_put_back_once() {
    let service = service(Switches::calm());
    let order = placed(1, &[("mug", 2, 5), ("pen", 1, 5), ("mug", 1, 5)]);
    let mut states = states(&service, &[order.clone(), order]);
    let reserving = decided(&service, &states);
    for event in reserving.iter().chain(&reserving) {
        service.evolve(event, &mut states);
    }
    assert_eq!((stock(&states, "mug"), stock(&states, "pen")), (3, 1));
    assert!(decided(&service, &states).is_empty());
    service.evolve(&cancelled(4), &mut states);
    let releasing = decided(&service, &states);
    assert!(matches!(only(releasing.clone()), Some(Body::InventoryReleased(_))), "{releasing:?}");
    for event in releasing.iter().chain(&reserving).chain(&releasing) {
        service.evolve(event, &mut states);
    }
    assert_eq!((stock(&states, "mug"), stock(&states, "pen")), (0, 0));
    assert!(decided(&service, &states).is_empty());
}

#[test]
fn an_order_gets_everything_or_nothing() {
    let service = service(Switches { stock: [("pen".to_owned(), 1)].into(), ..Switches::calm() });
    let states = states(&service, &[placed(1, &[("mug", 2, 5), ("pen", 2, 5)])]);
    let Some(Body::InventoryRejected(rejected)) = only(decided(&service, &states)) else { panic!("not rejected") };
    assert_eq!(rejected.items, [ShortItem { product_id: "pen".to_owned(), quantity: 2, available_quantity: 1 }]);
    assert_eq!(rejected.reason, "not enough in stock: pen");
}

#[test]
fn what_is_set_aside_for_others_is_not_there() {
    let service = service(Switches { stock_capacity: 5, ..Switches::calm() });
    let mut states = states(&service, &[placed(1, &[("mug", 3, 5)])]);
    *states.get_mut(&stock_key("mug")) = State::Stock(2);
    assert!(matches!(only(decided(&service, &states)), Some(Body::InventoryReserved(_))));
    *states.get_mut(&stock_key("mug")) = State::Stock(3);
    assert!(matches!(only(decided(&service, &states)), Some(Body::InventoryRejected(_))));
    // The stock was made smaller than what is set aside.
    *states.get_mut(&stock_key("mug")) = State::Stock(9);
    let Some(Body::InventoryRejected(rejected)) = only(decided(&service, &states)) else { panic!("not rejected") };
    assert_eq!(rejected.items[0].available_quantity, 0);
}

#[test]
fn an_order_that_is_cancelled_or_was_rejected_gets_nothing() {
    let service = service(Switches::calm());
    for first in [cancelled(3), rejected(3)] {
        let states = states(&service, &[first, placed(1, &[("mug", 2, 5)])]);
        assert!(decided(&service, &states).is_empty());
    }
}

#[test]
fn a_reservation_is_forgotten_only_when_nothing_is_to_be_done_about_it() {
    let service = service(Switches::calm());
    let key = format!("order:{ORDER}");
    let kept = |states: &States<State>| service.lifetime(&key, states.get(&key));
    let (placed, reserved) = (placed(1, &[("mug", 2, 5)]), reserved(2, "mug", 2));
    let held = [placed.clone(), reserved.clone()];
    assert_eq!(kept(&states(&service, &held)), None, "it may have to be released");
    assert_eq!(kept(&states(&service, &[&held[..], &[completed(3)]].concat())), Some(RETENTION));
    let mut states_then = states(&service, &[&held[..], &[cancelled(3)]].concat());
    assert_eq!(kept(&states_then), None, "it has to be released");
    decided(&service, &states_then).iter().for_each(|event| service.evolve(event, &mut states_then));
    assert_eq!(kept(&states_then), Some(RETENTION));
    assert_eq!(kept(&states(&service, &[placed.clone(), rejected(2), cancelled(3)])), Some(RETENTION));
    assert!(kept(&states(&service, &[cancelled(3)])) > Some(RETENTION), "the order may be read last");
    let stock = stock_key("mug");
    assert_eq!(service.lifetime(&stock, states(&service, &held).get(&stock)), None);
}

#[test]
fn a_service_that_is_away_is_asked_again() {
    let service = service(Switches { inventory_failure_chance: 1.0, ..Switches::calm() });
    let states = states(&service, &[placed(1, &[("mug", 2, 5)])]);
    let failure = service.decide(&format!("order:{ORDER}"), &states, &at(9)).unwrap_err();
    assert!(matches!(failure, Failure::Transient(_)), "{failure:?}");
}

#[test]
fn what_was_put_back_before_it_was_set_aside_is_not_set_aside() {
    let service = service(Switches::calm());
    let mut states = states(&service, &[placed(1, &[("mug", 2, 5)]), reserved(2, "mug", 2), cancelled(3)]);
    let releasing = decided(&service, &states);
    let mut other = States::default();
    for event in releasing.iter().chain(&[cancelled(3), reserved(2, "mug", 2), placed(1, &[("mug", 2, 5)])]) {
        service.evolve(event, &mut other);
    }
    releasing.iter().for_each(|event| service.evolve(event, &mut states));
    // What is the default is not kept.
    let kept = |states: &States<State>| -> Vec<(String, State)> {
        let known = states.iter().filter(|(_, state)| **state != State::Unknown);
        known.map(|(key, state)| (key.to_owned(), state.clone())).collect()
    };
    assert_eq!(kept(&states), kept(&other));
}
