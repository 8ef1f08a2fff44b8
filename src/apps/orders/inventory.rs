//! `inventory-service`: sets aside everything an order needs, or nothing; and puts it back when the order is cancelled.
//!
//! Keys: `order:<id>` holds what was set aside for an order, `stock:<product>` how many pieces are set aside altogether. Both
//! change together, and only if nobody has changed either meanwhile: no number of instances can set aside more than there is.

use std::collections::BTreeMap;
use std::time::Duration;

use krafka::ConsumerRecord;
use serde::{Deserialize, Serialize};

use super::events::{
    Body, Event, InventoryRejected, InventoryReleased, InventoryReserved, Origin, ReleasedItem, ReservedItem,
    ShortItem, Time, envelope,
};
use super::facts::{keep_earliest, lifetime};
use super::service::Service;
use super::switches::{LiveSwitches, Switches};
use super::topics;
use crate::apps::Prefix;
use crate::kafka::Outgoing;
use crate::processor::{Decision, Failure, Moment, Processor, States};

/// What the keys of orders begin with.
const ORDER: &str = "order:";
/// What the keys of products begin with.
const STOCK: &str = "stock:";

/// The service.
pub struct Inventory {
    /// Put before the names of topics.
    pub prefix: Prefix,
    /// How much there is, and how often it fails.
    pub switches: LiveSwitches,
    /// How long it is remembered what became of a reservation.
    pub retention: Duration,
}

/// What is known under one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Nothing; of a product, that none is set aside.
    #[default]
    Unknown,
    /// What is set aside for an order.
    Order(Reservation),
    /// How many pieces of a product are set aside.
    Stock(u64),
}

/// What is set aside for an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reservation {
    /// What it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<Wanted>,
    /// What was set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved: Option<Pieces>,
    /// That something was short.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rejected: bool,
    /// That the order was cancelled.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancelled: bool,
    /// That everything is back in stock.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    released: bool,
    /// That the order went through.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    completed: bool,
}

/// How many of each product.
type Pieces = BTreeMap<String, u32>;

/// What an order needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    at: i64,
    pieces: Pieces,
    origin: Origin,
}

/// The key under which it is known how many pieces of a product are set aside.
pub fn stock_key(product: &str) -> String {
    format!("{STOCK}{product}")
}

impl State {
    /// How many pieces of a product are set aside.
    pub fn reserved(&self) -> u64 {
        match self {
            Self::Stock(reserved) => *reserved,
            _ => 0,
        }
    }

    fn reservation(&self) -> Option<&Reservation> {
        match self {
            Self::Order(reservation) => Some(reservation),
            _ => None,
        }
    }
}

impl Reservation {
    /// Whether pieces are set aside now.
    fn is_held(&self) -> bool {
        self.reserved.is_some() && !self.released
    }

    /// Whether nothing is to be done about it any more.
    fn is_over(&self) -> bool {
        self.completed || (self.cancelled && !self.is_held())
    }
}

impl Service for Inventory {
    const GROUP: &str = "inventory-service";
    const TOPICS: &[&str] = &[topics::ORDERS, topics::OUTCOME];
    const EMITS: &[&str] = &[topics::INVENTORY];
    const ANNOUNCES: bool = false;

    fn new(prefix: Prefix, switches: LiveSwitches, retention: Duration) -> Self {
        Self { prefix, switches, retention }
    }
}

impl Processor for Inventory {
    type Event = Event;
    type State = State;

    fn read(&self, record: &ConsumerRecord) -> Result<Option<Event>, String> {
        let event = envelope::read(&self.prefix, record)?;
        let is_ours = match event.body {
            Body::OrderPlaced(_) | Body::OrderCancelled(_) | Body::OrderCompleted(_) => true,
            // Only a rebuild reads these. What others say was set aside is not in this stock.
            Body::InventoryReserved(_) | Body::InventoryRejected(_) | Body::InventoryReleased(_) => event.is_derived(),
            _ => false,
        };
        Ok(is_ours.then_some(event))
    }

    fn keys(&self, event: &Event) -> Vec<String> {
        let mut keys = vec![format!("{ORDER}{}", event.order())];
        keys.extend(pieces(&event.body).into_keys().map(|product| stock_key(&product)));
        keys
    }

    fn evolve(&self, event: &Event, states: &mut States<State>) {
        let key = format!("{ORDER}{}", event.order());
        let mut order = states.get(&key).reservation().cloned().unwrap_or_default();
        let was_held = order.is_held();
        let pieces = pieces(&event.body);
        match &event.body {
            Body::OrderPlaced(_) => {
                let (at, origin) = (event.at(), event.origin.clone());
                keep_earliest(&mut order.wanted, Wanted { at, pieces: pieces.clone(), origin });
            }
            Body::OrderCancelled(_) => order.cancelled = true,
            Body::OrderCompleted(_) => order.completed = true,
            Body::InventoryReserved(_) => order.reserved = Some(pieces.clone()),
            Body::InventoryRejected(_) => order.rejected = true,
            Body::InventoryReleased(_) => order.released = true,
            _ => {}
        }
        // Which of the two is heard of first makes no difference.
        match (was_held, order.is_held()) {
            (false, true) => move_stock(states, &pieces, u64::saturating_add),
            (true, false) => move_stock(states, &pieces, u64::saturating_sub),
            _ => {}
        }
        *states.get_mut(&key) = State::Order(order);
    }

