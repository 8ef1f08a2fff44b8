//! `payment-service`: authorizes or declines the payment of every order that is placed, and refunds it when the order is
//! cancelled. An order that is cancelled before it was paid is never paid.

use std::time::Duration;

use krafka::ConsumerRecord;
use serde::{Deserialize, Serialize};

use super::events::{
    Body, Event, Origin, PaymentAuthorized, PaymentDeclined, PaymentRefunded, Time, derived_id, envelope,
};
use super::facts::keep_earliest;
use super::money::Cents;
use super::service::Service;
use super::switches::{LiveSwitches, Switches};
use super::topics;
use crate::apps::Prefix;
use crate::kafka::Outgoing;
use crate::processor::{Decision, Failure, Moment, Processor, States};

/// The group, before the prefix.
pub const GROUP: &str = "payment-service";

/// How long it is remembered what became of a payment: as long as the log has the order.
const LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// The service.
pub struct Payments {
    /// Put before the names of topics.
    pub prefix: Prefix,
    /// How often it fails.
    pub switches: LiveSwitches,
}

/// The payment of one order, under the order's id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Payment {
    /// What is to be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Due>,
    /// What the bank said.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
    /// That the order was cancelled.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancelled: bool,
    /// That the money went back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refunded: bool,
}

/// What is to be paid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Due {
    at: i64,
    total: Cents,
    origin: Origin,
}

/// What the bank said; had it ever said both, its yes would count, since that money has to go back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    Yes(Cents),
    No,
}

impl Service for Payments {
    const GROUP: &str = GROUP;
    const TOPICS: &[&str] = &[topics::ORDERS, topics::OUTCOME];
    const EMITS: &[&str] = &[topics::PAYMENTS];
    const ANNOUNCES: bool = false;

    fn new(prefix: Prefix, switches: LiveSwitches) -> Self {
        Self { prefix, switches }
    }
}

impl Processor for Payments {
    type Event = Event;
    type State = Payment;

    fn read(&self, record: &ConsumerRecord) -> Result<Option<Event>, String> {
        let event = envelope::read(&self.prefix, record)?;
        let is_ours = match event.body {
            Body::OrderPlaced(_) | Body::OrderCancelled(_) => true,
            // Only a rebuild reads these. What others say was paid was not paid here.
            Body::PaymentAuthorized(_) | Body::PaymentDeclined(_) | Body::PaymentRefunded(_) => event.is_derived(),
            _ => false,
        };
        Ok(is_ours.then_some(event))
    }

    fn keys(&self, event: &Event) -> Vec<String> {
        vec![event.order().to_owned()]
    }

    fn evolve(&self, event: &Event, states: &mut States<Payment>) {
        let payment = states.get_mut(event.order());
        match &event.body {
            Body::OrderPlaced(order) => {
                keep_earliest(
                    &mut payment.due,
                    Due { at: event.at(), total: order.total, origin: event.origin.clone() },
                );
            }
            Body::OrderCancelled(_) => payment.cancelled = true,
            Body::PaymentAuthorized(authorized) => {
                keep_earliest(&mut payment.answer, Answer::Yes(authorized.amount));
            }
            Body::PaymentDeclined(_) => keep_earliest(&mut payment.answer, Answer::No),
            Body::PaymentRefunded(_) => payment.refunded = true,
            _ => {}
        }
    }

    fn decide(&self, order: &str, states: &States<Payment>, moment: &Moment) -> Result<Decision<Event>, Failure> {
        decide(order, states.get(order), moment, &self.switches.get())
    }

    fn write(&self, event: &Event) -> Outgoing {
        envelope::write(&self.prefix, event)
    }

    fn lifetime(&self, _order: &str) -> Option<Duration> {
        Some(LIFETIME)
    }
}

fn decide(order: &str, payment: &Payment, moment: &Moment, switches: &Switches) -> Result<Decision<Event>, Failure> {
    let Some(due) = &payment.due else { return Ok(Decision::default()) };
    let (order_id, ts) = (order.to_owned(), Time(moment.now_ms));
    let body = match &payment.answer {
        None if !payment.cancelled => {
            if switches.happens(switches.payment_unavailable_chance, "payment-unavailable", order, moment.attempt) {
                return Err(Failure::Transient("the payment service is temporarily unavailable".to_owned()));
            }
            match refusal(order, due.total, switches) {
                Some(reason) => Body::from(PaymentDeclined { order_id, reason, ts }),
                None => PaymentAuthorized { payment_id: payment_id(order), order_id, amount: due.total, ts }.into(),
            }
        }
        Some(Answer::Yes(amount)) if payment.cancelled && !payment.refunded => {
            PaymentRefunded { payment_id: payment_id(order), order_id, amount: *amount, ts }.into()
        }
        _ => return Ok(Decision::default()),
    };
    Ok(Decision { events: vec![Event::of_order(body, due.origin.clone())], wake: None })
}

/// Why the bank won't pay: the same every time it is asked.
fn refusal(order: &str, total: Cents, switches: &Switches) -> Option<String> {
    match switches.payment_decline_above {
        Some(most) if total > most => Some(format!("the amount of {total} is above the limit of {most}")),
        _ => (switches.happens(switches.payment_decline_chance, "payment-declined", order, 0))
            .then(|| "the bank declined the payment".to_owned()),
    }
}

/// The id of the one payment of an order.
fn payment_id(order: &str) -> String {
    derived_id(&format!("{order}/payment")).to_string()
}
