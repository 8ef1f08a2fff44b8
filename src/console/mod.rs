//! The Kafka console.
pub mod filter;
