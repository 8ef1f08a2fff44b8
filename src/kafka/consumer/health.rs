//! What a group's member tells `/readyz` and the metrics about itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The health of one group's member in this process. Cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct GroupHealth {
    inner: Arc<Inner>,
}

#[derive(Default, Debug)]
struct Inner {
    joined: AtomicBool,
    stalled: AtomicBool,
    partitions: AtomicUsize,
}

impl GroupHealth {
    /// The member belongs to its group and has this many partitions (none, when there are more members than those).
    pub fn joined(&self, partitions: usize) {
        self.inner.partitions.store(partitions, Ordering::Relaxed);
        self.inner.joined.store(true, Ordering::Relaxed);
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

    /// Partitions assigned.
    pub fn partitions(&self) -> usize {
        self.inner.partitions.load(Ordering::Relaxed)
    }
}