    fn decide(&self, key: &str, states: &States<State>, moment: &Moment) -> Result<Decision<Event>, Failure> {
        match (key.strip_prefix(ORDER), states.get(key).reservation()) {
            (Some(id), Some(order)) => decide(id, order, states, moment, &self.switches.get()),
            _ => Ok(Decision::default()),
        }
    }

    fn needs(&self, _key: &str, state: &State) -> Vec<String> {
        let order = state.reservation();
        let pieces = order.and_then(|order| {
            let wanted = order.wanted.as_ref().map(|wanted| &wanted.pieces);
            order.reserved.as_ref().or(wanted)
        });
        pieces.map(|pieces| pieces.keys().map(|product| stock_key(product)).collect()).unwrap_or_default()
    }

    fn write(&self, event: &Event) -> Outgoing {
        envelope::write(&self.prefix, event)
    }

    fn lifetime(&self, _key: &str, state: &State) -> Option<Duration> {
        let order = state.reservation()?;
        lifetime(order.wanted.is_some(), order.is_over(), self.retention)
    }
}

fn decide(
    id: &str,
    order: &Reservation,
    states: &States<State>,
    moment: &Moment,
    switches: &Switches,
) -> Result<Decision<Event>, Failure> {
    let Some(wanted) = &order.wanted else { return Ok(Decision::default()) };
    let body = if order.is_held() && order.cancelled {
        released(id, order.reserved.iter().flatten(), moment.now_ms)
    } else if order.reserved.is_none() && !order.rejected && !order.cancelled {
        if switches.happens(switches.inventory_failure_chance, "inventory-failure", id, moment.attempt) {
            return Err(Failure::Transient("the inventory service is temporarily unavailable".to_owned()));
        }
        let short = short(&wanted.pieces, states, switches);
        match short.is_empty() {
            true => reserved(id, &wanted.pieces, moment.now_ms),
            false => rejected(id, short, moment.now_ms),
        }
    } else {
        return Ok(Decision::default());
    };
    Ok(Decision { events: vec![Event::of_order(body, wanted.origin.clone())], wake: None })
}

/// The products of which there are not enough.
fn short(wanted: &Pieces, states: &States<State>, switches: &Switches) -> Vec<ShortItem> {
    let available =
        |product: &str| switches.capacity(product).saturating_sub(states.get(&stock_key(product)).reserved());
    let items = wanted.iter().map(|(product, quantity)| ShortItem {
        product_id: product.clone(),
        quantity: *quantity,
        available_quantity: available(product),
    });
    items.filter(|item| u64::from(item.quantity) > item.available_quantity).collect()
}

fn reserved(id: &str, pieces: &Pieces, now_ms: i64) -> Body {
    let ts = Time(now_ms);
    let item = |(product, quantity): (&String, &u32)| ReservedItem {
        product_id: product.clone(),
        quantity: *quantity,
        reserved_at: ts,
    };
    InventoryReserved { order_id: id.to_owned(), items: pieces.iter().map(item).collect(), ts }.into()
}

fn rejected(id: &str, items: Vec<ShortItem>, now_ms: i64) -> Body {
    let names: Vec<_> = items.iter().take(3).map(|item| item.product_id.as_str()).collect();
    let more = if items.len() > names.len() { " and others" } else { "" };
    let reason = format!("not enough in stock: {}{more}", names.join(", "));
    InventoryRejected { order_id: id.to_owned(), reason, items, ts: Time(now_ms) }.into()
}

fn released<'a>(id: &str, pieces: impl Iterator<Item = (&'a String, &'a u32)>, now_ms: i64) -> Body {
    let ts = Time(now_ms);
    let item = |(product, quantity): (&String, &u32)| ReleasedItem {
        product_id: product.clone(),
        quantity: *quantity,
        released_at: ts,
    };
    InventoryReleased { order_id: id.to_owned(), items: pieces.map(item).collect(), ts }.into()
}

/// The pieces that an event is about, each product once.
fn pieces(body: &Body) -> Pieces {
    let mut pieces = Pieces::new();
    let mut add = |product: &String, quantity: u32| *pieces.entry(product.clone()).or_default() += quantity;
    match body {
        Body::OrderPlaced(order) => order.items.iter().for_each(|item| add(&item.product_id, item.quantity)),
        Body::InventoryReserved(order) => order.items.iter().for_each(|item| add(&item.product_id, item.quantity)),
        Body::InventoryReleased(order) => order.items.iter().for_each(|item| add(&item.product_id, item.quantity)),
        _ => {}
    }
    pieces
}

fn move_stock(states: &mut States<State>, pieces: &Pieces, moved: fn(u64, u64) -> u64) {
    for (product, quantity) in pieces {
        let stock = states.get_mut(&stock_key(product));
        let reserved = moved(stock.reserved(), u64::from(*quantity));
        // A product of which none is set aside is one of which nothing is known.
        *stock = if reserved == 0 { State::Unknown } else { State::Stock(reserved) };
    }
}
