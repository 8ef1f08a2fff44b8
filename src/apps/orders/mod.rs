//! Orders.

mod analytics;
mod draft;
mod events;
mod facts;
mod inventory;
mod money;
mod notification;
mod payment;
mod saga;
mod switches;
mod topics;
