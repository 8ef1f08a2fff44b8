//! The saga of an order, drawn: what was done, what is waited for, what failed, and what was undone.

use super::words;
use crate::apps::orders::events::EventType;
use crate::apps::orders::saga::order::Status;
use crate::apps::orders::web::read::Detail;

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It comes after others.
    Later,
    /// It is waited for.
    Waiting,
    /// It was done.
    Done,
    /// It could not be done.
    Failed,
    /// It was done, and undone.
    Undone,
    /// It is not needed.
    Skipped,
}

impl State {
    /// Its name, for the style.
    pub fn name(self) -> &'static str {
        match self {
            Self::Later => "later",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Undone => "undone",
            Self::Skipped => "skipped",
        }
    }

    /// The outline of its sign in a circle of radius 11 around the origin; nothing where the circle alone says it.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Later => "",
            Self::Waiting => "M-4.5 0h.01M0 0h.01M4.5 0h.01",
            Self::Done => "M-4.8.2-1.6 3.6 4.8-3.6",
            Self::Failed => "M-4-4 4 4M4-4-4 4",
            Self::Undone => "M-4.6-1.2A4.8 4.8 0 1 1-3 3.6M-5.2-5v4h4",
            Self::Skipped => "M-4 0H4",
        }
    }
}

/// A step.
pub struct Step {
    /// Its name, for the style and scripts.
    pub name: &'static str,
    /// What it does.
    pub title: &'static str,
    /// How far it is, in words.
    pub word: &'static str,
    /// How far it is.
    pub state: State,
    /// When it was done, after the order was placed.
    pub after: Option<String>,
}

/// The steps of an order.
pub struct Picture {
    /// In the order of their places in a [`Layout`].
    pub steps: [Step; 7],
}

