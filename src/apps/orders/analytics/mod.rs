//! `order-analytics`: counts what happens, minute by minute and altogether, and says now and then what is ordered most.
//!
//! - [`counts`]: what is counted.
//! - [`tally`]: sums by names that come from outside.
//!
//! Keys: [`TOTALS`]; [`minute_key`](counts::minute_key) of each minute in which something happened, by the events' own times;
//! and one for each order and page view, which remembers the ids of the events that were counted.

pub mod counts;
pub mod tally;

use std::collections::BTreeSet;
use std::time::Duration;

use krafka::ConsumerRecord;
use serde::{Deserialize, Serialize};

use super::events::{Body, Event, EventType, Origin, Time, TopProduct, TopProductsUpdated, derived_id, envelope};
use super::money::Cents;
use super::service::Service;
use super::switches::LiveSwitches;
use super::topics;
use crate::apps::Prefix;
use crate::kafka::Outgoing;
use crate::processor::{Decision, Failure, Moment, Processor, States};
use counts::{Counts, MINUTE, minute_key};

/// The key of the numbers of all time.
pub const TOTALS: &str = "totals";

/// How many minutes a ranking looks back, and how that is said.
const WINDOW: (i64, &str) = (10, "10m");
/// The most products of a ranking.
const TOP: usize = 10;
/// How long a ranking stands before it is told anew, in milliseconds, if anything was ordered.
const SNAPSHOT_EVERY: i64 = 10_000;
/// How long the ids of page views are kept at most.
const VIEWS: Duration = Duration::from_secs(86_400);
/// How long minutes are kept at least: so far back may one look.
pub const MINUTES: Duration = Duration::from_secs(86_400);

/// The service.
pub struct Analytics {
    /// Put before the names of topics.
    pub prefix: Prefix,
    /// How long the ids of events about orders are kept, and minutes, which are few, if that is longer than [`MINUTES`].
    pub retention: Duration,
}

/// What is known under one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Nothing.
    #[default]
    Unknown,
    /// The ids of the events about an order, or of a page view, that were counted.
    Counted(BTreeSet<String>),
    /// The numbers of a minute.
    Minute(Counts),
    /// The numbers of all time.
    Totals(Totals),
}

/// The numbers of all time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Totals {
    /// The numbers.
    pub counts: Counts,
    /// When something happened last, by the events' own times.
    pub latest: i64,
    /// When the last ranking was told.
    pub ranked_at: i64,
    /// How many orders had been placed by then.
    pub ranked_orders: u64,
}

impl State {
    /// The numbers of a minute; none for any other key.
    pub fn minute(&self) -> Option<&Counts> {
        match self {
            Self::Minute(counts) => Some(counts),
            _ => None,
        }
    }

    /// The numbers of all time; none for any other key.
    pub fn totals(&self) -> Option<&Totals> {
        match self {
            Self::Totals(totals) => Some(totals),
            _ => None,
        }
    }
}

/// What a key of each kind holds; keys of different kinds have different names, so that nothing is lost by making it so.
macro_rules! as_mut {
    ($($name:ident: $variant:ident($type:ty);)*) => {
        impl State {$(
            fn $name(&mut self) -> &mut $type {
                if !matches!(self, Self::$variant(_)) {
                    *self = Self::$variant(<$type>::default());
                }
                match self {
                    Self::$variant(kept) => kept,
                    _ => unreachable!("it was just made so"),
                }
            }
        )*}
    };
}

as_mut! {
    counted_mut: Counted(BTreeSet<String>);
    minute_mut: Minute(Counts);
    totals_mut: Totals(Totals);
}

impl Service for Analytics {
    const GROUP: &str = "order-analytics";
    const TOPICS: &[&str] = &[topics::ORDERS, topics::OUTCOME, topics::PAYMENTS, topics::PAGE_VIEWS];
    const EMITS: &[&str] = &[topics::SNAPSHOTS];
    const ANNOUNCES: bool = true;

    fn new(prefix: Prefix, _: LiveSwitches, retention: Duration) -> Self {
        Self { prefix, retention }
    }
}

impl Processor for Analytics {
    type Event = Event;
    type State = State;

    fn read(&self, record: &ConsumerRecord) -> Result<Option<Event>, String> {
        let event = envelope::read(&self.prefix, record)?;
        let is_ours = match &event.body {
            Body::TopProductsUpdated(ranking) => event.id == ranking_id(ranking.orders),
            _ => true,
        };
        Ok(is_ours.then_some(event))
    }

