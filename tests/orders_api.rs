//! The orders over HTTP: from an order that is placed to how it ended, what is refused, and what viewers are told meanwhile.

mod support;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use support::board::text;
use support::orders::{accepted, answer, calm, get, ids, order, order_that, place, placing, serve, switch, told, walk};
use support::sse::Event;
use support::{Kboard, SseClient, Stack, eventually};

/// Six groups on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(60);

async fn start() -> (Stack, Kboard) {
    let stack = Stack::start().await;
    let shop = serve(&stack).await;
    (stack, shop)
}

/// The order, once it has ended and everything that follows from it is known, too.
async fn ended(shop: &Kboard, id: &str, status: &str) -> Value {
    order_that(shop, id, &format!("that is {status}, and its customer told"), SOON, |order| {
        order["status"] == status && order["notification"].is_object() && all_read(order) && is_undone(order)
    })
    .await
}

fn all_read(order: &Value) -> bool {
    told(order).len() == order["timeline"].as_array().unwrap().len()
}

/// Whether a cancelled order has given back what it had.
fn is_undone(order: &Value) -> bool {
    let (payment, inventory) = (&order["payment"], &order["inventory"]);
    order["status"] != "CANCELLED"
        || (payment["authorized"] == payment["refunded"] && inventory["reserved"] == inventory["released"])
}

#[tokio::test]
async fn an_order_is_placed_paid_reserved_and_completed_and_its_timeline_tells_where_each_event_stands() {
    let (stack, shop) = start().await;
    let asked = json!({ "userId": "ada", "items": [
        { "productId": "mug", "quantity": 2, "price": 12.5, "name": "Coffee mug" },
        { "productId": "pen", "quantity": 1, "price": 0.99 },
    ] });
    let response = (placing(&shop, &asked)
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
    .header("x-correlation-id", "basket-7")
    .send()
    .await
    .unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    let id = text(&body, "orderId").to_owned();
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{id} is a UUIDv7");
    let this = format!("/api/orders/{id}");
    let links = json!({
        "self": this, "events": format!("/api/orders/stream?order={id}"), "page": format!("/orders/{id}"),
    });
    assert_eq!(body, json!({ "orderId": id, "status": "PENDING", "links": links }));
    assert_eq!(location, this);

    let order = ended(&shop, &id, "COMPLETED").await;
    assert_eq!((&order["orderId"], &order["userId"], &order["total"]), (&json!(id), &json!("ada"), &json!(25.99)));
    assert_eq!((&order["items"], &order["pieces"]), (&asked["items"], &json!(3)));
    assert_eq!(order["payment"]["authorized"], json!(25.99), "{order}");
    assert_eq!((&order["inventory"]["reserved"], &order["inventory"]["released"]), (&json!(true), &json!(false)));
    assert!(order.get("reason").is_none(), "{order}");
    assert_eq!(text(&order["notification"], "subject"), format!("Your order {id} is complete"));
    let types = told(&order);
    assert_eq!((types.first().unwrap().as_str(), types.last().unwrap().as_str()), ("OrderPlaced", "OrderCompleted"));
    let expected = ["InventoryReserved", "OrderCompleted", "OrderPlaced", "PaymentAuthorized"];
    assert_eq!(types.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), expected.into());

    // Each event is where the timeline says, with the request's trace and correlation.
    for (index, event) in order["timeline"].as_array().unwrap().iter().enumerate() {
        assert_eq!(event["sinceLastMs"].is_i64(), index > 0, "{event}");
        let (topic, partition, offset) = (text(event, "topic"), &event["partition"], event["offset"].as_i64().unwrap());
        let address = text(event, "record");
        assert!(address.starts_with("/console/topics/") && address.ends_with(&format!("/{partition}/{offset}")));
        assert_eq!(shop.http().get(shop.url(address)).send().await.unwrap().status(), StatusCode::OK, "{address}");
        let from = format!("{offset}");
        let consume =
            ["-C", "-q", "-t", topic, "-p", &partition.to_string(), "-o", &from, "-c", "1", "-f", "%k\n%s\n%h"];
        let record = support::tools::kcat(stack.kafka(), &consume, "").await;
        let [key, value, headers] = record.lines().collect::<Vec<_>>().try_into().unwrap();
        let envelope: Value = serde_json::from_str(value).unwrap();
        assert_eq!(key, id);
        assert_eq!((&envelope["eventType"], &envelope["eventId"]), (&event["eventType"], &event["eventId"]));
        assert_eq!(envelope["timestamp"], event["timestamp"]);
        assert_eq!(envelope["correlationId"], "basket-7");
        assert!(headers.contains("traceparent=00-0af7651916cd43dd8448eb211c80319c-"), "{headers}");
        assert!(!headers.contains("b7ad6b7169203331"), "each event is a span of its own: {headers}");
    }
}

