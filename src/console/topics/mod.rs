//! Topics: the list of them, each one, and what can be done with them. `kafka::admin` does it; this asks and shows.
//!
//! - [`list`]: all of them; [`one`]: one with its partitions and groups; [`settings`]: what it is set to.
//! - [`create`], [`partitions`], [`clear`], [`delete`]: what changes them, each naming what follows from it.
//! - [`row`]: a topic as the list, its own page and the API tell it.

mod clear;
mod create;
mod delete;
mod list;
mod one;
mod partitions;
mod row;
mod settings;

use super::route::Route;
pub use one::Head;

/// The addresses of topics.
pub fn routes() -> Vec<Route> {
    [
        list::routes(),
        create::routes(),
        one::routes(),
        settings::routes(),
        partitions::routes(),
        clear::routes(),
        delete::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The address of a topic's page.
pub fn address(topic: &str) -> String {
    format!("/console/topics/{}", super::frame::segment(topic))
}
