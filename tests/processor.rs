//! Processors on real servers: each effect happens once, whatever dies; what fails is tried again; states can be built anew
//! from the log.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use kboard::kafka::dead_letter;
use kboard::kafka::event::{EVENT_ID, RETRY_AT, header_str};
use kboard::processor::retry::record::HISTORY;
use support::till::{Ask, HOT, Shop, now};
use support::{Broker, Chance, eventually, rounds};

const SOON: Duration = Duration::from_secs(60);
/// After a server was away.
const RECOVERY: Duration = Duration::from_secs(90);

fn ask(number: usize) -> Ask {
    Ask { id: format!("{number:05}"), key: format!("k{}", number % 7), ..Ask::default() }
}

fn asks(numbers: Range<usize>) -> Vec<Ask> {
    numbers.map(ask).collect()
}

#[tokio::test]
async fn what_is_asked_for_is_paid_once_and_states_indexes_and_news_tell_of_it() {
    let shop = Shop::open().await;
    let till = shop.till();
    shop.ask(&asks(0..300)).await;
    shop.pays(300, SOON).await;
    shop.has_sent_all().await;
    till.stop().await;

    let view = shop.view().await;
    let keys: Vec<_> = (0..8).map(|number| format!("k{number}")).collect();
    let accounts = view.get(&keys).await.unwrap();
    assert!(accounts[7].is_none(), "nothing is known of a key that nobody named");
    let counts: Vec<_> = accounts.iter().flatten().map(|account| (account.asked.len(), account.paid.len())).collect();
    assert_eq!(counts, [(43, 43), (43, 43), (43, 43), (43, 43), (43, 43), (43, 43), (42, 42)]);
    assert_eq!((view.count("settled").await.unwrap(), view.count("open").await.unwrap()), (7, 0));
    let mut seen: Vec<(String, f64)> = Vec::new();
    while seen.len() < 7 {
        let page = view.page("settled", seen.last().map(|(key, score)| (key.as_str(), *score)), 2).await.unwrap();
        assert!(!page.is_empty() && page.len() <= 2);
        seen.extend(page);
    }
    let names: Vec<_> = seen.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(names, ["k0", "k1", "k2", "k3", "k4", "k5", "k6"], "by score, then by name");

    let news = shop.setup().await.window.unwrap().snapshot().await.unwrap();
    assert!(!news.epoch.is_empty() && news.seq >= 7 && news.members.len() as u64 == news.seq.min(100));
    let newest: serde_json::Value = serde_json::from_slice(&news.members[0]).unwrap();
    assert_eq!(newest["seq"].as_u64(), Some(news.seq));
}

#[tokio::test]
async fn a_killed_member_neither_loses_nor_repeats_an_effect() {
    let mut chance = Chance::new();
    let shop = Shop::open().await;
    let mut asked = 0;
    for _ in 0..rounds(4) {
        let till = shop.till();
        let more = chance.number(200..600) as usize;
        for from in (asked..asked + more).step_by(50) {
            shop.ask(&asks(from..(from + 50).min(asked + more))).await;
        }
        asked += more;
        // Somewhere between the first payment of this round and the last.
        let paid = shop.paid().await.len();
        eventually("a payment", SOON, async || (shop.paid().await.len() > paid).then_some(())).await;
        chance.moment(0..60).await;
        till.die();
    }
    let till = shop.till();
    shop.pays(asked, SOON).await;
    shop.has_sent_all().await;
    till.stop().await;
    shop.pays(asked, SOON).await;
}

#[tokio::test]
async fn what_fails_is_tried_again_and_what_is_hopeless_is_a_dead_letter_with_its_history() {
    let shop = Shop::open().await;
    let (till, worker) = (shop.till(), shop.worker());
    let slow = Ask { id: "slow".into(), key: "a".into(), fails: 3, ..Ask::default() };
    let quick = Ask { id: "quick".into(), key: "b".into(), fails: 1, ..Ask::default() };
    let never = Ask { id: "never".into(), key: "c".into(), fails: 99, ..Ask::default() };
    let hopeless = Ask { id: "hopeless".into(), key: "d".into(), is_hopeless: true, ..Ask::default() };
    shop.ask(&[slow, quick, never, hopeless]).await;
    shop.write("asks", "what?").await;
    let mut paid = shop.pays(2, SOON).await;
    paid.sort();
    assert_eq!(paid, ["quick", "slow"]);
    let letters = eventually("three letters", SOON, async || {
        let letters = shop.log("dlq").await;
        (letters.len() == 3).then_some(letters)
    })
    .await;
    let header = |name: &str| -> BTreeMap<String, String> {
        let id =
            |letter: &krafka::ConsumerRecord| header_str(&letter.headers, "x-event-id").unwrap_or("what").to_owned();
        letters
            .iter()
            .map(|letter| (id(letter), header_str(&letter.headers, name).unwrap_or_default().to_owned()))
            .collect()
    };
    let attempts = header(dead_letter::ATTEMPTS);
    assert_eq!((attempts["asked-never"].as_str(), attempts["asked-hopeless"].as_str()), ("5", "1"));
    assert_eq!(header(dead_letter::GROUP)["asked-never"], shop.name("till"));
    assert_eq!(header(dead_letter::ORIGIN_TOPIC)["asked-never"], shop.name("asks"));
    let history: Vec<serde_json::Value> = serde_json::from_str(&header(HISTORY)["asked-never"]).unwrap();
    let told: Vec<_> = history.iter().map(|failed| failed["error"].as_str().unwrap()).collect();
    assert_eq!(told, ["attempt 1", "attempt 2", "attempt 3", "attempt 4", "attempt 5"]);

    // Each came back when it was due, and not long after.
    for back in shop.log("asks").await.iter().filter(|record| record.offset > 0) {
        let Some(due) = header_str(&back.headers, RETRY_AT) else { continue };
        assert!(due.parse::<i64>().unwrap() <= now());
    }
    till.stop().await;
    worker.stop().await;
}

