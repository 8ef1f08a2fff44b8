//! From one Redis subscription a process to any number of viewers.
//!
//! - [`feed`]: follows one projection, numbers no message twice and misses none, and shares each, encoded once.
//! - [`frame`]: how events look on a Server-Sent Events stream.
//! - [`sse`]: one viewer's stream.

pub mod feed;
pub mod frame;
pub mod sse;

pub use feed::Feed;
