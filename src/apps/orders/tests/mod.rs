//! All services together, on topics and states in memory, through whatever can happen to them: records read in any order, sent
//! twice, processes killed before they write and before they send, two instances of one service, retries, time that runs out.

mod analytics_alone;
mod envelopes;
pub mod fixtures;
mod group;
mod inventory_alone;
mod log;
mod saga_alone;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::analytics::{self, Analytics, TOTALS};
use super::draft::Draft;
use super::events::{Body, Event, Item, Origin, envelope};
use super::inventory::{self, Inventory};
use super::money::Cents;
use super::notification::Notifications;
use super::payment::Payments;
use super::saga::Saga;
use super::saga::order::{Order, Status};
use super::switches::{LiveSwitches, Switches};
use super::topics;
use crate::apps::Prefix;
use crate::processor::step::Stored;
use group::{Group, Member};
use log::Log;

/// Every topic that tells of orders.
const TOPICS: [&str; 4] = [topics::ORDERS, topics::PAYMENTS, topics::INVENTORY, topics::OUTCOME];

const INVENTORY: usize = 1;
const SAGA: usize = 2;
const NOTIFICATION: usize = 3;
const ANALYTICS: usize = 4;

/// The shop.
struct World {
    log: Log,
    groups: Vec<Box<dyn Member>>,
    now_ms: i64,
    placed: BTreeMap<String, Cents>,
}

/// What happens next.
#[derive(Clone, Debug)]
enum Action {
    Place(Vec<(u8, u32, i64)>),
    Poll { group: usize, partition: usize, count: usize, killed: bool },
    PollTwice { group: usize, partition: usize, other: usize },
    Flush { group: usize, lost: bool },
    Wake { group: usize },
    Duplicate { topic: usize, nth: usize },
    Pass { ms: i64 },
}

fn action() -> impl Strategy<Value = Action> {
    let group = 0..5_usize;
    prop_oneof![
        2 => prop::collection::vec((0..3_u8, 1..5_u32, 1..30_000_i64), 1..4).prop_map(Action::Place),
        12 => (group.clone(), 0..12_usize, 1..6_usize, prop::bool::weighted(0.2))
            .prop_map(|(group, partition, count, killed)| Action::Poll { group, partition, count, killed }),
        3 => (group.clone(), 0..12_usize, 0..12_usize)
            .prop_map(|(group, partition, other)| Action::PollTwice { group, partition, other }),
        6 => (group.clone(), prop::bool::weighted(0.2)).prop_map(|(group, lost)| Action::Flush { group, lost }),
        2 => group.prop_map(|group| Action::Wake { group }),
        1 => (0..4_usize, any::<prop::sample::Index>())
            .prop_map(|(topic, nth)| Action::Duplicate { topic, nth: nth.index(1_000) }),
        2 => (0..4_000_i64).prop_map(|ms| Action::Pass { ms }),
    ]
}

fn switches() -> impl Strategy<Value = Switches> {
    let chance = prop_oneof![Just(0.0), 0.0..0.5_f64, 0.5..1.0_f64];
    (chance.clone(), chance.clone(), chance, 100..40_000_u64, 1..20_u64, any::<u64>()).prop_map(
        |(decline, unavailable, failure, saga_timeout_ms, stock_capacity, seed)| Switches {
            payment_decline_above: Some(Cents(100_000)),
            payment_decline_chance: decline,
            payment_unavailable_chance: unavailable,
            inventory_failure_chance: failure,
            saga_timeout_ms,
            stock_capacity,
            seed,
            ..Switches::default()
        },
    )
}