#[tokio::test]
async fn delayed_records_survive_a_killed_worker_and_hold_up_nobody() {
    let shop = Shop::open().await;
    let (till, worker) = (shop.till(), shop.worker());
    let failing = |number: usize| Ask { fails: 1, key: format!("f{number}"), ..ask(number) };
    shop.ask(&(0..50).map(failing).collect::<Vec<_>>()).await;
    eventually("records that wait", SOON, async || (!shop.log("retry").await.is_empty()).then_some(())).await;
    worker.die();
    shop.ask(&asks(50..80)).await;
    let _worker = shop.worker();
    shop.pays(80, SOON).await;
    assert_eq!(shop.log("retry").await.len(), 50, "each was put there once");
    till.stop().await;
}

#[tokio::test]
async fn order_is_kept_where_it_is_asked_for() {
    let mut shop = Shop::open().await;
    shop.keeps_order = true;
    let (till, worker) = (shop.till(), shop.worker());
    let mut asks: Vec<_> = (0..20).map(|number| Ask { key: "one".into(), ..ask(number) }).collect();
    (asks[3].fails, asks[7].fails) = (2, 1);
    for ask in &asks {
        shop.ask(std::slice::from_ref(ask)).await;
    }
    let paid = shop.pays(20, SOON).await;
    let mut sorted = paid.clone();
    sorted.sort();
    assert_eq!(paid, sorted);
    till.stop().await;
    worker.stop().await;
}

#[tokio::test]
async fn wake_ups_are_on_time_and_survive_a_killed_member() {
    let shop = Shop::open().await;
    let till = shop.till();
    shop.ask(&[ask(0)]).await;
    shop.pays(1, SOON).await;
    let asked = are_paid_on_time(&shop, 1).await;

    let (view, last) = (shop.view().await, ["last".to_owned()]);
    let due = now() + 500;
    shop.ask(&[Ask { at: due, key: last[0].clone(), ..ask(asked) }]).await;
    eventually("its state", SOON, async || view.get(&last).await.unwrap()[0].is_some().then_some(())).await;
    till.die();
    let _till = shop.till();
    shop.pays(asked + 1, SOON).await;
}

/// Asks, round by round, for payments at a time to come until all of a round are on time; how many were asked for by then. A
/// busy machine is late in some rounds, a fault in all of them; before its time nothing is ever paid.
async fn are_paid_on_time(shop: &Shop, mut asked: usize) -> usize {
    let mut latest: Vec<i64> = Vec::new();
    for _ in 0..5 {
        let delays = delays(shop, asked..asked + 39).await;
        asked += 39;
        assert_eq!(delays.len(), 39);
        assert!(delays.iter().all(|delay| *delay >= 0), "paid before it was due: {delays:?}");
        latest.extend(delays.into_iter().max());
        if latest.last() < Some(&250) {
            return asked;
        }
    }
    panic!("the latest of each round came after so many ms: {latest:?}");
}

/// Asks for payments that are due at one time; by how many milliseconds each was late.
async fn delays(shop: &Shop, numbers: Range<usize>) -> Vec<i64> {
    let due = now() + 700;
    let later = |number: usize| Ask { at: due, key: format!("w{number}"), ..ask(number) };
    let asks: Vec<Ask> = numbers.clone().map(later).collect();
    shop.ask(&asks).await;
    shop.pays(numbers.end, SOON).await;
    let ids: BTreeSet<String> = asks.iter().map(|ask| format!("paid-{}", ask.id)).collect();
    let is_one = |record: &&krafka::ConsumerRecord| ids.contains(header_str(&record.headers, EVENT_ID).unwrap());
    shop.log("paid").await.iter().filter(is_one).map(|record| record.timestamp - due).collect()
}

