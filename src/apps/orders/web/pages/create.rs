//! `GET /orders/new`: the form that places an order, and what it is sent to.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::try_join_all;
use rand::SeedableRng;
use rand::rngs::StdRng;
use warp::http::StatusCode;
use warp::http::header::HeaderMap;
use warp::reply::Response;

use super::frame::{Frame, Section, refused};
use super::{Fields, FormError, looked_at, see_other, text};
use crate::apps::orders::catalog::{PRODUCTS, Product};
use crate::apps::orders::draft::{Draft, Invalid};
use crate::apps::orders::events::Item;
use crate::apps::orders::events::check::MAX_QUANTITY;
use crate::apps::orders::generator;
use crate::apps::orders::web::place::{self, PlaceError};
use crate::apps::orders::web::{KAFKA_AWAY, Shop};
use crate::clock::now_ms;
use crate::kafka::{KafkaError, Outgoing};
use crate::web::query::Query;
use crate::web::{human, reply};

/// The most random orders that are placed at once.
const MAX_RANDOM: u32 = 100;

#[derive(askama::Template)]
#[template(path = "orders/create.html")]
struct CreatePage {
    frame: Frame,
    customer: String,
    /// What was typed for products, by their ids.
    quantities: BTreeMap<String, String>,
    /// The field that is wrong: `customer`, `items` or a product's id.
    wrong: Option<String>,
    /// What is wrong.
    error: Option<String>,
}

/// `GET /orders/new`.
pub async fn page(shop: Arc<Shop>, headers: HeaderMap, query: Query) -> Response {
    looked_at(&shop, &headers, "/orders/new");
    let customer = query.get("customer").unwrap_or_default().to_owned();
    let frame = Frame::new(&shop, Section::New);
    reply::page(StatusCode::OK, &CreatePage { frame, customer, quantities: BTreeMap::new(), wrong: None, error: None })
}

/// `POST /orders`: the order's page, or the form again with what was wrong.
pub async fn place(shop: &Shop, headers: &HeaderMap, form: Result<Fields, FormError>) -> Response {
    let fields = match form {
        Ok(fields) => fields,
        Err(error) => return refused(shop, Section::New, error.status(), &error.to_string()),
    };
    let placed = async {
        let draft = draft(&fields)?;
        place::place(shop, headers, draft).await
    };
    let error = match placed.await {
        Ok(id) => return see_other(&format!("/orders/{id}")),
        Err(error) => error,
    };
    let quantities = fields.iter().filter_map(|(name, typed)| {
        let product = name.strip_prefix("quantity-")?;
        Some((product.to_owned(), typed.clone()))
    });
    let page = CreatePage {
        frame: Frame::new(shop, Section::New),
        customer: text(&fields, "customer").to_owned(),
        quantities: quantities.collect(),
        wrong: error.field().map(str::to_owned),
        error: Some(error.to_string()),
    };
    reply::page(error.status(), &page)
}

/// The order that a form asks for; what is wrong is at the form's own fields.
fn draft(fields: &Fields) -> Result<Draft, PlaceError> {
    let mut items = Vec::new();
    for product in PRODUCTS {
        let typed = text(fields, &format!("quantity-{}", product.id));
        if typed.is_empty() || typed == "0" {
            continue;
        }
        let quantity = typed.parse().ok().filter(|quantity| (1..=MAX_QUANTITY).contains(quantity));
        let quantity = quantity.ok_or_else(|| Invalid {
            field: Some(product.id.to_owned()),
            reason: format!("{}: the quantity must be a whole number from 1 to {MAX_QUANTITY}", product.name),
        })?;
        let Product { id, name, price } = *product;
        items.push(Item { product_id: id.to_owned(), quantity, price, name: Some(name.to_owned()) });
    }
    if items.is_empty() {
        let reason = "Nothing is ordered yet: say how many you want of at least one product.".to_owned();
        return Err(Invalid { field: Some("items".to_owned()), reason }.into());
    }
    let customer = text(fields, "customer");
    Ok(Draft::new(customer.to_owned(), items).map_err(|invalid| match invalid.field.as_deref() {
        Some("userId") => Invalid {
            field: Some("customer".to_owned()),
            reason: match customer {
                "" => "Say who orders: a name of letters, digits and signs, without spaces.".to_owned(),
                _ => invalid.reason.replacen("userId", "The customer's name", 1),
            },
        },
        _ => invalid,
    })?)
}

/// `POST /orders/random`: so many orders as customers place them.
pub async fn place_random(shop: &Shop, form: Result<Fields, FormError>) -> Response {
    let refuse = |status, reason: &str| refused(shop, Section::New, status, reason);
    let fields = match form {
        Ok(fields) => fields,
        Err(error) => return refuse(error.status(), &error.to_string()),
    };
    let count = text(&fields, "count").parse().ok().filter(|count| (1..=MAX_RANDOM).contains(count));
    let Some(count) = count else {
        return refuse(StatusCode::BAD_REQUEST, &format!("count must be a whole number from 1 to {MAX_RANDOM}"));
    };
    match send_random(shop, count).await {
        Ok(()) => see_other(&format!("/orders?placed={count}")),
        Err(error) => {
            KAFKA_AWAY.warn("random orders were not acknowledged", &error);
            let reason = "Kafka did not acknowledge the orders, or not all of them; try again in a moment.";
            refuse(StatusCode::SERVICE_UNAVAILABLE, reason)
        }
    }
}

async fn send_random(shop: &Shop, count: u32) -> Result<(), KafkaError> {
    let mut random = StdRng::from_rng(&mut rand::rng());
    let records = (0..count).map(|_| {
        let made = generator::generate(&mut random);
        let topic = shop.services.prefix.apply(&made.topic);
        Outgoing { topic, key: made.key, value: Some(made.value), headers: made.headers, timestamp: now_ms() }
    });
    let records: Vec<_> = records.collect();
    try_join_all(records.into_iter().map(|record| shop.services.producer.send(record))).await.map(|_| ())
}

impl CreatePage {
    fn typed(&self, product: &str) -> &str {
        self.quantities.get(product).map_or("", String::as_str)
    }

    fn is_wrong(&self, field: &str) -> bool {
        self.wrong.as_deref() == Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&str, &str)]) -> Fields {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_wrong_is_at_the_forms_own_fields() {
        for (typed, field) in [
            (&[("customer", "ada")][..], "items"),
            (&[("customer", "ada"), ("quantity-mug", "0")], "items"),
            (&[("customer", "ada"), ("quantity-mug", "1.5")], "mug"),
            (&[("customer", "ada"), ("quantity-mug", "10001")], "mug"),
            (&[("quantity-mug", "1")], "customer"),
            (&[("customer", "Ada Lovelace"), ("quantity-mug", "1")], "customer"),
        ] {
            let error = draft(&fields(typed)).unwrap_err();
            assert_eq!(error.field(), Some(field), "{typed:?}: {error}");
        }
        assert!(draft(&fields(&[("customer", " ada "), ("quantity-mug", " 2 "), ("quantity-pen", "")])).is_ok());
    }
}
