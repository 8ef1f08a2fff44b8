//! The scenarios of the orders: failures that pass and failures that don't, replays, more members, and kill -9 of everything
//! in the middle of load. Whatever happens, the books are right in the end.
//!
//! The moments of the faults can be repeated (`KBOARD_TEST_SEED`), and made more (`KBOARD_TEST_ROUNDS`).

mod support;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};
use support::board::text;
use support::orders::{answer, calm, get, order, order_that, place, serve, switch};
use support::process::Process;
use support::{Chance, Clock, Kboard, Ledger, Stack, eventually, kboard, rounds};

/// Six groups on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(60);
/// After the last fault: sessions time out, and what failed by chance has up to five attempts.
const SETTLED: Duration = Duration::from_secs(120);
/// A dead member's partitions move on after this.
const SESSION: [&str; 2] = ["--kafka-session-timeout", "6s"];
/// The services of the app.
const GROUPS: [&str; 6] =
    ["payment-service", "inventory-service", "order-saga", "notification-service", "order-analytics", "orders-retry"];
/// Pieces of each product in a shop where they run out.
const CAPACITY: u64 = 60;

/// A shop in which everything fails now and then, and in which things run out.
fn troubled() -> Value {
    json!({
        "payment_decline_chance": 0.1, "payment_unavailable_chance": 0.15, "inventory_failure_chance": 0.2,
        "stock_capacity": CAPACITY, "saga_timeout_ms": 60_000,
    })
}

/// Customers who order all the time.
fn customers(stack: &Stack, count: usize, rate: usize) -> Process {
    let mut process = Process::prepare("customers");
    let (count, rate) = (count.to_string(), rate.to_string());
    let arguments = ["--app", "orders", "--count", &count, "--rate", &rate, "--seed", "5"];
    let mut command = kboard::command();
    command.args(["produce", "--kafka", stack.kafka(), "--topic-prefix", &stack.prefix]).args(arguments);
    process.spawn(&mut command);
    process
}

/// Waits until all orders have ended, and checks the books.
async fn settled(stack: &Stack, orders: usize, capacity: u64) -> Ledger {
    let ledger = eventually("orders that have all ended", SETTLED, async || {
        let ledger = Ledger::read(stack).await;
        ledger.is_settled(orders).then_some(ledger)
    })
    .await;
    ledger.check(capacity.cast_signed());
    ledger
}

/// Waits until the customer of every order was told how it ended, and nothing is left on its way.
async fn told(stack: &Stack, ledger: &Ledger) {
    eventually("customers who have all been told", SETTLED, async || {
        let states = states(stack, "notification-service").await;
        ledger.0.keys().all(|id| states.get(id).is_some_and(|state| state.contains("subject"))).then_some(())
    })
    .await;
    eventually("empty outboxes", SETTLED, async || {
        let left = stack.redis.cli(&["--scan", "--pattern", &stack.name("kboard:*:outbox:*")]).await;
        left.is_empty().then_some(())
    })
    .await;
}

/// What the keys of a group's live space begin with.
async fn live_space(stack: &Stack, group: &str) -> String {
    let root = stack.name(&format!("kboard:{group}"));
    let space = stack.redis.cli(&["HGET", &root, "space"]).await;
    format!("{root}:{space}")
}

/// The states of a group in its live space, without the line about each.
async fn states(stack: &Stack, group: &str) -> BTreeMap<String, String> {
    let prefix = format!("{}:s:", live_space(stack, group).await);
    let keys = stack.redis.cli(&["--scan", "--pattern", &format!("{prefix}*")]).await;
    let keys: Vec<&str> = keys.lines().collect();
    let mut states = BTreeMap::new();
    for keys in keys.chunks(200) {
        // As JSON, in which a value of two lines is one.
        let script = "local all = {} for i, key in ipairs(KEYS) do all[i] = redis.call('GET', key) or '\\n' end \
                      return cjson.encode(all)";
        let count = keys.len().to_string();
        let values = stack.redis.cli(&[&["EVAL", script, &count], keys].concat()).await;
        let values: Vec<String> = serde_json::from_str(&values).unwrap();
        for (key, value) in keys.iter().zip(values) {
            let state = value.split_once('\n').unwrap().1.to_owned();
            if !state.is_empty() {
                states.insert(key.strip_prefix(&prefix).unwrap().to_owned(), state);
            }
        }
    }
    states
}

