//! The message board.

pub mod generator;
