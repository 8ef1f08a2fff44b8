//! Orders.

mod events;
mod facts;
mod money;
mod saga;
mod topics;
