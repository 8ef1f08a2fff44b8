//! The smallest service that needs everything: what is asked for is paid once, at once, later, after some failures, or never.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use krafka::ConsumerRecord;
use serde::{Deserialize, Serialize};

use crate::kafka::Outgoing;
use crate::kafka::event::EVENT_ID;
use crate::processor::retry::{Policy, Retry};
use crate::processor::{Decision, Failure, Index, Moment, Processor, States};

pub const ASKS: &str = "asks";
pub const PAID: &str = "paid";
pub const RETRY: &str = "retry";
pub const DEAD: &str = "dlq";

/// What is asked for under a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    pub id: u32,
    pub key: String,
    /// How often it fails.
    pub fails: u32,
    pub is_hopeless: bool,
    /// When it is paid.
    pub at: i64,
}

#[derive(Clone, Debug)]
pub enum Event {
    Asked(Ask),
    Paid { id: u32, key: String },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub asked: BTreeMap<u32, Ask>,
    pub paid: BTreeSet<u32>,
}

pub struct Counter;

impl Processor for Counter {
    type Event = Event;
    type State = Account;

    fn read(&self, record: &ConsumerRecord) -> Result<Option<Event>, String> {
        let value = record.value.as_deref().unwrap_or_default();
        let json = |error: serde_json::Error| error.to_string();
        if &*record.topic == PAID {
            let (id, key) = serde_json::from_slice(value).map_err(json)?;
            return Ok(Some(Event::Paid { id, key }));
        }
        serde_json::from_slice(value).map(|ask| Some(Event::Asked(ask))).map_err(json)
    }

    fn keys(&self, event: &Event) -> Vec<String> {
        let (Event::Asked(Ask { key, .. }) | Event::Paid { key, .. }) = event;
        vec![key.clone()]
    }

    fn evolve(&self, event: &Event, states: &mut States<Account>) {
        match event {
            Event::Asked(ask) => _ = states.get_mut(&ask.key).asked.insert(ask.id, ask.clone()),
            Event::Paid { id, key } => _ = states.get_mut(key).paid.insert(*id),
        }
    }

    fn decide(&self, key: &str, states: &States<Account>, moment: &Moment) -> Result<Decision<Event>, Failure> {
        let account = states.get(key);
        let mut decision = Decision::default();
        for ask in account.asked.values().filter(|ask| !account.paid.contains(&ask.id)) {
            if ask.is_hopeless {
                return Err(Failure::Permanent("hopeless".to_owned()));
            }
            if moment.attempt <= ask.fails {
                return Err(Failure::Transient(format!("attempt {}", moment.attempt)));
            }
            if ask.at > moment.now_ms {
                decision.wake = Some(decision.wake.map_or(ask.at, |at: i64| at.min(ask.at)));
            } else {
                decision.events.push(Event::Paid { id: ask.id, key: ask.key.clone() });
            }
        }
        Ok(decision)
    }

    fn write(&self, event: &Event) -> Outgoing {
        let Event::Paid { id, key } = event else { panic!("{event:?} is not emitted") };
        outgoing(PAID, key, &(id, key), &format!("paid-{id}"))
    }

    fn indexes(&self, _: &str, account: &Account) -> Vec<Index> {
        let name = if account.asked.len() == account.paid.len() { "settled" } else { "open" };
        vec![Index { name: name.to_owned(), score: 0.0, limit: 10 }]
    }

    fn lifetime(&self, _: &str, _: &Account) -> Option<Duration> {
        None
    }
}

pub fn asked(ask: &Ask) -> Outgoing {
    outgoing(ASKS, &ask.key, ask, &format!("asked-{}", ask.id))
}

fn outgoing(topic: &str, key: &str, value: &impl Serialize, id: &str) -> Outgoing {
    Outgoing {
        topic: topic.to_owned(),
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Some(Bytes::from(serde_json::to_vec(value).unwrap())),
        headers: vec![(EVENT_ID.to_owned(), Some(Bytes::copy_from_slice(id.as_bytes())))],
        timestamp: 1_000,
    }
}

pub fn retry(keep_order: bool) -> Retry {
    Retry { policy: Policy::default(), topic: RETRY.to_owned(), dead_letters: DEAD.to_owned(), keep_order }
}
