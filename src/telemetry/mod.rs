//! What the process tells about itself: its log and its metrics.

pub mod instruments;
pub mod logs;
pub mod metrics;
pub mod process;
pub mod seldom;
