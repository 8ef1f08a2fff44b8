//! Orders.

mod analytics;
mod catalog;
mod draft;
mod events;
mod facts;
mod generator;
mod inventory;
mod money;
mod notification;
mod payment;
mod retry;
mod saga;
mod service;
mod switches;
#[cfg(test)]
mod tests;
mod topics;
