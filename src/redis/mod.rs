//! Redis: one place to connect, projections, and subscriptions.
//!
//! - [`client`]: the connections, made from the settings.
//! - [`erase`]: removing keys by their names.
//! - [`facts`]: what the server tells about itself, as metrics.
//! - [`window`]: a projection of the newest messages: batch and offsets in one atomic script.

pub mod client;
pub mod erase;
pub mod facts;
pub mod window;

pub use client::{Redis, RedisError, run};
pub use window::Window;