impl World {
    fn new(switches: Switches) -> Self {
        let live = LiveSwitches::fixed(switches);
        let groups: Vec<Box<dyn Member>> = vec![
            Box::new(Group::<Payments>::new(live.clone(), |_, _| {})),
            Box::new(Group::<Inventory>::new(live.clone(), nothing_is_oversold)),
            Box::new(Group::<Saga>::new(live.clone(), |_, _| {})),
            Box::new(Group::<Notifications>::new(live.clone(), |_, _| {})),
            Box::new(Group::<Analytics>::new(live, |_, _| {})),
        ];
        Self { log: Log::new(), groups, now_ms: 1_769_860_800_000, placed: BTreeMap::new() }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Place(items) => self.place(items),
            Action::Poll { group, partition, count, killed } => {
                self.groups[*group].poll(&self.log, *partition, *count, self.now_ms, *killed);
            }
            Action::PollTwice { group, partition, other } => {
                self.groups[*group].poll_twice(&self.log, *partition, *other, self.now_ms);
            }
            Action::Flush { group, lost } => {
                self.groups[*group].flush(&mut self.log, *lost);
            }
            Action::Wake { group } => {
                self.groups[*group].wake(self.now_ms);
            }
            Action::Duplicate { topic, nth } => self.log.duplicate(TOPICS[*topic], *nth),
            Action::Pass { ms } => {
                self.now_ms += ms;
                self.log.send_back_due(self.now_ms);
            }
        }
    }

    fn place(&mut self, items: &[(u8, u32, i64)]) {
        let item = |(product, quantity, cents): &(u8, u32, i64)| Item {
            product_id: format!("p{product}"),
            quantity: *quantity,
            price: Cents(*cents),
            name: None,
        };
        let draft = Draft::new("u".to_owned(), items.iter().map(item).collect()).unwrap();
        let id = format!("order-{}", self.placed.len());
        let origin = Origin { correlation_id: id.clone(), trace_id: "0".repeat(31) + "1", sampled: false };
        let event = draft.place(id.clone(), origin, self.now_ms);
        let Body::OrderPlaced(order) = &event.body else { unreachable!("an order was placed") };
        self.placed.insert(id, order.total);
        self.log.send(envelope::write(&Prefix::default(), &event));
    }

    /// Lets everything run until nothing is left to do, whatever time that takes.
    fn settle(&mut self) {
        loop {
            let mut is_busy = false;
            for group in &mut self.groups {
                is_busy |= group.flush(&mut self.log, false);
                for partition in 0..12 {
                    is_busy |= group.poll(&self.log, partition, 100, self.now_ms, false);
                }
            }
            if is_busy {
                continue;
            }
            let waiting = self.log.send_back_due(self.now_ms);
            let wakes: Vec<_> = self.groups.iter_mut().map(|group| group.wake(self.now_ms)).collect();
            let mut is_any = false;
            for group in &mut self.groups {
                is_any |= group.flush(&mut self.log, false);
            }
            match wakes.into_iter().flatten().chain(waiting).min() {
                _ if is_any => {}
                Some(next) => self.now_ms = self.now_ms.max(next),
                None => break,
            }
        }
    }

    /// The events of a topic, each once.
    fn events(&self, topic: &str) -> Vec<Event> {
        let mut seen = BTreeSet::new();
        let events = self.log.all(topic).map(|record| envelope::read(&Prefix::default(), record).unwrap());
        events.filter(|event| seen.insert(event.id.clone())).collect()
    }

    fn orders(&self) -> BTreeMap<String, Order> {
        let states = self.groups[SAGA].states().into_iter();
        states.map(|(id, state)| (id, serde_json::from_str(&state).unwrap())).collect()
    }

    fn check(&self, seed: u64) {
        self.every_order_ends_once();
        self.money_is_that_of_completed_orders();
        self.stock_is_that_of_completed_orders();
        self.every_order_is_told_of_once();
        self.everything_is_counted_once();
        for group in &self.groups {
            assert_eq!(group.states(), group.rebuilt(&self.log, seed), "a rebuilt state differs from the live one");
        }
    }

    fn every_order_ends_once(&self) {
        let ends: Vec<_> = self.events(topics::OUTCOME).iter().map(|event| event.order().to_owned()).collect();
        let distinct: BTreeSet<_> = ends.iter().cloned().collect();
        assert_eq!(ends.len(), distinct.len(), "an order has two outcomes");
        assert_eq!(distinct, self.placed.keys().cloned().collect(), "an order has no outcome");
        for (id, order) in self.orders() {
            assert!(matches!(order.status(), Status::Completed | Status::Cancelled), "{id}: {order:?}");
            let entries = order.timeline.entries();
            assert!(entries.iter().all(|entry| entry.place.is_some()), "{id} has an event of no place");
        }
    }

    fn money_is_that_of_completed_orders(&self) {
        let mut held: BTreeMap<String, i64> = BTreeMap::new();
        for event in self.events(topics::PAYMENTS) {
            let amount = match &event.body {
                Body::PaymentAuthorized(payment) => payment.amount.0,
                Body::PaymentRefunded(payment) => -payment.amount.0,
                _ => continue,
            };
            *held.entry(event.order().to_owned()).or_default() += amount;
        }
        for (id, order) in self.orders() {
            let owed = if order.status() == Status::Completed { self.placed[&id].0 } else { 0 };
            assert_eq!(held.get(&id).copied().unwrap_or_default(), owed, "{id}: {order:?}");
        }
    }

    fn stock_is_that_of_completed_orders(&self) {
        let mut sold: BTreeMap<String, u64> = BTreeMap::new();
        for order in self.orders().values().filter(|order| order.status() == Status::Completed) {
            for item in &order.placed.as_ref().unwrap().items {
                *sold.entry(inventory::stock_key(&item.product_id)).or_default() += u64::from(item.quantity);
            }
        }
        let states = self.groups[INVENTORY].states();
        let stock = states.iter().filter(|(key, _)| key.starts_with("stock:"));
        let state = |state: &str| serde_json::from_str::<inventory::State>(state).unwrap();
        let reserved: BTreeMap<_, _> = stock.map(|(key, text)| (key.clone(), state(text).reserved())).collect();
        assert_eq!(reserved, sold);
    }

    fn every_order_is_told_of_once(&self) {
        let written = self.groups[NOTIFICATION].written();
        assert_eq!(written.keys().collect::<Vec<_>>(), self.placed.keys().collect::<Vec<_>>());
        assert!(written.values().all(|times| *times == 1), "a customer was told twice: {written:?}");
    }

    fn everything_is_counted_once(&self) {
        if self.placed.is_empty() {
            return;
        }
        let states = self.groups[ANALYTICS].states();
        let totals: analytics::State = serde_json::from_str(&states[TOTALS]).unwrap();
        let counts = &totals.totals().unwrap().counts;
        let completed = self.orders().values().filter(|order| order.status() == Status::Completed).count() as u64;
        assert_eq!((counts.placed, counts.completed), (self.placed.len() as u64, completed));
        assert_eq!(counts.open(), 0);
        let paid = self.orders().into_iter().filter(|(_, order)| order.status() == Status::Completed);
        assert_eq!(counts.revenue_cents, paid.map(|(id, _)| self.placed[&id].0).sum::<i64>());
        assert_eq!(totals.totals().unwrap().ranked_orders, counts.placed, "the last ranking has all orders");
    }
}

