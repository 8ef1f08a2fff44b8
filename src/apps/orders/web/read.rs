//! Orders as pages and API show them.

use serde::Serialize;

use super::Shop;
use crate::apps::Services;
use crate::apps::orders::events::{EventType, Item, ShortItem, Time};
use crate::apps::orders::money::Cents;
use crate::apps::orders::notification::Sent;
use crate::apps::orders::saga::order::{Order, Status};
use crate::apps::orders::saga::{ALL, by_customer, by_status};
use crate::live::frame::EventId;
use crate::redis::RedisError;

/// The least orders that are looked at for a page of those of one customer that stand somewhere.
const LOOKED_AT: usize = 200;
/// Where the console is, if the site has one. An app knows no more of it than its addresses.
const CONSOLE: &str = "/console";

/// An order in a list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its id.
    pub order_id: String,
    /// Where it stands.
    pub status: Status,
    /// The customer.
    pub user_id: String,
    /// What it costs.
    pub total: Cents,
    /// How many pieces were ordered.
    pub pieces: u64,
    /// When it was placed.
    pub placed_at: Time,
    /// Why it was cancelled, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which orders are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those that stand so.
    pub status: Option<Status>,
    /// Those of this customer.
    pub customer: Option<String>,
}

/// A page of a list, newest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The orders.
    pub orders: Vec<Row>,
    /// Where the next page begins, if there is more.
    pub next: Option<Cursor>,
    /// What happens to orders after this is not on the page yet.
    pub last_event_id: EventId,
}

/// A place in a list: the last order seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    score: f64,
    order_id: String,
}

impl Cursor {
    /// Reads a cursor as it was handed out.
    pub fn parse(text: &str) -> Option<Self> {
        let (placed, order_id) = text.split_once('.')?;
        let placed: u64 = placed.parse().ok()?;
        (!order_id.is_empty()).then(|| Self { score: -(placed as f64), order_id: order_id.to_owned() })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", -self.score, self.order_id)
    }
}

/// The newest orders that `filter` wants, after `before`: `limit` at most.
///
/// # Errors
/// When Redis is away.
pub async fn page(shop: &Shop, filter: &Filter, before: Option<Cursor>, limit: usize) -> Result<Page, RedisError> {
    let index = match (&filter.customer, filter.status) {
        (Some(customer), _) => by_customer(customer),
        (None, Some(status)) => by_status(status),
        (None, None) => ALL.to_owned(),
    };
    // Asked for first: what happens meanwhile is told to viewers, even if it is on the page already.
    let last_event_id = shop.feed.last();
    // One more than fits tells whether there is another page. An index is of customers or of what stands somewhere: of both,
    // the customer's are looked through.
    let is_sifted = filter.customer.is_some() && filter.status.is_some();
    let step = if is_sifted { LOOKED_AT.max(limit + 1) } else { limit + 1 };
    let (mut found, mut at) = (Vec::new(), before);
    loop {
        let after = at.as_ref().map(|cursor| (cursor.order_id.as_str(), cursor.score));
        let places = shop.orders.page(&index, after, step).await?;
        let ids: Vec<_> = places.iter().map(|(id, _)| id.clone()).collect();
        let states = shop.orders.get(&ids).await?;
        let is_end = places.len() < step;
        for ((order_id, score), state) in places.into_iter().zip(states) {
            let row = state.and_then(|order| Row::new(order_id.clone(), &order));
            let cursor = Cursor { score, order_id };
            let is_wanted = |row: &Row| filter.status.is_none_or(|status| row.status == status);
            found.extend(row.filter(is_wanted).map(|row| (row, cursor.clone())));
            at = Some(cursor);
        }
        if is_end || found.len() > limit {
            let has_more = found.len() > limit;
            found.truncate(limit);
            let next = found.last().map(|(_, cursor)| cursor.clone()).filter(|_| has_more);
            let orders = found.into_iter().map(|(row, _)| row).collect();
            return Ok(Page { orders, next, last_event_id });
        }
    }
}

impl Row {
    /// Of an order that is known to have been placed.
    pub fn new(order_id: String, order: &Order) -> Option<Self> {
        let placed = order.placed.as_ref()?;
        Some(Self {
            order_id,
            status: order.status(),
            user_id: placed.user_id.clone(),
            total: placed.total,
            pieces: placed.items.iter().map(|item| u64::from(item.quantity)).sum(),
            placed_at: Time(placed.at),
            reason: reason(order),
        })
    }
}