#[tokio::test]
async fn what_fails_is_tried_again_and_given_up_and_comes_back_from_the_dead_letters() {
    let stack = Stack::start().await;
    switch(&stack, &json!({ "inventory_failure_chance": 1.0, "saga_timeout_ms": 300_000 })).await;
    let shop = stack.serve_app("orders", &[]).await;
    let id = place(&shop, &order("ada", "mug", 1, 9.5)).await;
    let counted = eventually("a dead letter", SOON, async || {
        let counted = get(&shop, "/metrics/dlq").await;
        let letters = counted["topics"].as_array().unwrap().iter().find(|topic| topic["letters"] == 1);
        letters.cloned()
    })
    .await;
    let inventory = stack.name("inventory-service");
    assert_eq!(text(&counted, "topic"), stack.name("orders.dlq.v1"));
    assert_eq!((&counted["waiting"], &counted["by_group"][&inventory]["letters"]), (&json!(1), &json!(1)), "{counted}");
    assert_eq!(counted["by_origin"][stack.name("orders.v1")]["letters"], 1, "{counted}");
    let reasons = counted["by_reason"].as_object().unwrap();
    assert!(reasons.len() == 1 && reasons.keys().all(|reason| reason.contains("inventory")), "{counted}");
    // Between two attempts it waited twice as long as before.
    let retry = stack.name("orders.retry.v1");
    let consume = ["-C", "-q", "-t", &retry, "-o", "beginning", "-e", "-f", "%h\n"];
    let due: Vec<i64> = (support::tools::kcat(stack.kafka(), &consume, "").await.lines())
        .map(|headers| headers.split(',').find_map(|header| header.strip_prefix("x-retry-at=")).unwrap())
        .map(|due| due.parse().unwrap())
        .collect();
    assert_eq!(due.len(), 4, "{due:?}");
    for (pair, delay) in due.windows(2).zip([1_000, 2_000, 4_000]) {
        assert!(pair[1] - pair[0] >= delay * 9 / 10, "less than {delay} ms: {due:?}");
    }
    let metric = shop.metric("kafka_dead_letters_total", &[&format!("group=\"{inventory}\"")]).await;
    assert!((metric - 1.0).abs() < f64::EPSILON, "{metric}");

    // The order waits, until somebody has mended what was wrong and sends the letter back.
    let paid = order_that(&shop, &id, "that is paid", SOON, |order| order["payment"]["authorized"].is_number()).await;
    assert_eq!(paid["status"], "PAYMENT_AUTHORIZED");
    let (status, _) = answer(shop.http().put(shop.url("/api/orders/switches")).json(&calm())).await;
    assert!(status.is_success());
    let dlq = stack.name("orders.dlq.v1");
    let told = stack.run(&["replay", "--dlq", &dlq, "--dry-run", "--output", "json"]).await;
    assert!(told.status.success(), "{told:?}");
    // Switches are followed within a second; a letter that is sent back sooner fails once more.
    eventually("an order that is completed", SOON, async || {
        let sent = stack.run(&["replay", "--dlq", &dlq]).await;
        assert!(sent.status.success(), "{sent:?}");
        let order = get(&shop, &format!("/api/orders/{id}")).await;
        (order["status"] == "COMPLETED").then_some(())
    })
    .await;
    settled(&stack, 1, 1).await;
}

