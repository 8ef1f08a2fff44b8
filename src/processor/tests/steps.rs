//! What a batch changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use krafka::ConsumerRecord;

use super::counter::{ASKS, Account, Ask, Counter, DEAD, Event, PAID, RETRY, asked, retry};
use crate::kafka::Outgoing;
use crate::kafka::event::{RETRY_AT, header_str};
use crate::processor::step::{Batch, Changes, Input, Stored, Wake, fold, input, reopen, step};

const GROUP: &str = "counters";
const NOW: i64 = 1_000_000;

type Kept = BTreeMap<String, Stored<Account>>;

fn ask(id: u32, key: &str) -> Ask {
    Ask { id, key: key.to_owned(), ..Ask::default() }
}

/// The record at `offset` of partition 0.
fn read(outgoing: Outgoing, offset: i64) -> Arc<ConsumerRecord> {
    let mut record = ConsumerRecord::new(ASKS, 0, offset, outgoing.key, outgoing.value);
    record.headers = outgoing.headers;
    Arc::new(record)
}

fn inputs(records: &[Arc<ConsumerRecord>]) -> Vec<Input<Event>> {
    records.iter().map(|record| input(&Counter, GROUP, record).unwrap().unwrap()).collect()
}

fn run(kept: &mut Kept, records: &[Arc<ConsumerRecord>], keep_order: bool, now: i64) -> Changes<Account> {
    let inputs = inputs(records);
    let batch = Batch { inputs: inputs.iter().collect(), woken: Vec::new() };
    let changes = step(&Counter, GROUP, &retry(keep_order), &batch, kept, now);
    kept.extend(changes.writes.iter().map(|write| (write.key.clone(), write.stored.clone())));
    changes
}

fn topics(changes: &Changes<Account>) -> Vec<&str> {
    changes.emissions.iter().map(|emission| emission.record.topic.as_str()).collect()
}

#[test]
fn events_change_states_and_emit_in_order_and_once() {
    let records: Vec<_> =
        [ask(1, "a"), ask(2, "b"), ask(3, "a")].iter().zip(0..).map(|(ask, offset)| read(asked(ask), offset)).collect();
    let mut kept = Kept::new();
    let changes = run(&mut kept, &records, false, NOW);
    assert_eq!(topics(&changes), [PAID, PAID, PAID]);
    let mut ids: Vec<_> = changes.emissions.iter().map(|emission| emission.id.as_str()).collect();
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(
        changes.writes.iter().map(|write| (write.key.as_str(), write.version)).collect::<Vec<_>>(),
        [("a", 0), ("b", 0)]
    );
    assert_eq!(changes.writes[0].add.iter().map(|index| index.name.as_str()).collect::<Vec<_>>(), ["settled"]);

    let again = run(&mut kept, &records, false, NOW + 1);
    assert!(again.writes.is_empty() && again.emissions.is_empty(), "what is known changes nothing");
}

#[test]
fn an_index_is_left_when_another_is_entered() {
    let mut kept = Kept::new();
    let later = Ask { at: NOW + 50, ..ask(1, "a") };
    let changes = run(&mut kept, &[read(asked(&later), 0)], false, NOW);
    assert_eq!(changes.writes[0].add[0].name, "open");
    assert_eq!(changes.writes[0].stored.wake, Some(Wake { at: NOW + 50, home: "asks:0".to_owned() }));
    let woken = vec![("a".to_owned(), "asks:0".to_owned())];
    let batch = Batch { inputs: Vec::new(), woken };
    let changes = step(&Counter, GROUP, &retry(false), &batch, &kept, NOW + 50);
    assert_eq!((topics(&changes), changes.writes[0].remove.as_slice()), (vec![PAID], &["open".to_owned()][..]));
    assert_eq!(changes.woken, [("a".to_owned(), "asks:0".to_owned(), None)]);
    assert_eq!(changes.writes[0].stored.wake, None);
}

#[test]
fn a_key_that_has_gone_is_not_woken_again() {
    let batch = Batch { inputs: Vec::new(), woken: vec![("gone".to_owned(), "asks:0".to_owned())] };
    let changes = step(&Counter, GROUP, &retry(false), &batch, &Kept::new(), NOW);
    assert!(changes.writes.is_empty());
    assert_eq!(changes.woken, [("gone".to_owned(), "asks:0".to_owned(), None)]);
}

