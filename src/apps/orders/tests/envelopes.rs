//! How records hold events.

use bytes::Bytes;
use krafka::ConsumerRecord;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixtures::{ORDER, authorized, cancelled, completed, declined, event, placed, rejected, reserved};
use crate::apps::Prefix;
use crate::apps::orders::events::{Body, Cause, Event, EventType, PageView, Place, Time, envelope};
use crate::apps::orders::topics;
use crate::kafka::Outgoing;
use crate::kafka::event::{CORRELATION_ID, EVENT_ID, EVENT_TYPE, TIMESTAMP, TRACEPARENT, header_str};

fn prefix() -> Prefix {
    Prefix("test-".to_owned())
}

fn read_from(topic: &str, value: &Value, headers: &[(&str, &str)]) -> Result<Event, String> {
    let mut record = ConsumerRecord::new(topic, 1, 7, None, Some(Bytes::from(value.to_string())));
    let header = |(name, value): &(&str, &str)| ((*name).to_owned(), Some(Bytes::copy_from_slice(value.as_bytes())));
    record.headers = headers.iter().map(header).collect();
    envelope::read(&prefix(), &record)
}

fn read_back(outgoing: &Outgoing) -> Event {
    let (key, value) = (outgoing.key.clone(), outgoing.value.clone());
    let mut record = ConsumerRecord::new(outgoing.topic.as_str(), 1, 7, key, value);
    record.headers.clone_from(&outgoing.headers);
    envelope::read(&prefix(), &record).unwrap()
}

fn order() -> Value {
    json!({"orderId": "o1", "userId": "u1", "total": 25, "items": [{"productId": "mug", "quantity": 2, "price": 12.5}]})
}

fn ours(payload: &Value) -> Value {
    json!({"eventId": "e1", "eventType": "OrderPlaced", "eventVersion": "1", "timestamp": "2026-01-31T12:00:00Z",
           "correlationId": "c1", "payload": payload})
}

#[test]
fn every_event_is_read_as_it_was_written() {
    let view = PageView {
        page: "/orders".to_owned(),
        user_id: None,
        session_id: Some("s".into()),
        user_agent: None,
        ts: Time(5),
    };
    let view = Event { id: "view-1".to_owned(), ..event(view) };
    let events = [
        placed(1_000, &[("mug", 2, 1_250), ("pen", 1, 99)]),
        authorized(1_001, 2_599),
        declined(1_002),
        reserved(1_003, "mug", 2),
        rejected(1_004),
        completed(1_005),
        cancelled(1_006),
        view,
    ];
    for event in events {
        let outgoing = envelope::write(&prefix(), &event);
        assert_eq!(outgoing.topic, format!("test-{}", event.body.event_type().topic()));
        assert_eq!(outgoing.timestamp, event.at());
        assert_eq!(read_back(&outgoing), Event { place: Some(Place { partition: 1, offset: 7 }), ..event });
    }
}

#[test]
fn the_headers_say_what_the_envelope_says() {
    let event = authorized(1_769_860_800_000, 2_500);
    let outgoing = envelope::write(&prefix(), &event);
    let header = |name| header_str(&outgoing.headers, name).unwrap();
    let value: Value = serde_json::from_slice(outgoing.value.as_deref().unwrap()).unwrap();
    assert_eq!(outgoing.key.as_deref(), Some(ORDER.as_bytes()));
    assert_eq!(
        (value["eventId"].as_str().unwrap(), value["eventType"].as_str().unwrap()),
        (header(EVENT_ID), header(EVENT_TYPE))
    );
    assert_eq!(value["correlationId"].as_str().unwrap(), header(CORRELATION_ID));
    assert_eq!((&value["timestamp"], header(TIMESTAMP)), (&json!("2026-01-31T12:00:00.000Z"), "1769860800000"));
    assert_eq!(value["payload"]["amount"], 25);
    assert_eq!(value["payload"]["ts"], value["timestamp"]);
    let trace = value["metadata"]["traceId"].as_str().unwrap();
    assert!(header(TRACEPARENT).starts_with(&format!("00-{trace}-")) && header(TRACEPARENT).ends_with("-01"));
}

