//! Makes up orders as customers place them: a few products, mostly one or two pieces of each, now and then more than the bank
//! likes.

use rand::{Rng, RngExt};

use super::catalog::{PRODUCTS, Product};
use super::draft::Draft;
use super::events::{Item, Origin, envelope};
use super::topics;
use crate::apps::{Generated, Prefix};
use crate::clock::now_ms;
use crate::telemetry::trace::TraceContext;

/// How many customers there are.
const CUSTOMERS: u32 = 500;
/// How many of the orders are large.
const LARGE: f64 = 0.03;

/// One order, as the shop places it.
pub fn generate(random: &mut dyn Rng) -> Generated {
    let now_ms = now_ms();
    let mut entropy = [0; 10];
    random.fill_bytes(&mut entropy);
    let since_epoch = u64::try_from(now_ms).unwrap_or_default();
    let order_id = uuid::Builder::from_unix_timestamp_millis(since_epoch, &entropy).into_uuid().to_string();
    let trace = TraceContext { trace_id: random.random(), span_id: random.random(), sampled: false };
    let origin = Origin::new(order_id.clone(), trace);
    let draft = Draft::trusted(customer(random), items(random));
    let record = envelope::write(&Prefix::default(), &draft.place(order_id, origin, now_ms));
    let value = record.value.unwrap_or_default(); // an event always has one
    Generated { topic: topics::ORDERS.to_owned(), key: record.key, value, headers: record.headers }
}

fn customer(random: &mut dyn Rng) -> String {
    format!("customer-{:03}", random.random_range(1..=CUSTOMERS))
}

fn items(random: &mut dyn Rng) -> Vec<Item> {
    let large = random.random_bool(LARGE);
    let lines = random.random_range(1..=4_usize);
    let mut products: Vec<&Product> = Vec::with_capacity(lines);
    while products.len() < lines {
        // The cheaper a product, the more often it is bought: the smaller of two places in a list that goes by price.
        let place = random.random_range(0..PRODUCTS.len()).min(random.random_range(0..PRODUCTS.len()));
        if !products.contains(&&PRODUCTS[place]) {
            products.push(&PRODUCTS[place]);
        }
    }
    let item = |product: &Product| Item {
        product_id: product.id.to_owned(),
        quantity: if large { random.random_range(50..=400) } else { random.random_range(1..=2_u32).pow(2).min(3) },
        price: product.price,
        name: Some(product.name.to_owned()),
    };
    products.into_iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use serde_json::Value;

    use super::super::events::Body;
    use super::super::switches::Switches;
    use super::*;
    use krafka::ConsumerRecord;

    fn orders(seed: u64, count: usize) -> Vec<Value> {
        let mut random = StdRng::seed_from_u64(seed);
        let values = (0..count).map(|_| serde_json::from_slice::<Value>(&generate(&mut random).value).unwrap());
        values.map(|value| value["payload"].clone()).collect()
    }

    #[test]
    fn what_is_made_up_is_an_order_under_its_id() {
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..500 {
            let made = generate(&mut random);
            let mut record = ConsumerRecord::new(made.topic.as_str(), 0, 0, made.key.clone(), Some(made.value));
            record.headers = made.headers;
            let event = envelope::read(&Prefix::default(), &record).unwrap();
            assert!(matches!(event.body, Body::OrderPlaced(_)) && event.is_derived());
            assert_eq!(made.key.as_deref(), Some(event.order().as_bytes()));
        }
    }

    #[test]
    fn a_seed_repeats_the_orders_and_some_are_large() {
        let without_ids = |seed| -> Vec<_> {
            orders(seed, 50).iter().map(|order| (order["userId"].clone(), order["items"].clone())).collect()
        };
        assert_eq!(without_ids(7), without_ids(7));
        assert_ne!(without_ids(7), without_ids(8));
        let most = Switches::default().payment_decline_above.unwrap().0 as f64 / 100.0;
        let large = orders(3, 2_000).iter().filter(|order| order["total"].as_f64().unwrap() > most).count();
        assert!((10..150).contains(&large), "{large}");
    }
}
