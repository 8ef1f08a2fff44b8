//! The HTTP server.
//!
//! - [`server`]: the accept loop: limits, timeouts, headers, metrics, graceful shutdown.
//! - [`routes`]: what apps hand in: filters, and the templates of their paths.
//! - [`body`]: request bodies, read within bounds of size and time.
//! - [`events`]: streams of events.
//! - [`headers`]: what the headers of a request say.
//! - [`query`]: what comes behind the question mark.
//! - [`reply`]: answers: JSON, pages, errors.
//! - [`assets`]: CSS, JavaScript and pictures, compiled into the executable.
//! - [`human`], [`chart`]: numbers as people read them, lines and bars over time.
//! - [`health`]: `/healthz`, `/readyz`, `/metrics`.

pub mod assets;
pub mod body;
pub mod chart;
pub mod events;
pub mod headers;
pub mod health;
pub mod human;
pub mod query;
pub mod reply;
pub mod routes;
pub mod server;

pub use routes::{READ, Routes};

/// A part of the site, as navigation names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Its address.
    pub address: &'static str,
}
