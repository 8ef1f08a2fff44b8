//! Dead letters: what is in the topics of dead letters, and the ways back. `kafka::dead_letter` reads and sends; this asks and shows.
//!
//! - [`overview`]: all dead-letter topics; [`list`]: the letters of one, counted by error and origin.
//! - [`one`]: one letter with its history, edited and sent back; [`send_back`]: all that match; [`discard`].
//! - [`filter`]: which letters are meant.

mod discard;
mod filter;
mod list;
mod one;
mod overview;
mod send_back;

use super::route::Route;

/// The addresses of dead letters.
pub fn routes() -> Vec<Route> {
    [overview::routes(), list::routes(), one::routes(), send_back::routes(), discard::routes()]
        .into_iter()
        .flatten()
        .collect()
}

/// The address of a dead-letter topic's page.
fn address(topic: &str) -> String {
    format!("/console/dead-letters/{}", super::frame::segment(topic))
}
