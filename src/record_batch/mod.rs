//! The record batch of Kafka's message format 2, for the embedded broker and for reading from any.
//!
//! - [`Header`], [`field`]: what all records of a batch have in common, as it is stored.
//! - [`Compression`]: from compressed records to records.
//! - [`each`], [`are_complete`]: what the broker looks at of records, which it keeps none of.
//! - [`Decoder`]: records for those who read them, each a part of the bytes that it came in.

mod compression;
mod decoder;
mod header;
mod record;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod varint;
mod walk;

pub use compression::{Compression, MAX_DECOMPRESSED};
pub use decoder::{Aborted, Decoder, Entry};
pub use header::{FORMAT, HEADER, Header, MIN_LENGTH, OVERHEAD, field, headers};
pub use record::{Batch, Headers, Record, TimestampType, Unreadable};
pub use walk::{are_complete, each};