#[tokio::test]
async fn an_order_that_is_declined_or_can_t_be_filled_is_cancelled_and_what_was_done_for_it_is_undone() {
    let (_stack, shop) = start().await;
    let dear = place(&shop, &order("ada", "laptop", 1, 1000.01)).await;
    let dear = ended(&shop, &dear, "CANCELLED").await;
    assert_eq!(text(&dear["payment"], "declined"), "the amount of 1000.01 is above the limit of 1000.00");
    assert_eq!(text(&dear, "reason"), "the payment was declined: the amount of 1000.01 is above the limit of 1000.00");
    assert!(text(&dear["notification"], "subject").ends_with(text(&dear, "reason")), "{dear}");
    let types = told(&dear);
    assert!(types.contains(&"PaymentDeclined".to_owned()) && types.contains(&"OrderCancelled".to_owned()), "{types:?}");

    let short = place(&shop, &order("ada", "rare", 4, 1.0)).await;
    let short = ended(&shop, &short, "CANCELLED").await;
    assert_eq!(text(&short["inventory"], "rejected"), "not enough in stock: rare");
    let missing = json!([{ "productId": "rare", "quantity": 4, "availableQuantity": 3 }]);
    assert_eq!(short["inventory"]["short"], missing);
    assert!(text(&short, "reason").contains("not enough in stock: rare"), "{short}");
    assert!(short["payment"].get("declined").is_none(), "{short}");

    // What was given back can be had again, to the last piece and not beyond.
    let last = place(&shop, &order("bob", "rare", 3, 1.0)).await;
    ended(&shop, &last, "COMPLETED").await;
    let none = place(&shop, &order("bob", "rare", 1, 1.0)).await;
    let none = ended(&shop, &none, "CANCELLED").await;
    assert_eq!(none["inventory"]["short"][0]["availableQuantity"], 0);
}

