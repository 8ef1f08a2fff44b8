//! Whole services, through any order of events, repetitions, crashes and losses.

use std::collections::BTreeMap;
use std::sync::Arc;

use krafka::ConsumerRecord;
use proptest::prelude::*;

use super::counter::{ASKS, Ask, Counter, DEAD, PAID, RETRY, asked, retry};
use crate::kafka::event::{EVENT_ID, header_str};
use crate::processor::memory::{Actor, Service, World, settle};
use crate::processor::retry::Worker;

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let ask = (
        0..4_u32,
        prop_oneof![3 => Just(0_u32), 1 => 1..3_u32, 1 => Just(9)],
        prop::bool::weighted(0.1),
        prop_oneof![2 => Just(0_i64), 1 => 0..3_000_i64],
    );
    prop::collection::vec(ask, 1..25).prop_map(|asks| {
        let ask = |(id, (key, fails, is_hopeless, later)): (usize, (u32, u32, bool, i64))| {
            // What never succeeds would hold up what else its key asks for: it has a key of its own.
            let key = if fails > 0 || is_hopeless { format!("f{id}") } else { format!("k{key}") };
            let at = if fails == 0 && later > 0 { 1_000_000 + later } else { 0 };
            Ask { id: id as u32, key, fails, is_hopeless, at }
        };
        asks.into_iter().enumerate().map(ask).collect()
    })
}

fn world() -> World {
    World::new(&[(ASKS, 3), (PAID, 2), (RETRY, 1), (DEAD, 1)])
}

fn services(keep_order: bool) -> (Service<Counter>, Service<Worker>) {
    let counter = Service::new(Counter, "counters", &[ASKS], &[PAID], retry(keep_order));
    (counter, Service::new(Worker::new(RETRY), "worker", &[RETRY], &[ASKS], retry(false)))
}

/// How often each ask is paid, in the log.
fn paid(world: &World) -> BTreeMap<String, usize> {
    let mut paid = BTreeMap::new();
    for record in world.records(PAID) {
        *paid.entry(header_str(&record.headers, EVENT_ID).unwrap().to_owned()).or_default() += 1;
    }
    paid
}

fn expected(asks: &[Ask]) -> BTreeMap<String, usize> {
    let succeeds = |ask: &&Ask| !ask.is_hopeless && ask.fails < 5;
    asks.iter().filter(succeeds).map(|ask| (format!("paid-{}", ask.id), 1)).collect()
}

fn shuffled(choices: &mut dyn FnMut(u32) -> u32, records: &mut [Arc<ConsumerRecord>]) {
    for at in (1..records.len()).rev() {
        records.swap(at, choices(at as u32 + 1) as usize);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever happens, each effect happens once, what can't be done has a letter, and the states can be had from the log
    /// alone.
    #[test]
    fn each_effect_happens_once_and_states_follow_from_the_log(
        asks in asks(),
        choices in prop::collection::vec(any::<u32>(), 0..300),
        keep_order in any::<bool>(),
        has_zombies in prop::bool::weighted(0.2),
    ) {
        let mut world = world();
        world.has_zombies = has_zombies;
        let (mut counter, mut worker) = services(keep_order);
        let mut left = asks.iter();
        let mut choices = choices.into_iter();
        while let Some(choice) = choices.next() {
            let mut choose = |below: u32| choices.next().unwrap_or(0) % below;
            match choice % 8 {
                0..=1 => left.next().into_iter().for_each(|ask| world.send(asked(ask))),
                2..=5 => counter.act(&mut world, &mut choose),
                6 => worker.act(&mut world, &mut choose),
                _ => world.now += i64::from(choose(1_000)),
            }
        }
        left.for_each(|ask| world.send(asked(ask)));
        settle(&mut world, &mut [&mut counter, &mut worker]);
        prop_assert!(counter.is_settled(&world) && worker.is_settled(&world));

        let mut found = paid(&world);
        if has_zombies {
            found.values_mut().for_each(|times| *times = 1);
        }
        prop_assert_eq!(found, expected(&asks));
        for ask in asks.iter().filter(|ask| ask.is_hopeless || ask.fails >= 5) {
            let id = format!("asked-{}", ask.id);
            prop_assert!(world.records(DEAD).any(|letter| header_str(&letter.headers, EVENT_ID) == Some(&id)));
        }

        let (live, waiting) = (counter.told(), worker.told());
        let mut seed = 7_u32;
        let mut any = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % below
        };
        counter.rebuild(&world, false, 0, |records| shuffled(&mut any, records));
        worker.rebuild(&world, true, 0, |records| shuffled(&mut any, records));
        prop_assert_eq!(counter.told(), live);
        prop_assert_eq!(worker.told(), waiting);
        let before = world.records(PAID).count();
        settle(&mut world, &mut [&mut counter, &mut worker]);
        prop_assert_eq!(world.records(PAID).count(), before, "nothing is done again");
    }

    /// Where order is asked for, what is asked for under a key is paid in that order, however long some of it fails.
    #[test]
    fn order_is_kept_for_each_key(
        fails in prop::collection::vec(prop_oneof![3 => Just(0_u32), 1 => 1..4_u32, 1 => Just(9)], 1..20),
        choices in prop::collection::vec(any::<u32>(), 0..200),
    ) {
        let mut world = world();
        let (mut counter, mut worker) = services(true);
        let ask = |(id, fails): (usize, &u32)| Ask { id: id as u32, key: "one".to_owned(), fails: *fails, ..Ask::default() };
        let asks: Vec<_> = fails.iter().enumerate().map(ask).collect();
        let (mut left, mut choices) = (asks.iter(), choices.into_iter());
        while let Some(choice) = choices.next() {
            let mut choose = |below: u32| choices.next().unwrap_or(0) % below;
            match choice % 8 {
                0..=1 => left.next().into_iter().for_each(|ask| world.send(asked(ask))),
                // Not a rebuild: what had its turn before is decided then, whatever waits.
                2..=4 => for (topic, partition) in counter.partitions(&world) {
                    let pending = counter.begin(&world, &topic, partition, i64::from(choose(3)), 1 + choose(3) as usize);
                    assert!(counter.commit(pending));
                },
                5 => counter.send(&mut world, crate::processor::memory::Sending::InOrder),
                6 => _ = worker.work_off(&mut world),
                _ => world.now += i64::from(choose(1_000)),
            }
        }
        left.for_each(|ask| world.send(asked(ask)));
        settle(&mut world, &mut [&mut counter, &mut worker]);
        let order: Vec<u32> = world.records(PAID)
            .map(|record| header_str(&record.headers, EVENT_ID).unwrap().trim_start_matches("paid-").parse().unwrap())
            .collect();
        prop_assert!(order.is_sorted(), "{order:?}");
        prop_assert_eq!(counter.state("one").paid.into_iter().collect::<Vec<_>>(), order);
    }
}
