//! The events of one order, in the order of their times.

use serde::{Deserialize, Serialize};

use crate::apps::orders::events::{Event, EventType, Place};

/// The most events a timeline keeps, the earliest ones. An order has six; anybody may write to the topics.
const LIMIT: usize = 64;

/// The events of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timeline {
    /// In the order of their times, then of their types, then of their ids.
    entries: Vec<Entry>,
}

/// One event of an order. Its topic is [`EventType::topic`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened, in milliseconds since the epoch.
    pub at: i64,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The event's id.
    pub id: String,
    /// Where it stands in its topic; `None` until it has been read from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl Timeline {
    /// The events in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Puts an event where it belongs. One that is known adds its place; of two that claim one id, the earlier counts.
    pub fn add(&mut self, event: &Event) {
        let new =
            Entry { at: event.at(), event_type: event.body.event_type(), id: event.id.clone(), place: event.place };
        if let Some(index) = self.entries.iter().position(|entry| entry.id == new.id) {
            let known = &mut self.entries[index];
            if known.rank() == new.rank() {
                known.place = known.place.into_iter().chain(new.place).min();
                return;
            }
            if known.rank() < new.rank() {
                return;
            }
            self.entries.remove(index);
        }
        let index = self.entries.partition_point(|entry| entry.rank() < new.rank());
        self.entries.insert(index, new);
        self.entries.truncate(LIMIT);
    }
}

impl Entry {
    fn rank(&self) -> (i64, EventType, &str) {
        (self.at, self.event_type, &self.id)
    }
}