fn nothing_is_oversold(stored: &BTreeMap<String, Stored<inventory::State>>, switches: &LiveSwitches) {
    for (key, stored) in stored {
        let product = key.strip_prefix("stock:").unwrap_or_default();
        assert!(stored.state.reserved() <= switches.get().capacity(product), "{key} is oversold");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_order_is_paid_filled_and_told_of_once_or_not_at_all(
        switches in switches(),
        actions in prop::collection::vec(action(), 1..250),
        seed: u64,
    ) {
        let mut world = World::new(switches);
        for action in &actions {
            world.act(action);
        }
        world.settle();
        world.check(seed);
    }
}

#[test]
fn when_nothing_fails_orders_complete_at_once() {
    let mut world = World::new(Switches::calm());
    for _ in 0..20 {
        world.place(&[(0, 1, 1_000), (1, 2, 250)]);
    }
    let started = world.now_ms;
    let mut rounds = 0;
    while world.orders().values().filter(|order| order.status() == Status::Completed).count() < 20 {
        for group in &mut world.groups {
            (0..12).for_each(|partition| {
                group.poll(&world.log, partition, 100, world.now_ms, false);
            });
            group.flush(&mut world.log, false);
        }
        rounds += 1;
        assert!(rounds < 10);
    }
    assert_eq!(world.now_ms, started);
    world.settle();
    world.check(0);
}
