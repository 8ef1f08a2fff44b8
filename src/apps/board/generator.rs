//! Makes up messages as people on a board would write them: greetings, questions, opinions, news and thanks about
//! everyday work, composed by rules from small vocabularies so that long runs don't repeat themselves.

use bytes::Bytes;
use rand::{Rng, RngExt};

use super::TOPIC;
use super::message::Message;
use crate::apps::Generated;
use crate::clock::now_ms;
use crate::kafka::event::EventMeta;
use crate::telemetry::trace::TraceContext;

const FIRST_NAMES: &[&str] = &[
    "Ada", "Amir", "Ana", "Ben", "Chiara", "Dmitri", "Elif", "Femi", "Grace", "Hana", "Ivan", "Jonas", "Kenji", "Lena",
    "Leyla", "Mateo", "Mei", "Nils", "Noor", "Oskar", "Priya", "Quinn", "Rosa", "Sofia", "Tariq", "Uma", "Vera", "Wei",
    "Yusuf", "Zoë",
];
const LAST_INITIALS: &[char] =
    &['A', 'B', 'C', 'D', 'F', 'G', 'H', 'K', 'L', 'M', 'N', 'O', 'P', 'R', 'S', 'T', 'W', 'Z'];
const HANDLES: &[&str] = &["codes", "dev", "ops", "writes", "42", "_at_work", "builds", "99"];

const THINGS: &[&str] = &[
    "the build",
    "the deploy",
    "the new dashboard",
    "the orders topic",
    "the consumer",
    "the cache",
    "the release",
    "the migration",
    "the on-call handover",
    "the coffee machine",
    "the meeting room",
    "the staging cluster",
    "the search page",
    "the load test",
    "the bike rack",
    "the projector",
    "the retry queue",
    "the invoice export",
];
const PLACES: &[&str] = &[
    "the kitchen",
    "the second floor",
    "room 4",
    "the office",
    "the canteen",
    "the park next door",
    "the lab",
    "the lobby",
    "Building B",
];
const TIMES: &[&str] = &[
    "this morning",
    "since yesterday",
    "again",
    "today",
    "after lunch",
    "this week",
    "for an hour now",
    "on Fridays",
    "since the update",
    "overnight",
];
const WHEN: &[&str] = &[
    "at noon",
    "in ten minutes",
    "tomorrow at 9",
    "after the stand-up",
    "on Thursday",
    "tonight",
    "at half past four",
];
const STATES: &[&str] = &[
    "is slow",
    "is green",
    "is down",
    "looks much better",
    "keeps restarting",
    "is finally working",
    "needs a second pair of eyes",
    "is lagging a little",
    "is twice as fast",
    "is out of beans",
    "is making a strange noise",
    "was a pleasure to use",
];
const ACTIONS: &[&str] = &[
    "take a look at",
    "restart",
    "review",
    "book",
    "roll back",
    "explain",
    "help me with",
    "watch",
    "write down how to run",
    "test",
];
const EVENTS: &[&str] = &[
    "Lunch",
    "The retro",
    "A short demo",
    "Cake",
    "The reading group",
    "Board games",
    "A walk",
    "The planning meeting",
];
const OPINIONS: &[&str] = &[
    "I like it",
    "not convinced yet",
    "best change this year",
    "it took me a while to get used to",
    "could be simpler",
    "please don't change it again",
    "it just works",
    "the old one was fine too",
];
const CLOSINGS: &[&str] =
    &["", "", "", "", " Thanks!", " Anyone?", " 🙏", " 🎉", " 😅", " Just so you know.", " No rush."];
const GREETINGS: &[&str] =
    &["Good morning", "Hello everyone", "Hi all", "Hey team", "Happy Monday", "Good evening", "Bonjour", "Grüß dich"];
const PRAISE: &[&str] =
    &["quick fix", "clear write-up", "help yesterday", "patience", "great talk", "careful review", "home-made cake"];

