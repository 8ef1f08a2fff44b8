//! The books of the shop: what the topics say of every order, and whether it adds up.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Stack, tools};

/// Everything that happened to one order, topic by topic.
#[derive(Clone, Debug, Default)]
pub struct Story {
    events: Vec<Value>,
}

impl Story {
    /// The events of a type.
    pub fn all(&self, event_type: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["eventType"] == event_type).map(|event| &event["payload"])
    }

    /// How many events there are.
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// The event of a type, if it happened.
    fn one(&self, event_type: &str) -> Option<&Value> {
        self.all(event_type).next()
    }

    fn is(&self, event_type: &str) -> bool {
        self.one(event_type).is_some()
    }

    /// Whether it has ended, and what was done for it is undone if it was cancelled.
    fn is_settled(&self) -> bool {
        let is_undone = self.is("PaymentAuthorized") == self.is("PaymentRefunded")
            && self.is("InventoryReserved") == self.is("InventoryReleased");
        self.is("OrderCompleted") || (self.is("OrderCancelled") && is_undone)
    }

    /// Each thing happened once at most, and together they make sense.
    fn check(&self, id: &str) {
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for event in &self.events {
            *times.entry(event["eventType"].as_str().unwrap()).or_default() += 1;
        }
        assert!(times.values().all(|times| *times == 1), "{id}: something happened twice: {times:?}");
        let [paid, declined] = ["PaymentAuthorized", "PaymentDeclined"].map(|event| self.is(event));
        let [reserved, rejected] = ["InventoryReserved", "InventoryRejected"].map(|event| self.is(event));
        assert!(!(paid && declined || reserved && rejected), "{id}: {times:?}");
        assert!(self.is("OrderCompleted") != self.is("OrderCancelled"), "{id} has not one outcome: {times:?}");
        if self.is("OrderCompleted") {
            assert!(paid && reserved, "{id} was completed without both: {times:?}");
            assert!(!self.is("PaymentRefunded") && !self.is("InventoryReleased"), "{id}: {times:?}");
        }
    }
}

/// All orders, by id.
#[derive(Clone, Debug)]
pub struct Ledger(pub BTreeMap<String, Story>);

impl Ledger {
    /// Reads the topics of the shop from end to end.
    pub async fn read(stack: &Stack) -> Self {
        let mut stories: BTreeMap<String, Story> = BTreeMap::new();
        // What follows before what it follows from: things happen while the books are read.
        for topic in ["orders.outcome.v1", "inventory.v1", "payments.v1", "orders.v1"] {
            let topic = stack.name(topic);
            let consume = ["-C", "-q", "-t", &topic, "-o", "beginning", "-e", "-f", "%k\t%h\t%s\n"];
            for line in tools::kcat(stack.kafka(), &consume, "").await.lines() {
                let [key, headers, value] = line.splitn(3, '\t').collect::<Vec<_>>().try_into().unwrap();
                // A record that is tried again is the same event once more.
                if !headers.contains("x-retry-count=") {
                    stories.entry(key.to_owned()).or_default().events.push(serde_json::from_str(value).unwrap());
                }
            }
        }
        Self(stories)
    }

    /// Whether that many orders have been placed, and all have ended, with everything that follows from it.
    pub fn is_settled(&self, orders: usize) -> bool {
        self.0.len() >= orders && self.0.values().all(Story::is_settled)
    }

    /// How many orders ended so.
    pub fn count(&self, event_type: &str) -> usize {
        self.0.values().filter(|story| story.is(event_type)).count()
    }

    /// Checks that each order ended once, that the money which is held is that of the completed ones, and that no more of
    /// anything was ever set aside than there was (`capacity` of each product).
    pub fn check(&self, capacity: i64) {
        let sum = |event_type: &str, field: &str| -> i64 {
            let amounts = self.0.values().flat_map(|story| story.all(event_type)).map(|event| cents(&event[field]));
            amounts.sum()
        };
        self.0.iter().for_each(|(id, story)| story.check(id));
        let completed = self.0.values().filter(|story| story.is("OrderCompleted"));
        let owed: i64 = completed.map(|story| cents(&story.one("OrderPlaced").unwrap()["total"])).sum();
        assert_eq!(sum("PaymentAuthorized", "amount") - sum("PaymentRefunded", "amount"), owed, "money");
        let mut held: BTreeMap<&str, i64> = BTreeMap::new();
        for (event_type, sign) in [("InventoryReserved", 1), ("InventoryReleased", -1)] {
            let events = self.0.values().flat_map(|story| story.all(event_type));
            for item in events.flat_map(|event| event["items"].as_array().unwrap()) {
                let product = item["productId"].as_str().unwrap();
                *held.entry(product).or_default() += sign * item["quantity"].as_i64().unwrap();
            }
        }
        assert!(held.values().all(|held| (0..=capacity).contains(held)), "oversold: {held:?}");
    }
}

fn cents(amount: &Value) -> i64 {
    (amount.as_f64().unwrap() * 100.0).round() as i64
}
