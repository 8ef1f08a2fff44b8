//! Keeps records that failed until they are due, and sends them back to where they came from: a processor itself.
//!
//! Each waits under a key of its own, so none holds up another; when it is due is the time at which its key is woken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use krafka::ConsumerRecord;
use serde::{Deserialize, Serialize};

use super::record::{ORIGIN_TOPIC, PLACE};
use crate::kafka::Outgoing;
use crate::kafka::event::{RETRY_AT, header_str, trace_of};
use crate::processor::outbox::Kept;
use crate::processor::{Decision, Failure, Moment, Processor, States};
use crate::telemetry::trace::TraceContext;

/// How long it is known that a record went back.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// The retry worker of one topic. Its group consumes that topic and emits to those that the records come from.
#[derive(Clone, Debug)]
pub struct Worker {
    topic: String,
}

impl Worker {
    /// Of the retry topic named `topic`, prefix included.
    pub fn new(topic: impl Into<String>) -> Self {
        Self { topic: topic.into() }
    }
}

/// What the worker sees.
#[derive(Clone, Debug)]
pub enum Event {
    /// A record waits.
    Waits {
        /// Its place in the retry topic.
        place: String,
        /// When it goes back, in milliseconds since the epoch.
        due: i64,
        /// The record as it goes back.
        record: Arc<Outgoing>,
    },
    /// A record went back.
    WentBack {
        /// The place at which it waited.
        place: String,
        /// The record.
        record: Arc<Outgoing>,
    },
}

/// What is known of a place in the retry topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// When the record goes back, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "is_zero")]
    due: i64,
    /// The record that waits there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Kept<'static>>,
    /// Whether it went back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    went_back: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Processor for Worker {
    type Event = Event;
    type State = Place;

    fn read(&self, record: &ConsumerRecord) -> Result<Option<Event>, String> {
        let text = |name| header_str(&record.headers, name);
        let outgoing = |topic: &str, place: Option<&str>| {
            let mut headers = record.headers.clone();
            headers.extend(place.map(|place| (PLACE.to_owned(), Some(Bytes::copy_from_slice(place.as_bytes())))));
            let (key, value, timestamp) = (record.key.clone(), record.value.clone(), record.timestamp);
            Arc::new(Outgoing { topic: topic.to_owned(), key, value, headers, timestamp })
        };
        if *record.topic != *self.topic {
            let went_back =
                |place: &str| Event::WentBack { place: place.to_owned(), record: outgoing(&record.topic, None) };
            return Ok(text(PLACE).map(went_back));
        }
        let due = text(RETRY_AT).ok_or("it does not say when it is due")?;
        let due = due.parse().map_err(|_| format!("it is due at {due:?}, which is no time"))?;
        let origin = text(ORIGIN_TOPIC).ok_or("it does not say where it came from")?;
        let place = format!("{}:{}", record.partition, record.offset);
        let record = outgoing(origin, Some(&place));
        Ok(Some(Event::Waits { place, due, record }))
    }

    fn keys(&self, event: &Event) -> Vec<String> {
        let (Event::Waits { place, .. } | Event::WentBack { place, .. }) = event;
        vec![place.clone()]
    }

    fn evolve(&self, event: &Event, states: &mut States<Place>) {
        match event {
            Event::Waits { place, due, record } => {
                let state = states.get_mut(place);
                if !state.went_back {
                    *state = Place { due: *due, record: Some(Kept::owned((**record).clone())), went_back: false };
                }
            }
            Event::WentBack { place, .. } => *states.get_mut(place) = Place { went_back: true, ..Place::default() },
        }
    }

    fn decide(&self, key: &str, states: &States<Place>, moment: &Moment) -> Result<Decision<Event>, Failure> {
        let Place { due, record, .. } = states.get(key);
        Ok(match record {
            Some(record) if *due <= moment.now_ms => {
                let (place, record) = (key.to_owned(), Arc::new(record.clone().into_record()));
                Decision { events: vec![Event::WentBack { place, record }], wake: None }
            }
            Some(_) => Decision { events: Vec::new(), wake: Some(*due) },
            None => Decision::default(),
        })
    }

    fn write(&self, event: &Event) -> Outgoing {
        let (Event::Waits { record, .. } | Event::WentBack { record, .. }) = event;
        (**record).clone()
    }

    fn waited(&self, _: &str, state: &Place) -> Option<TraceContext> {
        trace_of(&state.record.as_ref()?.record().headers)
    }

    fn lifetime(&self, _: &str, state: &Place) -> Option<Duration> {
        state.went_back.then_some(REMEMBERED)
    }

    fn concerns(&self, _: &str, _: &ConsumerRecord) -> bool {
        true
    }
}
