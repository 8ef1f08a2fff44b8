//! The orders, as their API shows them.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::board::text;
use super::{Kboard, Stack, eventually};

/// A server of the orders alone, whose services fail for a reason only: what costs more than 1,000 is declined, and of
/// `rare` there are three.
pub async fn serve(stack: &Stack) -> Kboard {
    switch(stack, &json!({})).await;
    stack.serve_app("orders", &[]).await
}

/// Keeps the settings of [`serve`], changed by `changes`, before there is a server.
pub async fn switch(stack: &Stack, changes: &Value) {
    let mut switches = calm();
    changes.as_object().unwrap().iter().for_each(|(name, value)| switches[name] = value.clone());
    stack.redis.cli(&["SET", &stack.name("orders:switches"), &switches.to_string()]).await;
}

/// The settings of [`serve`].
pub fn calm() -> Value {
    json!({
        "payment_decline_above": 1000,
        "payment_decline_chance": 0.0,
        "payment_unavailable_chance": 0.0,
        "inventory_failure_chance": 0.0,
        "stock": { "rare": 3 },
    })
}

/// An order of one line.
pub fn order(user: &str, product: &str, quantity: u32, price: f64) -> Value {
    json!({ "userId": user, "items": [{ "productId": product, "quantity": quantity, "price": price }] })
}

/// The request that places an order.
pub fn placing(kboard: &Kboard, order: &Value) -> RequestBuilder {
    kboard.http().post(kboard.url("/api/orders")).json(order)
}

/// Places an order; its id.
pub async fn place(kboard: &Kboard, order: &Value) -> String {
    accepted(placing(kboard, order)).await
}

/// The id that a request that places an order is answered.
pub async fn accepted(request: RequestBuilder) -> String {
    let (status, body) = answer(request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    text(&body, "orderId").to_owned()
}

/// The answer to a request: its status and JSON.
pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// What a path is answered; it must succeed.
pub async fn get(kboard: &Kboard, path: &str) -> Value {
    let (status, body) = answer(kboard.http().get(kboard.url(path))).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

/// Waits until everything that `condition` asks of an order is so; the order.
pub async fn order_that(
    kboard: &Kboard,
    id: &str,
    what: &str,
    timeout: Duration,
    condition: impl Fn(&Value) -> bool,
) -> Value {
    eventually(&format!("order {id} {what}"), timeout, async || {
        let (status, order) = answer(kboard.http().get(kboard.url(&format!("/api/orders/{id}")))).await;
        (status == StatusCode::OK && condition(&order)).then_some(order)
    })
    .await
}

/// The types of the events of an order's timeline that have been read from the log, in their order.
pub fn told(order: &Value) -> Vec<String> {
    let timeline = order["timeline"].as_array().unwrap_or_else(|| panic!("timeline of {order}"));
    let read = timeline.iter().filter(|event| event["offset"].is_i64());
    read.map(|event| text(event, "eventType").to_owned()).collect()
}

/// The orders of a list, page by page of `limit`, to its end.
pub async fn walk(kboard: &Kboard, query: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let mut page = get(kboard, &format!("/api/orders?{query}&limit={limit}{before}")).await;
        let orders = page["orders"].as_array_mut().unwrap();
        assert!(orders.len() <= limit, "a page of {limit} has {}", orders.len());
        all.append(orders);
        let Some(next) = page["next"].as_str() else { return all };
        before = format!("&before={next}");
    }
}

/// The ids of orders.
pub fn ids(orders: &[Value]) -> Vec<String> {
    orders.iter().map(|order| text(order, "orderId").to_owned()).collect()
}