/// One message, with the headers of a posted one, under its id as the key.
pub fn generate(random: &mut dyn Rng) -> Generated {
    let timestamp = now_ms();
    let mut entropy = [0; 10];
    random.fill_bytes(&mut entropy);
    let since_epoch = u64::try_from(timestamp).unwrap_or_default();
    let id = uuid::Builder::from_unix_timestamp_millis(since_epoch, &entropy).into_uuid().to_string();
    let key = Bytes::copy_from_slice(id.as_bytes());
    let meta = EventMeta {
        event_type: "MessagePosted",
        version: "1",
        correlation_id: key.clone(),
        trace: TraceContext { trace_id: random.random(), span_id: random.random(), sampled: false },
        timestamp,
    };
    let headers = meta.headers(&key);
    let author = author(random);
    let message = Message { content: content(random).into(), author: author.into(), timestamp, id: id.into() };
    let value = Bytes::from(message.encode());
    Generated { topic: TOPIC.to_owned(), key: Some(key), value, headers }
}

fn pick<T: Copy>(random: &mut dyn Rng, from: &[T]) -> T {
    from[random.random_range(0..from.len())]
}

/// `Mei`, `Oskar T.`, `priya_at_work`.
fn author(random: &mut dyn Rng) -> String {
    let first = pick(random, FIRST_NAMES);
    match random.random_range(0..10) {
        0..5 => first.to_owned(),
        5..8 => format!("{first} {}.", pick(random, LAST_INITIALS)),
        _ => format!("{}{}", first.to_lowercase(), pick(random, HANDLES)),
    }
}

fn content(random: &mut dyn Rng) -> String {
    let mut text = sentence(random);
    // Now and then somebody has more to say.
    while random.random_bool(0.2) {
        text.push(' ');
        text.push_str(&sentence(random));
    }
    text.push_str(pick(random, CLOSINGS));
    text
}

fn sentence(random: &mut dyn Rng) -> String {
    let mut any = |from: &[&'static str]| pick(random, from);
    let thing = any(THINGS);
    let choice = any(&["status", "status", "question", "question", "event", "opinion", "thanks", "greeting", "number"]);
    let text = match choice {
        "status" => format!("{thing} {} {}.", any(STATES), any(TIMES)),
        "question" => format!("{} {} {thing}?", any(&["can someone", "who can", "could you"]), any(ACTIONS)),
        "event" => format!("{} {} in {}.", any(EVENTS), any(WHEN), any(PLACES)),
        "opinion" => format!("about {thing}: {}.", any(OPINIONS)),
        "thanks" => format!("thank you, {}, for the {}!", any(FIRST_NAMES), any(PRAISE)),
        "greeting" => format!("{} from {}!", any(GREETINGS), any(PLACES)),
        _ => format!("{} messages went through {thing} {}.", random.random_range(2..9_000) * 10, pick(random, TIMES)),
    };
    capitalised(&text)
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use serde_json::Value;

    use super::super::message::{MAX_AUTHOR, MAX_CONTENT};
    use super::*;

    fn texts(seed: u64, count: usize) -> Vec<(String, String)> {
        let mut random = StdRng::seed_from_u64(seed);
        let messages = (0..count).map(|_| serde_json::from_slice::<Value>(&generate(&mut random).value).unwrap());
        messages.map(|message| (message["author"].to_string(), message["content"].to_string())).collect()
    }

    #[test]
    fn a_message_has_the_fields_of_the_board_and_its_id_as_key() {
        let generated = generate(&mut StdRng::seed_from_u64(1));
        let value: Value = serde_json::from_slice(&generated.value).unwrap();
        let fields: HashSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, HashSet::from(["id", "content", "author", "timestamp"]));
        assert_eq!(generated.key.as_deref(), value["id"].as_str().map(str::as_bytes));
        let id: uuid::Uuid = value["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(generated.topic, "message-board");
    }

    #[test]
    fn a_seed_repeats_the_run_and_another_does_not() {
        assert_eq!(texts(7, 50), texts(7, 50));
        assert_ne!(texts(7, 50), texts(8, 50));
    }

    #[test]
    fn long_runs_are_varied_and_fit_the_board() {
        let all = texts(3, 2_000);
        let contents: HashSet<&String> = all.iter().map(|(_, content)| content).collect();
        assert!(contents.len() > 1_500, "only {} different messages", contents.len());
        assert!(all.iter().all(|(_, content)| (1..MAX_CONTENT).contains(&content.chars().count())));
        assert!(all.iter().all(|(author, _)| (1..MAX_AUTHOR).contains(&author.chars().count())));
    }
}