    fn keys(&self, event: &Event) -> Vec<String> {
        match event.body {
            Body::TopProductsUpdated(_) => vec![TOTALS.to_owned()],
            _ => vec![TOTALS.to_owned(), counted_key(event), minute_key(event.at())],
        }
    }

    fn evolve(&self, event: &Event, states: &mut States<State>) {
        if let Body::TopProductsUpdated(ranking) = &event.body {
            let totals = states.get_mut(TOTALS).totals_mut();
            totals.ranked_at = totals.ranked_at.max(event.at());
            totals.ranked_orders = totals.ranked_orders.max(ranking.orders);
            return;
        }
        if !states.get_mut(&counted_key(event)).counted_mut().insert(event.id.clone()) {
            return;
        }
        states.get_mut(&minute_key(event.at())).minute_mut().count(&event.body);
        let totals = states.get_mut(TOTALS).totals_mut();
        totals.counts.count(&event.body);
        totals.latest = totals.latest.max(event.at());
    }

    fn decide(&self, key: &str, states: &States<State>, moment: &Moment) -> Result<Decision<Event>, Failure> {
        let Some(totals) = states.get(key).totals() else { return Ok(Decision::default()) };
        if totals.counts.placed <= totals.ranked_orders {
            return Ok(Decision::default());
        }
        let due = totals.ranked_at + SNAPSHOT_EVERY;
        if moment.now_ms < due {
            return Ok(Decision { events: Vec::new(), wake: Some(due) });
        }
        Ok(Decision { events: vec![ranking(totals, states, moment.now_ms)], wake: None })
    }

    fn needs(&self, _key: &str, state: &State) -> Vec<String> {
        state.totals().map(|totals| window(totals.latest).collect()).unwrap_or_default()
    }

    fn write(&self, event: &Event) -> Outgoing {
        envelope::write(&self.prefix, event)
    }

    fn announce(&self, _key: &str, state: &State) -> Option<String> {
        let counts = &state.totals()?.counts;
        let told = serde_json::json!({
            "placed": counts.placed,
            "completed": counts.completed,
            "cancelled": counts.cancelled_altogether(),
            "revenue": Cents(counts.revenue_cents),
        });
        Some(told.to_string())
    }

    fn lifetime(&self, key: &str, _state: &State) -> Option<Duration> {
        match key {
            TOTALS => None,
            key if key.starts_with("view:") => Some(self.retention.min(VIEWS)),
            key if key.starts_with("minute:") => Some(self.retention.max(MINUTES)),
            _ => Some(self.retention),
        }
    }
}

/// The key under which is remembered that the event was counted.
fn counted_key(event: &Event) -> String {
    match event.body.order() {
        Some(order) => format!("order:{order}"),
        None => format!("view:{}", event.id),
    }
}

/// The minutes of a ranking whose last moment is `latest`.
fn window(latest: i64) -> impl Iterator<Item = String> {
    (0..WINDOW.0).map(move |minutes| minute_key(latest - minutes * MINUTE))
}

/// The products that were ordered most in the last minutes, of those with as many the first of the alphabet.
fn ranking(totals: &Totals, states: &States<State>, now_ms: i64) -> Event {
    let mut counts = Counts::default();
    for key in window(totals.latest) {
        if let Some(minute) = states.get(&key).minute() {
            counts += minute;
        }
    }
    let mut top: Vec<_> = counts.products.iter().filter(|(name, _)| *name != tally::OTHERS).collect();
    top.sort_by_key(|(name, ordered)| (std::cmp::Reverse(ordered.count), *name));
    let product = |(name, ordered): (&str, &counts::Ordered)| TopProduct {
        product_id: name.to_owned(),
        count: ordered.count,
        revenue: Cents(ordered.revenue_cents),
    };
    let top = top.into_iter().take(TOP).map(product).collect();
    let orders = totals.counts.placed;
    let id = ranking_id(orders);
    let origin = Origin { correlation_id: id.clone(), trace_id: id.replace('-', ""), sampled: false };
    let ranking = TopProductsUpdated { top, period: WINDOW.1.to_owned(), orders, ts: Time(now_ms) };
    Event { id, origin, body: ranking.into(), place: None }
}

/// The id of the ranking that was told when so many orders had been placed.
fn ranking_id(orders: u64) -> String {
    derived_id(&format!("{}/{orders}", EventType::TopProductsUpdated.name())).to_string()
}
