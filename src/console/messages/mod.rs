//! The records of a topic.
//!
//! - [`query`]: what is asked for; [`extent`]: what of the topic that allows to be looked at; [`cut`]: a place in it.
//! - [`browse`]: pages, merged by time, both ways; [`reader`]: where they get records from.
//! - [`search`]: all of a topic at the speed of the log; [`sift`]: what of a chunk matches; [`tail`]: what is still to come.
//! - [`row`], [`list`], [`record`]: what pages and the API show.
//! - [`stream`], [`export`]: searches as JSON lines, and as files.

pub mod browse;
pub mod cut;
pub mod export;
pub mod extent;
pub mod list;
pub mod query;
pub mod reader;
pub mod record;
pub mod row;
pub mod search;
pub mod sift;
pub mod stream;
pub mod tail;

use super::route::Route;

/// The addresses of messages.
pub fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/topics/{topic}/messages", list::page),
        Route::page("/console/topics/{topic}/messages/{partition}/{offset}", record::page),
        Route::get("/api/console/topics/{topic}/messages", "A page of messages, or what a search finds", list::answer),
        Route::stream(
            "/api/console/topics/{topic}/search",
            "A search as it goes, or what comes from now on: lines of type record, unreadable, progress, and end at last",
            &[stream::NDJSON],
            stream::search,
        ),
        Route::stream(
            "/api/console/topics/{topic}/export",
            "All messages of a view, each as `kboard consume` prints it, or as CSV",
            &[stream::NDJSON, export::CSV],
            export::export,
        ),
        Route::get(
            "/api/console/topics/{topic}/messages/{partition}/{offset}",
            "One message, with what is known of the batch it came in",
            record::answer,
        ),
        Route::stream(
            "/api/console/topics/{topic}/messages/{partition}/{offset}/raw",
            "The bytes of a message's value, key or one of its headers, exactly as they are stored",
            &["application/octet-stream"],
            record::raw,
        ),
    ]
}
