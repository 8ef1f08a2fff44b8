//! `kboard replay --dlq`: letters sent back from the command line.

#[path = "support/command.rs"]
mod support;

use serde_json::{Value, json};
use support::{Outcome, kboard, kboard_with, unique};

/// A topic of dead letters of two others.
struct Letters {
    orders: String,
    payments: String,
    dlq: String,
}

impl Letters {
    fn new() -> Self {
        let (orders, payments, dlq) = (unique("orders"), unique("payments"), unique("letters") + ".dlq.v1");
        kboard(&["topics", "create", &orders, "--partitions", "2"]).ok();
        kboard(&["topics", "create", &payments, "--partitions", "1"]).ok();
        kboard(&["topics", "create", &dlq, "--partitions", "1"]).ok();
        Self { orders, payments, dlq }
    }

    /// Writes one letter for each of `letters`: topic, group, error, value.
    fn write(&self, letters: impl IntoIterator<Item = (String, &'static str, String, String)>) {
        let line = |(number, (topic, group, error, value)): (usize, (String, &str, String, String))| {
            let told = [
                ("own", "1"),
                ("x-dlq-topic", &topic),
                ("x-dlq-partition", "0"),
                ("x-dlq-offset", &number.to_string()),
                ("x-dlq-group", group),
                ("x-dlq-error", &error),
                ("x-dlq-attempts", "5"),
                ("x-retry-history", "[]"),
            ];
            let headers = told.map(|(key, value)| json!({ "key": key, "value": value }));
            json!({ "key": format!("k{number}"), "value": value, "headers": headers }).to_string() + "\n"
        };
        let lines: String = letters.into_iter().enumerate().map(line).collect();
        kboard_with(&["produce", "--topic", &self.dlq, "--json"], &lines).ok();
    }

    /// 30 letters: every third one of payments, the others of orders, each with its number as total.
    fn thirty() -> Self {
        let letters = Self::new();
        letters.write((0..30).map(|number| {
            let value = json!({ "total": number }).to_string();
            match number % 3 {
                0 => (letters.payments.clone(), "payment-service", format!("declined {number}"), value),
                _ => (letters.orders.clone(), "inventory-service", "timeout".to_owned(), value),
            }
        }));
        letters
    }

    fn replay(&self, arguments: &[&str]) -> Outcome {
        kboard(&[&["replay", "--dlq", self.dlq.as_str()], arguments].concat())
    }

    fn replayed(&self, arguments: &[&str]) -> Value {
        self.replay(&[arguments, &["--output", "json"]].concat()).json()
    }
}

fn records(topic: &str) -> Vec<Value> {
    let printed = kboard(&["consume", "--topic", topic, "--until-end"]).ok();
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_dry_run_tells_what_would_go_where_and_sends_nothing() {
    let letters = Letters::thirty();
    let report = letters.replayed(&["--dry-run"]);
    let expected = json!([
        { "origin": letters.orders, "group": "inventory-service", "error": "timeout", "letters": 20, "sent": 0, "failed": 0 },
        { "origin": letters.payments, "group": "payment-service", "error": "declined #", "letters": 10, "sent": 0, "failed": 0 },
    ]);
    assert_eq!((&report["letters"], &report["kinds"]), (&json!(30), &expected), "{report}");
    let told = letters.replay(&["--dry-run"]).ok();
    assert!(told.contains("30 letters would be sent back; nothing was changed"), "{told}");
    assert!(told.contains("declined #") && told.contains("payment-service"), "{told}");
    assert!(records(&letters.orders).is_empty() && records(&letters.payments).is_empty());
    assert_eq!(records(&letters.dlq).len(), 30, "nothing is marked");
}

#[test]
fn letters_go_back_in_order_for_their_group_and_none_twice() {
    let letters = Letters::thirty();
    let report = letters.replayed(&["--limit", "7"]);
    assert_eq!(
        (&report["sent"], &report["more"], &report["sent_before"]),
        (&json!(7), &json!(23), &json!(0)),
        "{report}"
    );
    let report = letters.replayed(&[]);
    assert_eq!(
        (&report["sent"], &report["more"], &report["sent_before"]),
        (&json!(23), &json!(0), &json!(7)),
        "{report}"
    );
    let told = letters.replay(&[]).ok();
    assert_eq!(told.trim(), format!("{}: 0 letters sent back, 30 sent back before", letters.dlq));
    let keys = |records: &[Value]| records.iter().map(|record| record["key"].clone()).collect::<Vec<_>>();
    let numbers = |of_payments: bool| (0..30).filter(move |number| (number % 3 == 0) == of_payments);
    let (orders, payments) = (records(&letters.orders), records(&letters.payments));
    assert_eq!(keys(&orders), numbers(false).map(|number| json!(format!("k{number}"))).collect::<Vec<_>>());
    assert_eq!(keys(&payments), numbers(true).map(|number| json!(format!("k{number}"))).collect::<Vec<_>>());
    let headers = json!([
        { "key": "own", "value": "1" },
        { "key": "x-retry-count", "value": "1" },
        { "key": "x-retry-group", "value": "payment-service" },
    ]);
    assert!(payments.iter().all(|record| record["headers"] == headers && record["partition"] == 0), "{payments:?}");
}

#[test]
fn where_is_the_consoles_search_over_key_value_and_headers() {
    let letters = Letters::thirty();
    for (search, matching) in [
        ("$.total < 10", 10),
        ("$.total < 10 && $header.x-dlq-group == \"payment-service\"", 4),
        ("TIMEOUT", 20),
        ("/declined 1[0-9]/", 3),
        ("$key == \"k5\"", 1),
        ("nowhere", 0),
    ] {
        let report = letters.replayed(&["--dry-run", "--where", search]);
        assert_eq!(report["letters"], matching, "{search}: {report}");
    }
    let sent = letters.replayed(&["--where", "$.total >= 20"]);
    assert_eq!(sent["sent"], 10, "{sent}");
    assert_eq!(records(&letters.orders).len() + records(&letters.payments).len(), 10);

    let undecided = letters.replay(&["--dry-run", "--where", "$.total < \"x\"", "--output", "json"]);
    assert_eq!(undecided.code, 1, "{undecided:?}");
    assert!(undecided.stderr.contains("--where has no answer for them, the first at 0:0"), "{undecided:?}");
    let report: Value = serde_json::from_str(&undecided.stdout).unwrap();
    assert_eq!((&report["letters"], &report["undecided"]), (&json!(0), &json!(30)));
}

#[test]
fn what_cannot_go_back_is_told_and_stays_and_the_rest_goes() {
    let letters = Letters::new();
    let letter = |topic: &str| (topic.to_owned(), "g", "e".to_owned(), "v".to_owned());
    letters.write([letter(&letters.orders), letter("gone-for-good"), letter(&letters.payments)]);
    let planned = letters.replay(&["--dry-run", "--output", "json"]);
    assert_eq!(planned.code, 1, "{planned:?}");
    assert!(planned.stderr.contains("1 letter would not be sent back, the first at 0:1"), "{planned:?}");
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!((&plan["letters"], &plan["sent"], &plan["failed"]), (&json!(3), &json!(0), &json!(1)), "{plan}");
    let told = letters.replay(&["--dry-run"]);
    assert!(told.stdout.contains("2 letters would be sent back, 1 can't be sent; nothing was changed"), "{told:?}");
    let ended = letters.replay(&["--output", "json"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("1 letter not sent back, the first at 0:1"), "{ended:?}");
    assert!(ended.stderr.contains("\"gone-for-good\" does not exist any more"), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&report["sent"], &report["failed"]), (&json!(2), &json!(1)), "{report}");
    let again = letters.replay(&["--dry-run", "--output", "json"]);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!((&again["letters"], &again["sent_before"]), (&json!(1), &json!(2)), "{again}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let letters = Letters::new();
    for wrong in [
        &["--from-earliest"][..],
        &["--from-time", "1h"],
        &["--from-offset", "0=1"],
        &["--group", "message-board"],
        &["--online"],
        &["--until", "1h"],
        &["--limit", "-1"],
    ] {
        letters.replay(wrong).error();
    }
    kboard(&["replay", "--from-earliest", "--where", "x"]).error();
    let reason = letters.replay(&["--where", "$.total <"]).error();
    assert!(reason.contains("--where") && reason.contains("column"), "{reason}");
    let reason = kboard(&["replay", "--dlq", &letters.dlq[..letters.dlq.len() - 1]]).error();
    assert!(reason.contains(&letters.dlq), "the name that is near: {reason}");
}
