//! What the process tells about itself: its log, its metrics and its traces.

pub mod instruments;
mod json;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod seldom;
pub mod trace;