#[test]
fn the_envelope_of_older_producers_is_read_too() {
    let value = json!({"id": "9b2f", "timestamp": "2026-01-31T12:00:00Z", "correlationId": "c1",
                       "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "version": "1.0.0", "data": order()});
    let event = read_from("test-orders.v1", &value, &[("event-type", "OrderPlaced")]).unwrap();
    assert_eq!((event.id.as_str(), event.at(), event.order()), ("9b2f", 1_769_860_800_000, "o1"));
    assert_eq!(event.origin.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    // There is only one type of event in the topic.
    assert_eq!(read_from("test-orders.v1", &value, &[]).unwrap(), event);
    let cancelled = json!({"id": "1", "timestamp": 5, "data": {"orderId": "o1", "reason": "no money"}});
    let event = read_from("test-orders.outcome.v1", &cancelled, &[("event-type", "OrderCancelled")]).unwrap();
    let Body::OrderCancelled(order) = &event.body else { panic!("{event:?}") };
    assert_eq!((order.cause, event.at(), event.origin.correlation_id.as_str()), (Cause::Other, 5, "1"));
    let again = read_from("test-orders.outcome.v1", &cancelled, &[("event-type", "OrderCancelled")]).unwrap();
    assert_eq!(again, event, "a trace that isn't told follows from what is");
}

#[test]
fn what_is_no_event_says_why_in_words() {
    let with = |field: &str, value: Value| {
        let mut order = order();
        order[field] = value;
        ours(&order)
    };
    let changed = |field: &str, value: Value| {
        let mut envelope = ours(&order());
        envelope[field] = value;
        envelope
    };
    for (value, words) in [
        (json!([]), "no JSON object"),
        (json!({}), "no payload"),
        (with("total", json!(24.99)), "total is 24.99, but the items come to 25.00"),
        (with("total", json!("25")), "an amount of money"),
        (with("items", json!([])), "items must hold at least one"),
        (with("items", json!([{"productId": "mug", "quantity": -1, "price": 1}])), "invalid value"),
        (with("items", json!([{"productId": "mug", "quantity": 0, "price": 1}])), "items[0].quantity must be from 1"),
        (with("items", json!([{"productId": "m g", "quantity": 1, "price": 1}])), "items[0].productId"),
        (with("orderId", json!("")), "orderId is empty"),
        (with("userId", json!("u".repeat(65))), "userId is too long"),
        (changed("eventType", json!("OrderCompleted")), "belongs in orders.outcome.v1, not in orders.v1"),
        (changed("eventType", json!("OrderLost")), "no event type OrderLost"),
        (changed("eventVersion", json!(2)), "version 2"),
        (changed("eventId", json!(null)), "no eventId"),
        (changed("timestamp", json!("soon")), "milliseconds since 1970"),
        (changed("payload", json!(null)), "no payload"),
    ] {
        let reason = read_from("test-orders.v1", &value, &[]).unwrap_err();
        assert!(reason.contains(words), "{value}: {reason}");
    }
    let untimed = json!({"eventId": "e1", "payload": order()});
    assert!(read_from("test-orders.v1", &untimed, &[]).unwrap_err().contains("says no time"));
    let untyped = json!({"eventId": "e1", "timestamp": 5, "payload": {}});
    assert!(read_from("test-payments.v1", &untyped, &[]).unwrap_err().contains("which type"));
    let empty = ConsumerRecord::new("test-orders.v1", 0, 0, None, None);
    assert!(envelope::read(&prefix(), &empty).unwrap_err().contains("no value"));
}

#[test]
fn every_type_has_a_topic_of_the_app() {
    let topics: Vec<_> = topics::specs(&Prefix::default()).into_iter().map(|spec| spec.name).collect();
    for known in EventType::ALL {
        assert!(topics.iter().any(|topic| topic == known.topic()), "{known:?}");
        assert_eq!(EventType::named(known.name()), Some(*known));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes: Vec<u8>, json in "\\{\"(eventId|payload|data|timestamp)\":.{0,40}\\}") {
        for value in [bytes, json.into_bytes()] {
            let record = ConsumerRecord::new("test-orders.v1", 0, 0, None, Some(Bytes::from(value)));
            let _ = envelope::read(&prefix(), &record);
        }
    }
}
