//! A cluster as tests need it: half a minute of orders, and a group that can't keep up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;

use super::filter::Filter;
use super::model::{Model, Next};
use crate::kafka::admin::brokers::Broker;
use crate::kafka::admin::groups::Member;
use crate::kafka::admin::topics::Topic;
use crate::kafka::watch::Snapshot;
use crate::kafka::watch::testing::{at, group, past, topic};

/// When the first look was taken: 2023-11-14T22:13:20Z.
pub const START: i64 = 1_700_000_000_000;
/// The second of the last look.
pub const SECONDS: i64 = 30;

/// The cluster after so many seconds. Orders come in 100 a second, and `billing` reads 40 of them; a second member joins it
/// in the 15th second. `mailer` has no members.
pub fn look(second: i64) -> Snapshot {
    let orders = sized(topic("orders", &[1_000..1_000 + 60 * second, 0..40 * second, 0..0]));
    let payments = sized(topic("payments", &[0..3 * second, 0..3 * second]));
    let offsets = Topic { internal: true, ..topic("__consumer_offsets", &[0..50 * second, 0..0]) };
    let at_orders = [
        ("orders", 0, Some(1_000 + 20 * second), 1_000 + 60 * second),
        ("orders", 1, Some(20 * second), 40 * second),
        ("orders", 2, Some(0), 0),
    ];
    let mut billing = group("billing", false, &at_orders);
    billing.state = "Stable".to_owned();
    billing.members = match second {
        ..15 => vec![member("billing-1", &[0, 1, 2])],
        _ => vec![member("billing-1", &[0, 1]), member("billing-2", &[2])],
    };
    for position in &mut billing.positions {
        let reads = |member: &&Member| member.partitions["orders"].contains(&position.partition);
        position.member = billing.members.iter().find(reads).map(|member| member.member.clone());
    }
    let mailer = group("mailer", false, &[("payments", 0, Some(0), 3 * second), ("payments", 1, None, 3 * second)]);
    let broker = Broker { id: 1, address: "kafka:9092".to_owned(), ..Broker::default() };
    Snapshot { brokers: vec![broker], ..at(START + 1_000 * second, [orders, payments, offsets], [billing, mailer]) }
}

fn sized(mut topic: Topic) -> Topic {
    topic.partitions.iter_mut().for_each(|partition| partition.size = partition.latest.map(|end| 25 * end as u64));
    topic
}

fn member(name: &str, partitions: &[i32]) -> Member {
    Member {
        member: format!("{name}-x"),
        client: name.to_owned(),
        host: "10.0.0.7".to_owned(),
        partitions: BTreeMap::from([("orders".to_owned(), partitions.to_vec())]),
    }
}

/// A model that has seen nothing.
pub fn blank() -> Model {
    Model::new("kafka:9092".to_owned(), Duration::from_secs(1), Filter::default(), false, TimeZone::UTC)
}

/// A model that has seen these looks.
pub fn seen(looks: &[Snapshot]) -> Model {
    let mut model = blank();
    for count in 1..=looks.len() {
        let look = &looks[count - 1];
        model.tick(look.taken_at);
        model.look(&Arc::new(look.clone()), &past(&looks[..count]));
    }
    model.resize(24);
    model
}

/// A model that has seen half a minute.
pub fn model() -> Model {
    seen(&(1..=SECONDS).map(look).collect::<Vec<_>>())
}

/// What `draw/screens/NAME.txt` has: a screen, or what is printed instead.
pub fn shown(name: &str) -> String {
    let path = format!("{}/src/cli/top/draw/screens/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.trim_end_matches('\n').to_owned()
}

/// Presses keys: letters as they stand, others by their names in angle brackets.
pub fn press(model: &mut Model, keys: &str) -> Next {
    let mut next = Next::Draw;
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let code = match named {
            Some((name, after)) => {
                rest = after;
                match name {
                    "enter" => KeyCode::Enter,
                    "esc" => KeyCode::Esc,
                    "tab" => KeyCode::Tab,
                    "backtab" => KeyCode::BackTab,
                    "back" => KeyCode::Backspace,
                    "pgdn" => KeyCode::PageDown,
                    "end" => KeyCode::End,
                    name => panic!("no key {name}"),
                }
            }
            None => {
                rest = &rest[first.len_utf8()..];
                KeyCode::Char(first)
            }
        };
        next = model.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
    next
}
