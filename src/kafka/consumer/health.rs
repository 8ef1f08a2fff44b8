//! What a group's member tells `/readyz` and the metrics about itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics::gauge;

use crate::telemetry::metrics as m;

/// The health of one group's member in this process. Cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct GroupHealth {
    inner: Arc<Inner>,
}

#[derive(Default, Debug)]
struct Inner {
    joined: AtomicBool,
    stalled: AtomicBool,
}

impl GroupHealth {
    /// Whether the member belongs to its group, with or without a partition of its own.
    pub fn set_joined(&self, joined: bool) {
        self.inner.joined.store(joined, Ordering::Relaxed);
        gauge!(m::CONSUMER_CONNECTED.name).set(if joined { 1.0 } else { 0.0 });
    }

    /// Whether the member is waiting for something that is away.
    pub fn set_stalled(&self, stalled: bool) {
        self.inner.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Why the member is not working, or `None` when it is.
    pub fn problem(&self) -> Option<&'static str> {
        if !self.inner.joined.load(Ordering::Relaxed) {
            Some("not yet assigned")
        } else if self.inner.stalled.load(Ordering::Relaxed) {
            Some("waiting for Kafka or Redis")
        } else {
            None
        }
    }
}
