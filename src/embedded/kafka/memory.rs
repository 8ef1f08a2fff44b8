//! The memory that requests and answers in flight may take, all connections together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A budget of bytes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Memory {
    free: Arc<Semaphore>,
    total: u32,
}

/// Bytes taken from the budget, until this is dropped.
#[derive(Debug)]
pub struct Reserved {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// A budget of `bytes`, 4 GiB at most.
    pub fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Takes `bytes`, waiting in turn until they are free. Who needs more than there is at all gets all of it.
    ///
    /// Whoever holds some must not wait for more, or two of them could wait for each other.
    pub async fn reserve(&self, bytes: usize) -> Reserved {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total);
        // The semaphore is never closed.
        Reserved { _permit: Arc::clone(&self.free).acquire_many_owned(bytes).await.ok() }
    }

    /// Bytes that nobody holds.
    pub fn free(&self) -> usize {
        self.free.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_too_much_waits_for_all_of_it_and_no_longer() {
        let memory = Memory::new(100);
        let half = memory.reserve(50).await;
        let whole = memory.reserve(1_000);
        tokio::pin!(whole);
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut whole).await.is_err());
        drop(half);
        let whole = whole.await;
        assert_eq!(memory.free(), 0);
        drop(whole);
        assert_eq!(memory.free(), 100);
    }
}