#[tokio::test]
async fn an_order_that_waits_too_long_is_cancelled_and_what_comes_late_is_undone() {
    let stack = Stack::start().await;
    switch(&stack, &json!({ "inventory_failure_chance": 1.0, "saga_timeout_ms": 1_500 })).await;
    let shop = stack.serve_app("orders", &[]).await;
    let id = place(&shop, &order("ada", "mug", 1, 9.5)).await;
    let order = order_that(&shop, &id, "that is cancelled and refunded", SOON, |order| {
        order["status"] == "CANCELLED" && order["payment"]["refunded"].is_number()
    })
    .await;
    assert!(text(&order, "reason").contains("within 1500 ms"), "{order}");
    // The reservation, when it comes after all, is taken back.
    let (status, _) = answer(shop.http().put(shop.url("/api/orders/switches")).json(&calm())).await;
    assert!(status.is_success());
    let ledger = settled(&stack, 1, 1).await;
    assert_eq!((ledger.count("OrderCancelled"), ledger.count("PaymentRefunded")), (1, 1));
}

#[tokio::test]
async fn a_replay_gives_the_same_states_byte_for_byte_and_nothing_happens_twice() {
    let stack = Stack::start().await;
    switch(&stack, &troubled()).await;
    let shop = stack.serve_app("orders", &[]).await;
    let mut customers = customers(&stack, 150, 100);
    assert!(customers.ended(SOON).await.success());
    let ledger = settled(&stack, 150, CAPACITY).await;
    told(&stack, &ledger).await;
    let groups = &GROUPS[..5];
    let mut before = BTreeMap::new();
    for group in groups {
        before.insert(*group, states(&stack, group).await);
    }
    assert_eq!(before["order-saga"].len(), 150);
    let events: usize = ledger.0.values().map(|story| story.len()).sum();
    for group in groups {
        let name = stack.name(group);
        let replayed = stack.run(&["replay", "--group", &name, "--from-earliest", "--online"]).await;
        assert!(replayed.status.success(), "{group}: {replayed:?}");
        let after = states(&stack, group).await;
        for (key, state) in &before[group] {
            assert_eq!(Some(state), after.get(key), "{group}: {key}");
        }
        assert_eq!(after.len(), before[group].len(), "{group}");
    }
    // One more order goes through, and nothing else has happened.
    let id = place(&shop, &order("ada", "gold", 1, 1.0)).await;
    order_that(&shop, &id, "that ends after a replay", SETTLED, |order| order["notification"].is_object()).await;
    let after = settled(&stack, 151, CAPACITY).await;
    let others: usize = after.0.iter().filter(|(other, _)| **other != id).map(|(_, story)| story.len()).sum();
    assert_eq!(others, events);
}

#[tokio::test]
async fn an_order_that_ended_is_known_for_as_long_as_was_asked() {
    let stack = Stack::start().await;
    switch(&stack, &calm()).await;
    let mut shop = stack.serve_app("orders", &["--state-retention", "2h"]).await;
    let clock = Clock::of(&mut shop);
    assert!(shop.sigterm().await.success());
    shop.restart().await;
    let id = place(&shop, &order("ada", "mug", 1, 9.5)).await;
    told(&stack, &settled(&stack, 1, 1).await).await;
    // What nobody looks at any more leaves Redis by itself.
    let (hours, margin) = (Duration::from_secs(2 * 3_600), Duration::from_secs(120));
    for group in &GROUPS[..5] {
        let kind = if ["inventory-service", "order-analytics"].contains(group) { "order:" } else { "" };
        let key = format!("{}:s:{kind}{id}", live_space(&stack, group).await);
        let left = eventually("a state that is over", SOON, async || {
            // Below zero it is not there, or for ever.
            let left = stack.redis.cli(&["PTTL", &key]).await.parse().ok()?;
            Some(Duration::from_millis(left))
        })
        .await;
        assert!(hours - margin < left && left < hours + margin, "{group}: {left:?}");
    }
    let known = async || answer(shop.http().get(shop.url(&format!("/api/orders/{id}")))).await;
    clock.set(1);
    assert_eq!(known().await.1["status"], "COMPLETED");
    clock.set(3);
    let (status, reason) = known().await;
    assert_eq!((status.as_u16(), text(&reason, "error").contains("2h")), (404, true), "{reason}");
}