/// How the picture is laid out: beside each other where there is room, below each other where there is none.
pub struct Layout {
    /// Its name, for the style.
    pub name: &'static str,
    /// The size of the drawing.
    pub size: (u32, u32),
    /// The left upper corners of the steps.
    corners: [(u32, u32); 7],
    /// The ways: from which step to which, and the path.
    ways: [(usize, usize, &'static str); 7],
}

// The places of the steps.
const PLACED: usize = 0;
const PAYMENT: usize = 1;
const INVENTORY: usize = 2;
const OUTCOME: usize = 3;
const REFUND: usize = 4;
const RELEASE: usize = 5;
const NOTIFICATION: usize = 6;

/// The two layouts.
pub const LAYOUTS: [Layout; 2] = [
    Layout {
        name: "wide",
        size: (900, 300),
        corners: [(4, 112), (244, 8), (244, 216), (484, 112), (728, 8), (728, 216), (728, 112)],
        ways: [
            (PLACED, PAYMENT, "M172 150C212 150 204 46 244 46"),
            (PLACED, INVENTORY, "M172 150C212 150 204 254 244 254"),
            (PAYMENT, OUTCOME, "M412 46C452 46 444 138 484 138"),
            (INVENTORY, OUTCOME, "M412 254C452 254 444 162 484 162"),
            (OUTCOME, NOTIFICATION, "M652 150H728"),
            (OUTCOME, REFUND, "M652 138C696 138 684 46 728 46"),
            (OUTCOME, RELEASE, "M652 162C696 162 684 254 728 254"),
        ],
    },
    Layout {
        name: "tall",
        size: (360, 520),
        corners: [(96, 4), (4, 114), (188, 114), (96, 224), (4, 444), (188, 444), (96, 334)],
        ways: [
            (PLACED, PAYMENT, "M160 80C160 100 88 94 88 114"),
            (PLACED, INVENTORY, "M200 80C200 100 272 94 272 114"),
            (PAYMENT, OUTCOME, "M88 190C88 210 160 204 160 224"),
            (INVENTORY, OUTCOME, "M272 190C272 210 200 204 200 224"),
            (OUTCOME, NOTIFICATION, "M180 300V334"),
            (OUTCOME, REFUND, "M112 300C112 330 48 330 48 444"),
            (OUTCOME, RELEASE, "M248 300C248 330 312 330 312 444"),
        ],
    },
];

impl Picture {
    /// The steps of `order`.
    pub fn of(order: &Detail) -> Self {
        let begin = order.row.as_ref().map(|row| row.placed_at.0);
        let after = |events: &[EventType]| {
            let found = order.timeline.iter().rev().find(|happened| events.contains(&happened.event_type))?;
            Some(found.timestamp.0 - begin?)
                .filter(|millis| *millis > 0)
                .map(|millis| format!("+{}", words::since(millis)))
        };
        let status = order.row.as_ref().map(|row| row.status);
        let (completed, cancelled) = (status == Some(Status::Completed), status == Some(Status::Cancelled));
        let ended = completed || cancelled;
        let (payment, inventory) = (&order.payment, &order.inventory);

        let waits = if ended { (State::Skipped, "no answer") } else { (State::Waiting, "waiting") };
        let payment_state = match payment {
            payment if payment.refunded.is_some() => (State::Undone, "refunded"),
            payment if payment.declined.is_some() => (State::Failed, "declined"),
            payment if payment.authorized.is_some() => (State::Done, "authorized"),
            _ => waits,
        };
        let inventory_state = match inventory {
            inventory if inventory.released => (State::Undone, "released"),
            inventory if inventory.rejected.is_some() => (State::Failed, "out of stock"),
            inventory if inventory.reserved => (State::Done, "reserved"),
            _ => waits,
        };
        let outcome = match ended {
            true if completed => (State::Done, "completed"),
            true => (State::Failed, "cancelled"),
            false => (State::Waiting, "waiting for both"),
        };
        let undo = |was_done: bool, is_undone: bool| match (was_done, is_undone) {
            (_, true) => (State::Done, "done"),
            (true, false) if cancelled => (State::Waiting, "waiting"),
            _ if ended => (State::Skipped, "not needed"),
            _ => (State::Later, "only if cancelled"),
        };
        let notification = match &order.notification {
            Some(_) => (State::Done, "sent"),
            None if ended => (State::Waiting, "waiting"),
            None => (State::Later, "at the end"),
        };
        let placed = if begin.is_some() { (State::Done, "placed") } else { (State::Waiting, "not heard of yet") };

        let step = |name, title, (state, word), after| Step { name, title, word, state, after };
        use EventType::*;
        Self {
            steps: [
                step("placed", "Order", placed, None),
                step("payment", "Payment", payment_state, after(&[PaymentAuthorized, PaymentDeclined])),
                step("inventory", "Inventory", inventory_state, after(&[InventoryReserved, InventoryRejected])),
                step("outcome", "Outcome", outcome, after(&[OrderCompleted, OrderCancelled])),
                step(
                    "refund",
                    "Refund",
                    undo(payment.authorized.is_some(), payment.refunded.is_some()),
                    after(&[PaymentRefunded]),
                ),
                step("release", "Release", undo(inventory.reserved, inventory.released), after(&[InventoryReleased])),
                step("notification", "Email", notification, None),
            ],
        }
    }

    /// The steps with the corners they have in `layout`.
    pub fn placed<'a>(&'a self, layout: &'a Layout) -> impl Iterator<Item = (&'a Step, (u32, u32))> {
        self.steps.iter().zip(layout.corners)
    }

    /// The ways of `layout`: the name, the path, and whether it was gone.
    pub fn ways<'a>(&'a self, layout: &'a Layout) -> impl Iterator<Item = (String, &'static str, &'static str)> {
        layout.ways.iter().map(|(from, to, path)| {
            let (from, to) = (&self.steps[*from], &self.steps[*to]);
            let state = match (from.state, to.state) {
                (_, State::Skipped | State::Later) => "later",
                (State::Done | State::Failed | State::Undone, _) => "done",
                _ => "later",
            };
            (format!("{}-{}", from.name, to.name), *path, state)
        })
    }

