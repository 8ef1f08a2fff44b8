//! What a customer asks for, as a request says it, and the event that it becomes.

use serde_json::{Map, Value};

use super::events::{Event, Item, OrderPlaced, Origin, Time, check};
use super::money::Cents;

/// An order that keeps all limits, but was not placed yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    user_id: String,
    items: Vec<Item>,
    total: Cents,
}

/// Why an order can't be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Invalid {
    /// The field at fault, e.g. `items[0].price`; `None` when it is the request as a whole.
    pub field: Option<String>,
    /// What is wrong, for people; it names the field.
    pub reason: String,
}

impl Draft {
    /// Reads and checks `{userId, items: [{productId, quantity, price, name?}]}`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn from_json(body: &[u8]) -> Result<Self, Invalid> {
        let request = |reason| Invalid { field: None, reason };
        let value: Value =
            serde_json::from_slice(body).map_err(|error| request(format!("the body is not JSON: {error}")))?;
        let Value::Object(fields) = value else {
            return Err(request("the body must be a JSON object with userId and items".to_owned()));
        };
        let user_id = text(&fields, "", "userId")?.ok_or_else(|| missing("userId"))?;
        let items = match fields.get("items") {
            Some(Value::Array(items)) => items.iter().enumerate().map(item).collect::<Result<_, _>>()?,
            Some(_) => return Err(invalid("items must be an array")),
            None => return Err(missing("items")),
        };
        Self::new(user_id, items)
    }

    /// An order of these items.
    ///
    /// # Errors
    /// The first limit that is not kept.
    pub fn new(user_id: String, items: Vec<Item>) -> Result<Self, Invalid> {
        check::id("userId", &user_id).map_err(|reason| invalid(&reason))?;
        let total = check::items(&items).map_err(|reason| invalid(&reason))?;
        Ok(Self { user_id, items, total })
    }

    /// An order of ours, of which is known that it keeps all limits.
    pub fn trusted(user_id: String, items: Vec<Item>) -> Self {
        let total = items.iter().map(|item| item.price.times(item.quantity)).sum();
        Self { user_id, items, total }
    }

    /// Whether just this is what the customer asks for.
    pub fn asks_for(&self, user_id: &str, items: &[Item]) -> bool {
        self.user_id == user_id && self.items == items
    }

    /// The event that places the order under this id, at `now_ms` (milliseconds since the epoch).
    pub fn place(self, order_id: String, origin: Origin, now_ms: i64) -> Event {
        let Self { user_id, items, total } = self;
        Event::of_order(OrderPlaced { order_id, user_id, items, total, ts: Time(now_ms) }, origin)
    }
}

/// What is wrong begins with the name of the field.
fn invalid(reason: &str) -> Invalid {
    Invalid { field: reason.split(' ').next().map(str::to_owned), reason: reason.to_owned() }
}

fn missing(field: &str) -> Invalid {
    invalid(&format!("{field} is missing"))
}

fn item((index, value): (usize, &Value)) -> Result<Item, Invalid> {
    let path = format!("items[{index}].");
    let Value::Object(fields) = value else {
        return Err(invalid(&format!("items[{index}] must be an object")));
    };
    let product_id = text(fields, &path, "productId")?.ok_or_else(|| missing(&format!("{path}productId")))?;
    let quantity = fields.get("quantity").ok_or_else(|| missing(&format!("{path}quantity")))?;
    let quantity = quantity.as_u64().and_then(|quantity| u32::try_from(quantity).ok());
    let quantity = quantity.ok_or_else(|| invalid(&format!("{path}quantity must be a whole number of at least 1")))?;
    let price = fields.get("price").ok_or_else(|| missing(&format!("{path}price")))?;
    let price = price.as_f64().and_then(Cents::from_number);
    let price = price.ok_or_else(|| invalid(&format!("{path}price must be a number with at most two decimals")))?;
    let name = text(fields, &path, "name")?;
    Ok(Item { product_id, quantity, price, name })
}

fn text(fields: &Map<String, Value>, path: &str, field: &str) -> Result<Option<String>, Invalid> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
        Some(_) => Err(invalid(&format!("{path}{field} must be a string"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_costs_what_its_items_come_to() {
        let body = br#"{"userId":"u1","items":[{"productId":"a","quantity":3,"price":0.1},
                        {"productId":"b","quantity":1,"price":12.34,"name":"B"}]}"#;
        let event = Draft::from_json(body).unwrap().place("o1".to_owned(), Origin::default(), 5);
        let super::super::events::Body::OrderPlaced(placed) = &event.body else { panic!("{event:?}") };
        assert_eq!((placed.total, placed.items.len(), event.at()), (Cents(1_264), 2, 5));
        assert_eq!(event.body.check(), Ok(()));
        let again = Draft::from_json(body).unwrap().place("o1".to_owned(), Origin::default(), 9);
        assert_eq!(event.id, again.id, "an order is placed once, however often it is asked for");
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let item =
            |item: &str| format!(r#"{{"userId":"u","items":[{{"productId":"a","quantity":1,"price":1}},{item}]}}"#);
        for (body, field) in [
            (r#"{"items":[]}"#.to_owned(), Some("userId")),
            (r#"{"userId":" ","items":[]}"#.to_owned(), Some("userId")),
            (r#"{"userId":7,"items":[]}"#.to_owned(), Some("userId")),
            (r#"{"userId":"u"}"#.to_owned(), Some("items")),
            (r#"{"userId":"u","items":[]}"#.to_owned(), Some("items")),
            (r#"{"userId":"u","items":{}}"#.to_owned(), Some("items")),
            (item("1"), Some("items[1]")),
            (item(r#"{"productId":"","quantity":1,"price":1}"#), Some("items[1].productId")),
            (item(r#"{"productId":"a","quantity":0,"price":1}"#), Some("items[1].quantity")),
            (item(r#"{"productId":"a","quantity":1.5,"price":1}"#), Some("items[1].quantity")),
            (item(r#"{"productId":"a","quantity":10001,"price":1}"#), Some("items[1].quantity")),
            (item(r#"{"productId":"a","quantity":1,"price":0}"#), Some("items[1].price")),
            (item(r#"{"productId":"a","quantity":1,"price":-1}"#), Some("items[1].price")),
            (item(r#"{"productId":"a","quantity":1,"price":0.001}"#), Some("items[1].price")),
            (item(r#"{"productId":"a","quantity":1,"price":1,"name":"\u0007"}"#), Some("items[1].name")),
            ("[]".to_owned(), None),
            ("{".to_owned(), None),
        ] {
            let invalid = Draft::from_json(body.as_bytes()).unwrap_err();
            assert_eq!(invalid.field.as_deref(), field, "{body}: {invalid}");
            assert!(field.is_none_or(|field| invalid.reason.contains(field)), "{invalid}");
        }
    }
}