#[tokio::test]
async fn orders_that_are_no_longer_known_leave_the_lists_too() {
    let stack = Stack::start().await;
    let shop = serve(&stack).await;
    let completed = async || {
        let id = place(&shop, &order("ada", "mug", 1, 9.5)).await;
        order_that(&shop, &id, "that is completed", SOON, |order| order["status"] == "COMPLETED").await;
        id
    };
    let (old, kept) = (completed().await, completed().await);
    // Its time is up.
    let space = live_space(&stack, "order-saga").await;
    stack.redis.cli(&["DEL", &format!("{space}:s:{old}")]).await;
    let new = completed().await;
    for index in ["all", "status:COMPLETED", "customer:ada"] {
        let listed = stack.redis.cli(&["ZRANGE", &format!("{space}:i:{index}"), "0", "-1"]).await;
        assert_eq!(listed.lines().collect::<Vec<_>>(), [&new, &kept], "{index}");
    }
}

#[tokio::test]
async fn a_service_of_three_members_shares_its_partitions_and_pays_each_order_once() {
    let stack = Stack::start().await;
    let shop = serve(&stack).await;
    drop(shop);
    let group = stack.name("payment-service");
    let member = async || Kboard::consume(&stack.arguments("consume", &["--group", &group])).await;
    let first = member().await;
    let more = [member().await, member().await];
    let described = eventually("three members, each with partitions", SOON, async || {
        let described = stack.run(&["groups", "describe", &group, "--output", "json"]).await;
        let mut described: Value = serde_json::from_slice(&described.stdout).ok()?;
        let described = described[0].take();
        let members = described["members"].as_array()?;
        let has = |member: &Value| member["partitions"].as_object().is_some_and(|held| !held.is_empty());
        (members.len() == 3 && members.iter().all(has)).then_some(described)
    })
    .await;
    let hosts: HashSet<&str> =
        described["members"].as_array().unwrap().iter().map(|member| text(member, "member")).collect();
    assert_eq!(hosts.len(), 3, "{described}");
    let shop = serve(&stack).await;
    let mut customers = customers(&stack, 200, 200);
    assert!(customers.ended(SOON).await.success());
    settled(&stack, 200, 1_000_000).await;
    drop((first, more, shop));
}

/// Two shops with every service in them.
struct Twins {
    stack: Stack,
    shops: [Kboard; 2],
}

impl Twins {
    async fn start(stack: Stack) -> Self {
        switch(&stack, &troubled()).await;
        let first = stack.serve_app("orders", &SESSION).await;
        let shops = [first, stack.serve_app("orders", &SESSION).await];
        Self { stack, shops }
    }

    async fn books_are_right(&self, orders: usize) {
        let ledger = settled(&self.stack, orders, CAPACITY).await;
        told(&self.stack, &ledger).await;
        assert_eq!(ledger.0.len(), orders);
        assert!(ledger.count("OrderCompleted") > 0 && ledger.count("OrderCancelled") > 0, "both happen here");
    }
}

#[tokio::test]
async fn killed_services_lose_nothing_and_do_nothing_twice() {
    let mut chance = Chance::new();
    let mut twins = Twins::start(Stack::start().await).await;
    let rounds = rounds(5);
    let orders = rounds * 60;
    let mut customers = customers(&twins.stack, orders, 30);
    for _ in 0..rounds {
        chance.moment(100..1_200).await;
        let shop = &mut twins.shops[chance.number(0..2) as usize];
        shop.kill9();
        chance.moment(0..400).await;
        shop.restart().await;
    }
    assert!(customers.ended(SETTLED).await.success());
    twins.books_are_right(orders).await;
}

#[tokio::test]
async fn killed_servers_lose_nothing_and_have_nothing_done_twice() {
    let mut chance = Chance::new();
    let mut twins = Twins::start(Stack::with_own_broker().await).await;
    let rounds = rounds(3);
    let orders = rounds * 90;
    let mut customers = customers(&twins.stack, orders, 30);
    for round in 0..rounds {
        chance.moment(300..1_500).await;
        twins.stack.redis.kill9();
        chance.moment(0..300).await;
        twins.stack.redis.restart().await;
        if round == 1 {
            chance.moment(0..500).await;
            twins.stack.broker().kill9();
            twins.stack.broker().restart().await;
        }
    }
    assert!(customers.ended(SETTLED).await.success());
    twins.books_are_right(orders).await;
}
