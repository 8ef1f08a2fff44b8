//! `notification-service`: tells the customer how an order ended, once. The mail is a line of the log; that it went out is
//! known under the order's id.

use std::time::Duration;

use krafka::ConsumerRecord;
use serde::{Deserialize, Serialize};

use super::events::{Body, Event, envelope};
use super::facts::keep_earliest;
use super::service::Service;
use super::switches::LiveSwitches;
use super::topics;
use crate::apps::Prefix;
use crate::kafka::Outgoing;
use crate::processor::{Cause, Decision, Failure, Moment, Processor, States};

/// The service.
pub struct Notifications {
    /// Put before the names of topics.
    pub prefix: Prefix,
    /// How long it is remembered that a mail went out.
    pub retention: Duration,
}

/// The one notification about an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// What it says; `None` before there is anything to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
}

/// A mail that went out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sent {
    /// When the order ended, in milliseconds since the epoch.
    pub at: i64,
    /// What the mail is about.
    pub subject: String,
}

impl Service for Notifications {
    const GROUP: &str = "notification-service";
    const TOPICS: &[&str] = &[topics::OUTCOME];
    const EMITS: &[&str] = &[];
    const ANNOUNCES: bool = false;

    fn new(prefix: Prefix, _: LiveSwitches, retention: Duration) -> Self {
        Self { prefix, retention }
    }
}

impl Processor for Notifications {
    type Event = Event;
    type State = Notification;

    fn read(&self, record: &ConsumerRecord) -> Result<Option<Event>, String> {
        envelope::read(&self.prefix, record).map(Some)
    }

    fn keys(&self, event: &Event) -> Vec<String> {
        vec![event.order().to_owned()]
    }

    fn evolve(&self, event: &Event, states: &mut States<Notification>) {
        let order = event.order();
        let subject = match &event.body {
            Body::OrderCompleted(_) => format!("Your order {order} is complete"),
            Body::OrderCancelled(cancelled) => format!("Your order {order} was cancelled: {}", cancelled.reason),
            _ => return,
        };
        keep_earliest(&mut states.get_mut(order).sent, Sent { at: event.at(), subject });
    }

    fn decide(&self, _: &str, _: &States<Notification>, _: &Moment) -> Result<Decision<Event>, Failure> {
        Ok(Decision::default())
    }

    fn write(&self, event: &Event) -> Outgoing {
        envelope::write(&self.prefix, event)
    }

    /// What is said here is said after the notification was written down: a mail that a crash may lose, but never repeats.
    fn written(&self, order: &str, notification: &Notification, cause: &Cause) {
        if let Some(Sent { subject, .. }) = &notification.sent {
            cause.work().within(|| tracing::info!(order, subject, "email sent"));
        }
    }

    fn lifetime(&self, _order: &str, _notification: &Notification) -> Option<Duration> {
        Some(self.retention)
    }
}
