//! Orders: a saga that nobody conducts. Payment and inventory answer to the same order; the saga joins their answers, and what
//! one of them did for an order that the other refused is undone.
//!
//! ```text
//!             ┌──> payment-service ───> payments.v1 ──┐
//! orders.v1 ──┤                                       ├──> order-saga ──> orders.outcome.v1 ──> notification-service
//!             └──> inventory-service ─> inventory.v1 ─┘                     │
//!                     payment-service, inventory-service (undo) <───────────┘
//! ```
//!
//! - [`events`], [`topics`]: what is told, and where. [`draft`]: what a customer asks for.
//! - [`payment`], [`inventory`], [`saga`], [`notification`], [`analytics`]: the services, each a processor; [`service`] makes
//!   them groups.
//! - [`switches`]: what goes wrong on purpose. [`retry`]: what becomes of records that fail.
//! - [`money`], [`catalog`], [`facts`], [`generator`].
//! - [`web`]: what it shows and takes over HTTP.

pub mod analytics;
pub mod catalog;
pub mod draft;
pub mod events;
pub mod facts;
pub mod generator;
pub mod inventory;
pub mod money;
pub mod notification;
pub mod payment;
pub mod retry;
pub mod saga;
pub mod service;
pub mod switches;
#[cfg(test)]
mod tests;
pub mod topics;
pub mod web;

use futures::FutureExt;

use super::{App, GroupSpec};
use crate::processor::retry::worker::Worker;
use crate::web::Part;
use service::group;

/// The orders.
pub const APP: App = App {
    name: "orders",
    home: Part { name: "Orders", address: "/orders" },
    topics: topics::specs,
    groups: GROUPS,
    mount: |services, subscriber| web::mount(services, subscriber).boxed(),
    generate: generator::generate,
};

/// The groups of the app.
pub const GROUPS: &[GroupSpec] = &[
    group::<payment::Payments>(),
    group::<inventory::Inventory>(),
    group::<saga::Saga>(),
    group::<notification::Notifications>(),
    group::<analytics::Analytics>(),
    group::<Worker>(),
];