#[tokio::test]
async fn lists_lead_through_all_orders_newest_first_and_through_those_of_a_customer_or_a_status() {
    let (_stack, shop) = start().await;
    let mut placed = Vec::new();
    for number in 0..23 {
        let price = if number % 4 == 0 { 2000.0 } else { 1.0 };
        placed.push(place(&shop, &order(["ada", "bob", "eve"][number % 3], "mug", 1, price)).await);
    }
    let expected = |number: &usize| if number.is_multiple_of(4) { "CANCELLED" } else { "COMPLETED" };
    for (number, id) in placed.iter().enumerate() {
        ended(&shop, id, expected(&number)).await;
    }
    let wanted = |wanted: &dyn Fn(&usize) -> bool| -> HashSet<String> {
        (0..placed.len()).filter(wanted).map(|number| placed[number].clone()).collect()
    };
    for (query, expected) in [
        ("", wanted(&|_| true)),
        ("customer=ada", wanted(&|number| number % 3 == 0)),
        ("status=CANCELLED", wanted(&|number| number % 4 == 0)),
        ("status=completed&customer=bob", wanted(&|number| number % 3 == 1 && number % 4 != 0)),
        ("status=PENDING", HashSet::new()),
        ("customer=nobody", HashSet::new()),
    ] {
        for limit in [1, 2, 7, 200] {
            let listed = walk(&shop, query, limit).await;
            let shown = ids(&listed);
            assert_eq!(shown.len(), expected.len(), "{query}, pages of {limit}");
            assert_eq!(shown.into_iter().collect::<HashSet<_>>(), expected, "{query}, pages of {limit}");
            let times: Vec<&str> = listed.iter().map(|order| text(order, "placedAt")).collect();
            assert!(times.is_sorted_by(|newer, older| newer >= older), "newest first: {times:?}");
        }
    }
    let first = get(&shop, "/api/orders?limit=1&customer=ada&status=COMPLETED").await["orders"][0].take();
    assert_eq!((&first["status"], &first["total"], &first["pieces"]), (&json!("COMPLETED"), &json!(1), &json!(1)));

    for (query, field) in [
        ("status=done", "status"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("before=x", "before"),
        ("before=%0d%0aset-cookie:%20a=b", "before"),
    ] {
        let (status, body) = answer(shop.http().get(shop.url(&format!("/api/orders?{query}")))).await;
        assert_eq!((status, body["field"].as_str()), (StatusCode::BAD_REQUEST, Some(field)), "{query}: {body}");
        assert!(text(&body, "error").contains(field), "{query}: {body}");
    }
}

/// What a viewer was told of orders.
fn news(viewer: &SseClient) -> Vec<Value> {
    let told = viewer.events().into_iter().filter_map(|event| serde_json::from_str::<Value>(&event.data).ok());
    told.filter(|told| told["orderId"].is_string()).collect()
}

async fn hears_of_the_end(viewer: &SseClient, id: &str) -> Vec<Value> {
    eventually(&format!("news of the end of {id}"), SOON, async || {
        let news = news(viewer);
        news.iter().any(|told| told["orderId"] == id && told["status"] == "COMPLETED").then_some(news)
    })
    .await
}

#[tokio::test]
async fn a_viewer_of_one_order_is_told_of_that_one_alone_and_goes_on_where_it_was() {
    let (_stack, shop) = start().await;
    let all = SseClient::connect(&shop.url("/api/orders/stream"));
    all.connected(SOON).await;
    let mut placed = Vec::new();
    for user in ["ada", "bob", "eve"] {
        placed.push(place(&shop, &order(user, "mug", 1, 1.0)).await);
    }
    for id in &placed {
        ended(&shop, id, "COMPLETED").await;
        let heard = hears_of_the_end(&all, id).await;
        let first = heard.iter().find(|told| told["orderId"] == json!(id)).unwrap();
        assert_eq!(first["steps"][0][0], "OrderPlaced", "{first}");
    }
    let events: Vec<_> = all.events().into_iter().filter(|event| !event.id.is_empty()).collect();
    let watched = &placed[1];
    let about = |event: &&Event| event.data.contains(watched.as_str());
    let url = shop.url(&format!("/api/orders/stream?order={watched}"));
    // From each place, the first and the last included: all that is about the one from there on, nothing of the others.
    let (epoch, seq) = events[0].id.rsplit_once('-').unwrap();
    let before = format!("{epoch}-{}", seq.parse::<u64>().unwrap() - 1);
    let places: Vec<&str> = [before.as_str()].into_iter().chain(events.iter().map(|event| event.id.as_str())).collect();
    for (passed, last) in places.iter().enumerate() {
        let viewer = SseClient::resume(&url, last);
        viewer.connected(SOON).await;
        let expected: Vec<_> = events[passed..].iter().filter(about).cloned().collect();
        let sent = eventually(&format!("what came after {last}"), SOON, async || {
            let sent: Vec<_> = viewer.events().into_iter().filter(|event| !event.id.is_empty()).collect();
            (sent.len() >= expected.len()).then_some(sent)
        })
        .await;
        assert_eq!(sent, expected, "after {last}");
        assert_eq!(viewer.resets(), 0);
    }
    // From another life: start over, with what is known.
    let anew = SseClient::resume(&url, "another-1");
    let told = hears_of_the_end(&anew, watched).await;
    assert_eq!(anew.resets(), 1);
    assert!(told.iter().all(|told| told["orderId"] == json!(watched)), "{told:?}");

    // What an order says, and what is heard from there on, leave nothing out.
    let next = place(&shop, &order("ada", "mug", 1, 1.0)).await;
    let known = order_that(&shop, &next, "that is known", SOON, |_| true).await;
    let url = shop.url(&format!("/api/orders/stream?order={next}"));
    let from = SseClient::resume(&url, text(&known, "lastEventId"));
    if known["status"] != "COMPLETED" {
        hears_of_the_end(&from, &next).await;
    }
    assert_eq!(from.resets(), 0);
    // A stream never ends by itself: only its head is read.
    let response = shop.http().get(shop.url("/api/orders/stream")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
}

#[tokio::test]
async fn an_idempotency_key_makes_a_repeated_request_the_same_order() {
    let (stack, shop) = start().await;
    let asked = order("ada", "rare", 1, 1.0);
    let keyed = |key: &str, order: &Value| placing(&shop, order).header("idempotency-key", key);
    let racing = (0..8).map(|_| accepted(keyed("a", &asked)));
    let racing: HashSet<String> = futures::future::join_all(racing).await.into_iter().collect();
    assert_eq!(racing.len(), 1, "all who race get the same id");
    let id = racing.into_iter().next().unwrap();
    ended(&shop, &id, "COMPLETED").await;
    assert_eq!(accepted(keyed("a", &asked)).await, id);
    let (status, body) = answer(keyed("a", &order("ada", "rare", 2, 1.0))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    // Paid and reserved once: there are two more to be had.
    let others = accepted(keyed("b", &order("ada", "rare", 2, 1.0))).await;
    let others = ended(&shop, &others, "COMPLETED").await;
    assert_ne!(text(&others, "orderId"), id);
    for topic in ["payments.v1", "inventory.v1", "orders.outcome.v1"] {
        let topic = stack.name(topic);
        let consume = ["-C", "-q", "-t", &topic, "-o", "beginning", "-e", "-f", "%k\n"];
        let keys = support::tools::kcat(stack.kafka(), &consume, "").await;
        assert_eq!(keys.lines().filter(|key| **key == id).count(), 1, "{topic}");
    }
    assert_eq!(walk(&shop, "", 50).await.len(), 2);
    for key in [String::new(), "two words".to_owned(), "k".repeat(201)] {
        let (status, body) = answer(keyed(&key, &asked)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{key:?}: {body}");
        assert!(text(&body, "error").contains("Idempotency-Key"), "{body}");
    }
}

#[tokio::test]
async fn what_is_no_order_is_refused_with_the_field_at_fault_and_nothing_is_written() {
    let (_stack, shop) = start().await;
    let with = |field: &str, value: Value| {
        let mut asked = order("ada", "mug", 1, 1.0);
        asked["items"][0][field] = value;
        asked.to_string()
    };
    let refused = [
        (String::new(), None),
        ("{".to_owned(), None),
        ("[]".to_owned(), None),
        ("[".repeat(60_000), None),
        (r#"{"items":[]}"#.to_owned(), Some("userId")),
        (r#"{"userId":"a b","items":[]}"#.to_owned(), Some("userId")),
        (r#"{"userId":"ada"}"#.to_owned(), Some("items")),
        (r#"{"userId":"ada","items":[]}"#.to_owned(), Some("items")),
        (r#"{"userId":"ada","items":[7]}"#.to_owned(), Some("items[0]")),
        (with("productId", json!("")), Some("items[0].productId")),
        (with("productId", json!("a\r\nb")), Some("items[0].productId")),
        (with("quantity", json!(0)), Some("items[0].quantity")),
        (with("quantity", json!(1.5)), Some("items[0].quantity")),
        (with("quantity", json!(-1)), Some("items[0].quantity")),
        (with("price", json!(0)), Some("items[0].price")),
        (with("price", json!("1")), Some("items[0].price")),
        (with("price", json!(1e300)), Some("items[0].price")),
        (with("name", json!("x".repeat(301))), Some("items[0].name")),
    ];
    for (body, field) in refused {
        let shown: String = body.chars().take(80).collect();
        let (status, answer) = answer(shop.http().post(shop.url("/api/orders")).body(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{shown}: {answer}");
        assert_eq!(answer["field"].as_str(), field, "{shown}: {answer}");
        assert!(field.is_none_or(|field| text(&answer, "error").contains(field)), "{shown}: {answer}");
    }
    let huge = shop.http().post(shop.url("/api/orders")).body("x".repeat(1024 * 1024));
    assert_eq!(answer(huge).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let asked = order("ada", "mug", 1, 1.0);
    let foreign = placing(&shop, &asked).header("sec-fetch-site", "cross-site");
    assert_eq!(answer(foreign).await.0, StatusCode::FORBIDDEN);
    for (method, path) in [("PUT", "/api/orders/switches"), ("POST", "/api/pageviews")] {
        let request = shop.http().request(method.parse().unwrap(), shop.url(path)).body("{}");
        assert_eq!(answer(request.header("origin", "http://evil.example")).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    let id = place(&shop, &asked).await;
    ended(&shop, &id, "COMPLETED").await;
    assert_eq!(ids(&walk(&shop, "", 50).await), [id], "nothing that was refused is in the list");
}

#[tokio::test]
async fn unknown_orders_and_paths_are_told_from_wrong_methods() {
    let (_stack, shop) = start().await;
    for path in ["/api/orders/unknown", "/api/orders/unknown/more", "/api/orders/schemas/unknown", "/api/pageviews/1"] {
        let (status, body) = answer(shop.http().get(shop.url(path))).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {body}");
        assert!(body["error"].is_string(), "{path}: {body}");
    }
    for (method, path, allowed) in [
        ("DELETE", "/api/orders", "GET, HEAD, POST"),
        ("POST", "/api/orders/stream", "GET, HEAD"),
        ("POST", "/api/orders/switches", "GET, HEAD, PUT"),
        ("PUT", "/api/orders/some", "GET, HEAD"),
        ("GET", "/api/pageviews", "POST"),
    ] {
        let refused = shop.http().request(method.parse().unwrap(), shop.url(path)).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(refused.headers()["allow"], allowed, "{method} {path}");
    }
    let schemas = get(&shop, "/api/orders/schemas").await;
    let addresses: Vec<&str> = schemas["schemas"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(addresses.contains(&"/api/orders/schemas/OrderPlaced.v1.json"), "{schemas}");
    for address in addresses {
        let schema = get(&shop, address).await;
        assert_eq!(address.rsplit_once('/').unwrap().1, text(&schema, "$id"));
    }
}

#[tokio::test]
async fn an_order_that_kafka_did_not_take_is_not_accepted_and_may_be_placed_again() {
    let mut stack = Stack::with_own_broker().await;
    let shop = serve(&stack).await;
    let asked = order("ada", "rare", 2, 1.0);
    let keyed = || placing(&shop, &asked).header("idempotency-key", "again");
    let first = place(&shop, &order("bob", "mug", 1, 1.0)).await;
    ended(&shop, &first, "COMPLETED").await;
    stack.broker().kill9();
    let refused = keyed().send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    let body: Value = refused.json().await.unwrap();
    assert!(text(&body, "error").contains("Kafka"), "{body}");
    // What is known can be seen all the same.
    assert_eq!(ids(&walk(&shop, "", 50).await), [first.as_str()]);

    stack.broker().restart().await;
    let id = eventually("an order that is accepted again", SOON, async || {
        let response = keyed().send().await.unwrap();
        let is_accepted = response.status() == StatusCode::ACCEPTED;
        let body: Value = response.json().await.unwrap();
        is_accepted.then(|| text(&body, "orderId").to_owned())
    })
    .await;
    ended(&shop, &id, "COMPLETED").await;
    assert_eq!(walk(&shop, "", 50).await.len(), 2, "asked for several times, it is one order");
}

#[tokio::test]
async fn page_views_and_orders_are_counted_minute_by_minute() {
    let (_stack, shop) = start().await;
    let empty = get(&shop, "/api/orders/analytics?window=1m").await;
    assert_eq!((&empty["placed"], &empty["series"].as_array().unwrap().len()), (&json!(0), &1));
    for page in ["/orders", "/orders?status=PENDING", "/orders/new"] {
        let view = json!({ "page": page, "sessionId": "s1", "userId": "ada" });
        let (status, body) = answer(shop.http().post(shop.url("/api/pageviews")).json(&view)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    }
    for view in [json!({}), json!({ "page": "" }), json!({ "page": "/", "userId": "a b" }), json!([]), json!("/")] {
        let (status, body) = answer(shop.http().post(shop.url("/api/pageviews")).json(&view)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{view}: {body}");
    }
    for asked in [order("ada", "mug", 2, 10.0), order("bob", "pen", 1, 5.5), order("eve", "laptop", 1, 2000.0)] {
        place(&shop, &asked).await;
    }
    // Placed, completed and cancelled may be counted in different minutes.
    let summary = eventually("everything counted", SOON, async || {
        let summary = get(&shop, "/api/orders/analytics?window=10m").await;
        let counted = ["placed", "completed", "revenue"].map(|field| &summary[field]);
        let is_all = counted == [&json!(3), &json!(2), &json!(25.5)]
            && summary["cancelled"]["payment_declined"] == json!(1)
            && summary["conversion"]["views"] == json!(3);
        is_all.then_some(summary)
    })
    .await;
    assert_eq!(summary["conversion"], json!({ "views": 3, "placed": 3, "completed": 2 }));
    let top: HashMap<&str, (&Value, &Value)> = (summary["top"].as_array().unwrap().iter())
        .map(|product| (text(product, "productId"), (&product["count"], &product["revenue"])))
        .collect();
    assert_eq!(top["mug"], (&json!(2), &json!(20)), "{summary}");
    assert_eq!(top["laptop"], (&json!(1), &json!(2000)), "what was ordered, whatever became of it: {summary}");
    assert_eq!(text(&summary["top"][0], "productId"), "mug", "the most pieces come first: {summary}");
    assert_eq!(text(&summary["topByRevenue"][0], "productId"), "laptop", "and the most money: {summary}");
    let pages: HashMap<&str, &Value> =
        (summary["pages"].as_array().unwrap().iter()).map(|page| (page[0].as_str().unwrap(), &page[1])).collect();
    assert_eq!(pages, HashMap::from([("/orders", &json!(2)), ("/orders/new", &json!(1))]));
    let series = summary["series"].as_array().unwrap();
    let sum = |field: &str| series.iter().map(|minute| minute[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((series.len(), sum("placed"), sum("completed"), sum("cancelled")), (10, 3, 2, 1));
    let all_time = json!({ "placed": 3, "open": 0, "completed": 2, "cancelled": 1, "revenue": 25.5 });
    assert_eq!(summary["allTime"], all_time);
    assert_eq!(summary["states"], json!({ "COMPLETED": 2, "CANCELLED": 1 }), "{summary}");

    for window in ["0m", "15", "1441m", "25h", "m", "-1m", "x"] {
        let (status, body) = answer(shop.http().get(shop.url(&format!("/api/orders/analytics?window={window}")))).await;
        assert_eq!((status, &body["field"]), (StatusCode::BAD_REQUEST, &json!("window")), "{window}: {body}");
    }
    assert_eq!(get(&shop, "/api/orders/analytics?window=2h").await["minutes"], 120);
}

#[tokio::test]
async fn switches_are_shown_checked_kept_and_followed() {
    let stack = Stack::start().await;
    switch(&stack, &json!({ "payment_decline_above": null })).await;
    let shop = stack.serve_app("orders", &[]).await;
    let shown = get(&shop, "/api/orders/switches").await;
    assert_eq!((&shown["payment_decline_above"], &shown["stock"]), (&Value::Null, &json!({ "rare": 3 })));
    assert_eq!(shown["saga_timeout_ms"], 30_000, "what nobody set has its default");
    let set = |body: String| shop.http().put(shop.url("/api/orders/switches")).body(body);
    for (body, word) in [
        (r#"{"payment_decline_chance":2}"#, "payment_decline_chance"),
        (r#"{"payment_decline_chance":"often"}"#, "settings"),
        (r#"{"nothing":1}"#, "nothing"),
        ("[]", "settings"),
        ("", "settings"),
    ] {
        let (status, answer) = answer(set(body.to_owned())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        assert!(text(&answer, "error").contains(word), "{body}: {answer}");
    }
    assert_eq!(get(&shop, "/api/orders/switches").await, shown, "nothing of that was kept");

    let mut wanted = shown.clone();
    wanted["payment_decline_above"] = json!(0.5);
    let (status, answered) = answer(set(wanted.to_string())).await;
    assert_eq!((status, &answered), (StatusCode::OK, &wanted));
    assert_eq!(get(&shop, "/api/orders/switches").await, wanted);
    // The services follow, here and in other processes.
    eventually("an order that is declined", SOON, async || {
        let id = place(&shop, &order("ada", "mug", 1, 1.0)).await;
        let order = order_that(&shop, &id, "that has ended", SOON, |order| order["notification"].is_object()).await;
        (order["status"] == "CANCELLED").then_some(())
    })
    .await;
    let other = stack.serve_app("orders", &["--no-consumers"]).await;
    assert_eq!(get(&other, "/api/orders/switches").await, wanted);
    let (status, _) = answer(set(calm().to_string())).await;
    assert_eq!(status, StatusCode::OK);
    eventually("the other process following", SOON, async || {
        (get(&other, "/api/orders/switches").await["payment_decline_above"] == json!(1000)).then_some(())
    })
    .await;
}