    /// What it shows, in words.
    pub fn summary(&self) -> String {
        let steps: Vec<String> = self.steps.iter().map(|step| format!("{}: {}", step.title, step.word)).collect();
        format!("{}.", steps.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::orders::events::Time;
    use crate::apps::orders::money::Cents;
    use crate::apps::orders::web::read::{Happened, Inventory, Payment, Row, Told};

    fn order(status: Status, payment: Payment, inventory: Inventory, told: bool) -> Detail {
        let row = Row {
            order_id: "o".to_owned(),
            status,
            user_id: "u".to_owned(),
            total: Cents(1),
            pieces: 1,
            placed_at: Time(1_000),
            reason: None,
        };
        let happened = Happened {
            event_type: EventType::PaymentAuthorized,
            event_id: String::new(),
            timestamp: Time(1_012),
            since_last_ms: None,
            topic: String::new(),
            partition: None,
            offset: None,
            record: None,
        };
        let notification = told.then(|| Told { at: Time(2_000), subject: String::new() });
        let (items, timeline, last_event_id) = (Vec::new(), vec![happened], String::new());
        Detail { row: Some(row), items, payment, inventory, notification, timeline, last_event_id }
    }

    fn payment(authorized: bool, declined: bool, refunded: bool) -> Payment {
        Payment {
            payment_id: None,
            authorized: authorized.then_some(Cents(1)),
            declined: declined.then(|| "no".to_owned()),
            refunded: refunded.then_some(Cents(1)),
        }
    }

    fn inventory(reserved: bool, rejected: bool, released: bool) -> Inventory {
        Inventory { reserved, rejected: rejected.then(|| "none".to_owned()), short: Vec::new(), released }
    }

    fn states(order: &Detail) -> [State; 7] {
        Picture::of(order).steps.map(|step| step.state)
    }

    #[test]
    fn steps_are_as_far_as_their_events() {
        use State::*;
        let (none, stock) = (payment(false, false, false), inventory(false, false, false));
        assert_eq!(
            states(&order(Status::Pending, none.clone(), stock.clone(), false)),
            [Done, Waiting, Waiting, Waiting, Later, Later, Later]
        );
        let (paid, reserved) = (payment(true, false, false), inventory(true, false, false));
        assert_eq!(
            states(&order(Status::Completed, paid.clone(), reserved.clone(), true)),
            [Done, Done, Done, Done, Skipped, Skipped, Done]
        );
        let declined = payment(false, true, false);
        assert_eq!(
            states(&order(Status::Cancelled, declined.clone(), reserved, false)),
            [Done, Failed, Done, Failed, Skipped, Waiting, Waiting]
        );
        assert_eq!(
            states(&order(Status::Cancelled, declined, inventory(true, false, true), true)),
            [Done, Failed, Undone, Failed, Skipped, Done, Done]
        );
        assert_eq!(
            states(&order(Status::Cancelled, payment(true, false, true), inventory(false, true, false), true)),
            [Done, Undone, Failed, Failed, Done, Skipped, Done]
        );
        assert_eq!(
            states(&order(Status::Cancelled, paid, stock, true)),
            [Done, Done, Skipped, Failed, Waiting, Skipped, Done],
            "no answer within the time"
        );
    }

    #[test]
    fn a_picture_says_in_words_what_it_shows() {
        let picture =
            Picture::of(&order(Status::Pending, payment(true, false, false), inventory(false, false, false), false));
        assert_eq!(
            picture.summary(),
            "Order: placed; Payment: authorized; Inventory: waiting; Outcome: waiting for both; Refund: only if cancelled; \
             Release: only if cancelled; Email: at the end."
        );
        assert_eq!(picture.steps[PAYMENT].after.as_deref(), Some("+12 ms"));
    }
}