#[tokio::test]
async fn a_rebuild_gives_the_same_states_byte_for_byte_and_pays_nothing_twice() {
    let shop = Shop::open().await;
    let (till, worker) = (shop.till(), shop.worker());
    let mut all = asks(0..200);
    all[5].fails = 1;
    all[6].fails = 99;
    all.iter_mut().step_by(3).for_each(|ask| ask.is_hot = true);
    (all[5].key, all[6].key) = ("flaky".to_owned(), "dead".to_owned());
    shop.ask(&all).await;
    shop.pays(199, SOON).await;
    eventually("a letter", SOON, async || (shop.log("dlq").await.len() == 1).then_some(())).await;
    shop.has_sent_all().await;
    let before = shop.states().await;

    // While members run, and without them.
    let report = shop.rebuild().await;
    assert!(report.applied >= 399, "{report:?}");
    assert_eq!(shop.states().await, before);
    shop.ask(&asks(200..230)).await;
    shop.pays(229, SOON).await;
    till.stop().await;
    shop.has_sent_all().await;
    let before = shop.states().await;
    shop.rebuild().await;
    assert_eq!(shop.states().await, before);
    let _till = shop.till();
    shop.ask(&asks(230..240)).await;
    shop.pays(239, SOON).await;
    let root = shop.name("kboard:till");
    eventually("old states are removed", SOON, async || {
        let fields = shop.redis.cli(&["HKEYS", &root]).await;
        (!fields.contains("old/")).then_some(())
    })
    .await;
    drop(worker);
}

#[tokio::test]
async fn a_flushed_redis_heals_without_a_second_payment() {
    let shop = Shop::open().await;
    let till = shop.till();
    shop.ask(&asks(0..200)).await;
    shop.pays(200, SOON).await;
    shop.has_sent_all().await;
    let before = shop.states().await;
    // The offsets in Kafka are committed now and then.
    shop.redis.flush().await;
    shop.ask(&asks(200..210)).await;
    shop.pays(210, SOON).await;
    shop.has_sent_all().await;
    let after = shop.states().await;
    assert!(before.keys().all(|key| after.contains_key(key)));
    till.stop().await;

    // And a member that finds nothing at its start.
    let before = shop.states().await;
    shop.redis.flush().await;
    let till = shop.till();
    eventually("the states", SOON, async || (shop.states().await == before).then_some(())).await;
    shop.ask(&asks(210..220)).await;
    shop.pays(220, SOON).await;
    till.stop().await;
}

#[tokio::test]
async fn a_redis_that_loses_its_last_writes_pays_nothing_twice() {
    let mut shop = Shop::open().await;
    let till = shop.till();
    shop.ask(&asks(0..100)).await;
    shop.pays(100, SOON).await;
    shop.has_sent_all().await;
    // One after the other, so that there is something to lose.
    for number in 100..140 {
        shop.ask(&[ask(number)]).await;
    }
    shop.pays(140, SOON).await;
    shop.redis.kill9_losing(10_000);
    shop.redis.restart().await;
    shop.ask(&asks(140..150)).await;
    shop.pays(150, SOON).await;
    shop.has_sent_all().await;
    till.stop().await;
    let states = shop.states().await;
    assert_eq!(states.len(), 7);
    shop.rebuild().await;
    assert_eq!(shop.states().await, states);
    shop.pays(150, SOON).await;
}

#[tokio::test]
async fn what_kafka_does_not_acknowledge_is_sent_again_and_stands_there_once() {
    let broker = Broker::start().await;
    let shop = Shop::open_on(&broker.address()).await;
    let till = shop.till();
    shop.ask(&asks(0..100)).await;
    shop.pays(100, SOON).await;
    let mut asked = 100;
    for _ in 0..rounds(2) {
        // It has just been asked: payments are on their way.
        shop.ask(&asks(asked..asked + 400)).await;
        asked += 400;
        broker.freeze();
        shop.is_kept_waiting().await;
        broker.thaw();
        shop.pays(asked, RECOVERY).await;
    }
    shop.has_sent_all().await;
    till.stop().await;
    shop.pays(asked, SOON).await;
}

#[tokio::test]
async fn members_that_change_the_same_state_lose_nothing() {
    let shop = Shop::open().await;
    let members = [shop.till(), shop.till(), shop.till()];
    let hot: Vec<_> = asks(0..900).into_iter().map(|ask| Ask { is_hot: true, ..ask }).collect();
    for some in hot.chunks(30) {
        shop.ask(some).await;
    }
    shop.pays(900, RECOVERY).await;
    let view = shop.view().await;
    let account = view.get(&[HOT.to_owned()]).await.unwrap().remove(0).unwrap();
    assert_eq!(account.paid.len(), 900);
    for member in members {
        member.stop().await;
    }
}
