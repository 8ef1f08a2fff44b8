//! The analytics and the notifications by themselves.

use std::time::Duration;

use proptest::prelude::*;

use super::fixtures::{ORDER, RETENTION, at, authorized, cancelled, completed, event, only, placed, states};
use crate::apps::Prefix;
use crate::apps::orders::analytics::counts::minute_key;
use crate::apps::orders::analytics::{Analytics, State, TOTALS};
use crate::apps::orders::events::{Body, Cause, Event, PageView, Time, TopProduct};
use crate::apps::orders::money::Cents;
use crate::apps::orders::notification::Notifications;
use crate::processor::Processor;

const ANALYTICS: Analytics = Analytics { prefix: Prefix(String::new()), retention: RETENTION };

fn looked(id: &str, at: i64, page: &str) -> Event {
    let view = PageView { page: page.to_owned(), user_id: None, session_id: None, user_agent: None, ts: Time(at) };
    Event { id: id.to_owned(), ..event(view) }
}

fn named(id: &str, event: Event) -> Event {
    Event { id: id.to_owned(), ..event }
}

#[test]
fn minutes_are_kept_as_long_as_one_may_look_back() {
    let short = Analytics { prefix: Prefix::default(), retention: Duration::from_secs(60) };
    let kept = |key: &str| short.lifetime(key, &State::Unknown).map(|kept| kept.as_secs());
    assert_eq!((kept(TOTALS), kept(&minute_key(61_000))), (None, Some(86_400)));
    assert_eq!((kept("order:o1"), kept("view:v1")), (Some(60), Some(60)));
}

#[test]
fn every_event_is_counted_once_in_its_minute_and_altogether() {
    let order = placed(61_000, &[("mug", 2, 1_250), ("pen", 1, 99)]);
    let events =
        [order.clone(), authorized(62_000, 2_599), looked("v1", 63_000, "/orders?page=2"), order, completed(125_000)];
    let states = states(&ANALYTICS, &events);
    let minute = states.get(&minute_key(61_000)).minute().unwrap();
    assert_eq!((minute.placed, minute.completed, minute.revenue_cents), (1, 0, 2_599));
    assert_eq!(minute.views.iter().collect::<Vec<_>>(), [("/orders", &1)]);
    let mugs = minute.products.iter().next().unwrap();
    assert_eq!((mugs.0, mugs.1.count, mugs.1.revenue_cents), ("mug", 2, 2_500));
    let next = states.get("minute:120000").minute().unwrap();
    assert_eq!((next.placed, next.completed), (0, 1));
    let totals = &states.get(TOTALS).totals().unwrap();
    assert_eq!(
        (totals.counts.placed, totals.counts.completed, totals.counts.open(), totals.latest),
        (1, 1, 0, 125_000)
    );
}

#[test]
fn cancellations_are_counted_by_cause() {
    let states = states(&ANALYTICS, &[cancelled(1), named("other", cancelled(2))]);
    let counts = &states.get(TOTALS).totals().unwrap().counts;
    assert_eq!(counts.cancelled.get(&Cause::Other), Some(&2));
    assert_eq!(counts.cancelled_altogether(), 2);
}

#[test]
fn a_ranking_is_told_at_once_and_then_every_ten_seconds_if_anything_was_ordered() {
    let order = |id: &str, at, product, quantity| named(id, placed(at, &[(product, quantity, 100)]));
    let long_ago = order("0", 1_000, "desk", 9);
    let mut states = states(&ANALYTICS, &[long_ago, order("1", 901_000, "mug", 2), order("2", 902_000, "pen", 2)]);
    let decide = |states: &_, now| ANALYTICS.decide(TOTALS, states, &at(now)).unwrap();
    let first = decide(&states, 903_000).events;
    let Some(Body::TopProductsUpdated(ranking)) = only(first.clone()) else { panic!("{first:?}") };
    let product = |id: &str, count| TopProduct { product_id: id.to_owned(), count, revenue: Cents(200) };
    assert_eq!(ranking.top, [product("mug", 2), product("pen", 2)], "the desk was ordered too long ago");
    assert_eq!((ranking.orders, ranking.period.as_str()), (3, "10m"));
    ANALYTICS.evolve(&first[0], &mut states);
    let quiet = decide(&states, 999_000);
    assert_eq!((quiet.events.len(), quiet.wake), (0, None));
    ANALYTICS.evolve(&order("3", 904_000, "pen", 1), &mut states);
    assert_eq!(decide(&states, 904_000).wake, Some(913_000));
    let Some(Body::TopProductsUpdated(ranking)) = only(decide(&states, 913_000).events) else { panic!("no ranking") };
    assert_eq!(ranking.top[0], TopProduct { product_id: "pen".to_owned(), count: 3, revenue: Cents(300) });
    let needed = ANALYTICS.needs(TOTALS, states.get(TOTALS));
    assert!(needed.contains(&"minute:900000".to_owned()) && needed.len() == 10, "{needed:?}");
}

#[test]
fn an_order_is_told_of_once_whatever_comes_later() {
    let service = Notifications { prefix: Prefix::default(), retention: RETENTION };
    let once = states(&service, &[cancelled(5)]);
    let again = states(&service, &[cancelled(5), cancelled(5)]);
    assert_eq!(once.get(ORDER), again.get(ORDER));
    let sent = once.get(ORDER).sent.as_ref().unwrap();
    assert_eq!((sent.at, sent.subject.as_str()), (5, "Your order o1 was cancelled: changed my mind"));
}

proptest! {
    #[test]
    fn counts_are_the_same_in_whatever_order_and_however_often_events_come(
        (events, shuffled) in prop::collection::vec((0..40_u8, 0..4_u8), 0..80).prop_flat_map(|drawn| {
            let made = |(id, kind): (u8, u8)| {
                // An id is of one event.
                let (name, at) = (format!("{kind}-{id}"), i64::from(id) * 20_000);
                match kind {
                    0 => named(&name, placed(at, &[("mug", u32::from(id) + 1, 5)])),
                    1 => named(&name, authorized(at, 7)),
                    2 => named(&name, cancelled(at)),
                    _ => looked(&name, at, "/"),
                }
            };
            let events: Vec<_> = drawn.into_iter().map(made).collect();
            (Just(events.clone()), Just([events.clone(), events].concat()).prop_shuffle())
        })
    ) {
        let text = |events: &[Event]| {
            let states = states(&ANALYTICS, events);
            states.iter().map(|(key, state)| format!("{key} {}\n", serde_json::to_string(state).unwrap())).collect::<String>()
        };
        prop_assert_eq!(text(&events), text(&shuffled));
    }
}