/// Everything about one order.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// What the list says of it; nothing of an order of which only later events are known.
    #[serde(flatten)]
    pub row: Option<Row>,
    /// What was ordered.
    pub items: Vec<Item>,
    /// What became of the payment.
    pub payment: Payment,
    /// What became of the reservation.
    pub inventory: Inventory,
    /// What the customer was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification: Option<Told>,
    /// What happened, in the order of time.
    pub timeline: Vec<Happened>,
    /// What happens after this is not in here yet: a viewer goes on from it.
    pub last_event_id: String,
}

/// What became of a payment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// The payment's id, once it is authorized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
    /// How much was authorized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorized: Option<Cents>,
    /// Why it was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declined: Option<String>,
    /// How much was refunded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Cents>,
}

/// What became of a reservation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// Whether everything was set aside.
    pub reserved: bool,
    /// Why it could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// What there was too little of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub short: Vec<ShortItem>,
    /// Whether it is back in stock.
    pub released: bool,
}

/// What a customer was told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// When.
    pub at: Time,
    /// What.
    pub subject: String,
}

/// Something that happened to an order.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    /// What.
    pub event_type: EventType,
    /// The event's id.
    pub event_id: String,
    /// When.
    pub timestamp: Time,
    /// How long after what happened before, in milliseconds; nothing of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_last_ms: Option<i64>,
    /// The topic it stands in.
    pub topic: String,
    /// The partition; nothing before it was read from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// The offset there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Where the console shows the record, if the site has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

/// Everything that is known of an order; `None` of one that is not known (yet, or any more).
///
/// # Errors
/// When Redis is away.
pub async fn order(shop: &Shop, id: &str) -> Result<Option<Detail>, RedisError> {
    // Asked for first: what happens meanwhile is told to viewers, even if it is in here already.
    let last_event_id = shop.feed.last();
    let keys = [id.to_owned()];
    let (orders, told) = tokio::try_join!(shop.orders.get(&keys), shop.notifications.get(&keys))?;
    let Some(order) = orders.into_iter().next().flatten() else { return Ok(None) };
    let told = told.into_iter().next().flatten().and_then(|notification| notification.sent);
    Ok(Some(Detail::new(id, &order, told, last_event_id, &shop.services)))
}

impl Detail {
    fn new(id: &str, order: &Order, told: Option<Sent>, last_event_id: EventId, services: &Services) -> Self {
        let has_console = services.site.iter().any(|part| part.address == CONSOLE);
        let (authorized, rejected) = (order.authorized.as_ref(), order.rejected.as_ref());
        let mut last = None;
        let happened = order.timeline.entries().iter().map(|entry| {
            let topic = services.prefix.apply(entry.event_type.topic());
            let since_last_ms = last.replace(entry.at).map(|before| entry.at - before);
            let place = entry.place.filter(|_| has_console);
            let record = place.map(|place| record_address(&topic, place.partition, place.offset));
            Happened {
                event_type: entry.event_type,
                event_id: entry.id.clone(),
                timestamp: Time(entry.at),
                since_last_ms,
                topic,
                partition: entry.place.map(|place| place.partition),
                offset: entry.place.map(|place| place.offset),
                record,
            }
        });
        Self {
            row: Row::new(id.to_owned(), order),
            items: order.placed.as_ref().map(|placed| placed.items.clone()).unwrap_or_default(),
            payment: Payment {
                payment_id: authorized.map(|payment| payment.payment_id.clone()),
                authorized: authorized.map(|payment| payment.amount),
                declined: order.declined.as_ref().map(|payment| payment.reason.clone()),
                refunded: order.refunded.as_ref().map(|payment| payment.amount),
            },
            inventory: Inventory {
                reserved: order.reserved.is_some(),
                rejected: rejected.map(|rejected| rejected.reason.clone()),
                short: rejected.map(|rejected| rejected.items.clone()).unwrap_or_default(),
                released: order.released.is_some(),
            },
            notification: told.map(|sent| Told { at: Time(sent.at), subject: sent.subject }),
            timeline: happened.collect(),
            last_event_id: last_event_id.to_string(),
        }
    }
}

fn reason(order: &Order) -> Option<String> {
    Some(order.outcome.as_ref()?.cancelled.as_ref()?.reason.clone())
}

/// Where the console shows a record. A topic's name is letters, digits, dots, hyphens and underscores.
fn record_address(topic: &str, partition: i32, offset: i64) -> String {
    format!("{CONSOLE}/topics/{topic}/messages/{partition}/{offset}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor { score: -1_795_247_359_123.0, order_id: "0197-a.b".to_owned() };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for text in ["", "1", "1.", "x.y", "-1.a"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
