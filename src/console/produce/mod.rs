//! Producing: a record from a form, many of them, or the lines of a file.
//!
//! - [`content`]: keys and values as they are typed.
//! - [`record`]: a record to send, as the form and the API say it; [`send`]: how it is sent.
//! - [`form`]: the page; [`import`]: records as lines of JSON.

pub mod content;
pub mod form;
mod import;
pub mod record;
mod send;

use super::route::Route;

/// The addresses of producing.
pub fn routes() -> Vec<Route> {
    [form::routes(), import::routes()].into_iter().flatten().collect()
}
