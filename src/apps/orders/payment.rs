//! `payment-service`: authorizes or declines the payment of every order that is placed, and refunds it when the order is
//! cancelled. An order that is cancelled before it was paid is never paid.

use std::time::Duration;

use krafka::ConsumerRecord;
use serde::{Deserialize, Serialize};

use super::events::{
    Body, Event, Origin, PaymentAuthorized, PaymentDeclined, PaymentRefunded, Time, derived_id, envelope,
};
use super::facts::{keep_earliest, lifetime};
use super::money::Cents;
use super::service::Service;
use super::switches::{LiveSwitches, Switches};
use super::topics;
use crate::apps::Prefix;
use crate::kafka::Outgoing;
use crate::processor::{Decision, Failure, Moment, Processor, States};

/// The service.
pub struct Payments {
    /// Put before the names of topics.
    pub prefix: Prefix,
    /// How often it fails.
    pub switches: LiveSwitches,
    /// How long it is remembered what became of a payment.
    pub retention: Duration,
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
    /// That the order went through.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    completed: bool,
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

impl Payment {
    /// Whether nothing is to be done about it any more.
    fn is_over(&self) -> bool {
        let is_paid = matches!(self.answer, Some(Answer::Yes(_))) && !self.refunded;
        self.completed || (self.cancelled && !is_paid)
    }
}

impl Service for Payments {
    const GROUP: &str = "payment-service";
    const TOPICS: &[&str] = &[topics::ORDERS, topics::OUTCOME];
    const EMITS: &[&str] = &[topics::PAYMENTS];
    const ANNOUNCES: bool = false;

    fn new(prefix: Prefix, switches: LiveSwitches, retention: Duration) -> Self {
        Self { prefix, switches, retention }
    }
}

impl Processor for Payments {
    type Event = Event;
    type State = Payment;

    fn read(&self, record: &ConsumerRecord) -> Result<Option<Event>, String> {
        let event = envelope::read(&self.prefix, record)?;
        let is_ours = match event.body {
            Body::OrderPlaced(_) | Body::OrderCancelled(_) | Body::OrderCompleted(_) => true,
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
            Body::OrderCompleted(_) => payment.completed = true,
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

    fn lifetime(&self, _order: &str, payment: &Payment) -> Option<Duration> {
        lifetime(payment.due.is_some(), payment.is_over(), self.retention)
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

#[cfg(test)]
mod tests {
    use super::super::tests::fixtures::{
        ORDER, RETENTION, at, authorized, cancelled, completed, declined, only, placed, refunded, states,
    };
    use super::*;

    fn service(switches: Switches) -> Payments {
        Payments::new(Prefix::default(), LiveSwitches::fixed(switches), RETENTION)
    }

    fn decided(service: &Payments, events: &[Event]) -> Option<Body> {
        only(service.decide(ORDER, &states(service, events), &at(9)).unwrap().events)
    }

    #[test]
    fn an_order_is_paid_in_full_once() {
        let service = service(Switches::calm());
        let placed = placed(1, &[("mug", 2, 1_250)]);
        let Some(Body::PaymentAuthorized(payment)) = decided(&service, std::slice::from_ref(&placed)) else {
            panic!("not paid")
        };
        assert_eq!((payment.amount, payment.ts), (Cents(2_500), Time(9)));
        assert_eq!(decided(&service, &[placed.clone(), authorized(9, 2_500)]), None);
        assert_eq!(decided(&service, &[authorized(9, 2_500), placed.clone(), placed]), None);
    }

    #[test]
    fn what_was_paid_goes_back_when_the_order_is_cancelled_once() {
        let service = service(Switches::calm());
        let paid = [placed(1, &[("mug", 2, 1_250)]), authorized(2, 2_500), cancelled(3)];
        let mut states = states(&service, &paid);
        let refund = service.decide(ORDER, &states, &at(9)).unwrap().events;
        let Some(Body::PaymentRefunded(refunded)) = only(refund.clone()) else { panic!("{refund:?}") };
        assert_eq!(refunded.amount, Cents(2_500));
        refund.iter().for_each(|event| service.evolve(event, &mut states));
        assert_eq!(only(service.decide(ORDER, &states, &at(10)).unwrap().events), None);
    }

    #[test]
    fn a_payment_is_forgotten_only_when_nothing_is_to_be_done_about_it() {
        let service = service(Switches::calm());
        let kept = |events: &[Event]| service.lifetime(ORDER, states(&service, events).get(ORDER));
        let (placed, paid) = (placed(1, &[("mug", 2, 1_250)]), authorized(2, 2_500));
        assert_eq!(kept(std::slice::from_ref(&placed)), None);
        assert_eq!(kept(&[placed.clone(), paid.clone()]), None, "it may have to go back");
        assert_eq!(kept(&[placed.clone(), paid.clone(), completed(3)]), Some(RETENTION));
        assert_eq!(kept(&[placed.clone(), paid.clone(), cancelled(3)]), None, "it has to go back");
        assert_eq!(kept(&[placed.clone(), paid, cancelled(3), refunded(4, 2_500)]), Some(RETENTION));
        assert_eq!(kept(&[placed, declined(2), cancelled(3)]), Some(RETENTION));
        assert!(kept(&[cancelled(3)]) > Some(RETENTION), "the order may be read last");
    }

    #[test]
    fn an_order_that_is_cancelled_first_is_never_paid() {
        let service = service(Switches::calm());
        assert_eq!(decided(&service, &[cancelled(3)]), None);
        assert_eq!(decided(&service, &[cancelled(3), placed(1, &[("mug", 2, 1_250)])]), None);
    }

    #[test]
    fn the_bank_declines_large_amounts_and_whom_chance_has_chosen() {
        let above = Switches { payment_decline_above: Some(Cents(1_000)), ..Switches::calm() };
        let small = decided(&service(above.clone()), &[placed(1, &[("mug", 1, 1_000)])]);
        assert!(matches!(small, Some(Body::PaymentAuthorized(_))), "{small:?}");
        let large = decided(&service(above), &[placed(1, &[("mug", 1, 1_001)])]);
        let Some(Body::PaymentDeclined(large)) = large else { panic!("{large:?}") };
        assert_eq!(large.reason, "the amount of 10.01 is above the limit of 10.00");
        let never = Switches { payment_decline_chance: 1.0, ..Switches::calm() };
        let unlucky = decided(&service(never), &[placed(1, &[("mug", 1, 1)])]);
        assert!(matches!(unlucky, Some(Body::PaymentDeclined(_))), "{unlucky:?}");
    }

    #[test]
    fn a_bank_that_is_away_is_asked_again() {
        let service = service(Switches { payment_unavailable_chance: 1.0, ..Switches::calm() });
        let states = states(&service, &[placed(1, &[("mug", 1, 1)])]);
        let failure = service.decide(ORDER, &states, &at(9)).unwrap_err();
        assert!(matches!(failure, Failure::Transient(_)), "{failure:?}");
    }
}
