//! Processors without servers: what a batch changes, and whole services through anything that may happen to them.

mod counter;
mod services;
mod steps;
