//! The record batch of Kafka's message format 2, for the embedded broker and for reading from any.

mod compression;
mod record;
mod varint;

pub use compression::Compression;
pub use record::{Batch, Headers, Record, TimestampType, Unreadable};