#[test]
fn a_failing_record_waits_longer_each_time_and_then_is_a_dead_letter() {
    let mut kept = Kept::new();
    let mut record = read(asked(&Ask { fails: 99, ..ask(1, "a") }), 7);
    let mut delays = Vec::new();
    for attempt in 1..=5 {
        let changes = run(&mut kept, std::slice::from_ref(&record), false, NOW);
        let outgoing = changes.emissions[0].record.clone();
        if attempt == 5 {
            assert_eq!(outgoing.topic, DEAD);
            assert_eq!(changes.failures.dead, BTreeMap::from([(ASKS.to_owned(), (0, 1))]));
            break;
        }
        assert_eq!((outgoing.topic.as_str(), changes.failures.retried), (RETRY, 1));
        delays.push(header_str(&outgoing.headers, RETRY_AT).unwrap().parse::<i64>().unwrap() - NOW);
        record = read(outgoing, 100 + attempt);
    }
    for (delay, middle) in delays.iter().zip([500, 1_000, 2_000, 4_000]) {
        assert!((delay - middle).abs() <= middle / 10, "{delays:?}");
    }
}

#[test]
fn what_is_hopeless_is_a_dead_letter_at_once() {
    let changes = run(&mut Kept::new(), &[read(asked(&Ask { is_hopeless: true, ..ask(1, "a") }), 0)], true, NOW);
    assert_eq!(topics(&changes), [DEAD]);
    assert_eq!(changes.failures.dead, BTreeMap::from([(ASKS.to_owned(), (1, 0))]));
    assert!(changes.writes[0].stored.waiting.is_empty(), "nothing waits for it");
}

#[test]
fn later_records_about_a_key_wait_behind_the_one_that_failed() {
    let mut kept = Kept::new();
    let failing = Ask { fails: 1, ..ask(1, "a") };
    let records = [failing, ask(2, "a"), ask(3, "b"), ask(4, "a")];
    let records: Vec<_> = records.iter().zip(0..).map(|(ask, offset)| read(asked(ask), offset)).collect();
    let changes = run(&mut kept, &records, true, NOW);
    assert_eq!(topics(&changes), [RETRY, RETRY, PAID, RETRY]);
    let due = |number: usize| {
        let emission: &crate::processor::step::Emission = &changes.emissions[number];
        header_str(&emission.record.headers, RETRY_AT).unwrap().parse::<i64>().unwrap()
    };
    assert!(due(0) < due(1) && due(1) < due(3), "they come back in order");
    let back: Vec<_> =
        [0, 1, 3].iter().zip(10..).map(|(n, offset)| read(changes.emissions[*n].record.clone(), offset)).collect();

    // The second comes back first: it still waits for the first.
    let early = run(&mut kept, &back[1..2], true, NOW + 700);
    assert_eq!(topics(&early), [RETRY]);
    let second = read(early.emissions[0].record.clone(), 20);
    let paid = run(&mut kept, &[back[0].clone(), second, back[2].clone()], true, NOW + 900);
    assert_eq!(topics(&paid), [PAID, PAID, PAID]);
    assert!(kept["a"].waiting.is_empty());
}

#[test]
fn a_record_that_was_retried_for_another_group_is_none_of_ours() {
    let changes = run(&mut Kept::new(), &[read(asked(&Ask { fails: 1, ..ask(1, "a") }), 0)], false, NOW);
    let back = read(changes.emissions[0].record.clone(), 9);
    assert!(input(&Counter, "another", &back).unwrap().is_none());
    assert!(input(&Counter, GROUP, &back).unwrap().is_some());
}

#[test]
fn a_fold_decides_nothing_and_tells_what_is_left_to_decide() {
    let records = [ask(1, "a"), Ask { at: NOW + 9, ..ask(2, "b") }, Ask { fails: 1, ..ask(3, "c") }];
    let records: Vec<_> = records.iter().zip(0..).map(|(ask, offset)| read(asked(ask), offset)).collect();
    let inputs = inputs(&records);
    let (changes, open) = fold(&Counter, &inputs.iter().collect::<Vec<_>>(), &Kept::new(), NOW);
    assert!(changes.emissions.is_empty());
    assert!(open.values().all(|open| *open));
    let kept: Kept = changes.writes.into_iter().map(|write| (write.key, write.stored)).collect();
    let homes = ["a", "b", "c"].map(|key| (key.to_owned(), "asks:0".to_owned())).into();
    let (changes, failing) = reopen(&Counter, &homes, &kept, NOW);
    let wakes: Vec<_> =
        changes.writes.iter().map(|write| (write.key.as_str(), write.stored.wake.as_ref().unwrap().at)).collect();
    assert_eq!(wakes, [("a", NOW), ("b", NOW + 9)]);
    assert_eq!(failing, ["c"]);
}
