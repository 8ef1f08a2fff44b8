//! The states in Redis.

mod names;
pub mod value;

pub use names::Names;
