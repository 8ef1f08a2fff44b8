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
    permit: Option<OwnedSemaphorePermit>,
}

impl Reserved {
    /// Gives back all but `bytes`.
    pub fn keep(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.permit {
            drop(permit.split(permit.num_permits().saturating_sub(bytes)));
        }
    }

    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.permit.as_ref().is_none_or(|permit| permit.num_permits() == 0)
    }
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
        Reserved { permit: Arc::clone(&self.free).acquire_many_owned(bytes).await.ok() }
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

    #[tokio::test]
    async fn what_is_not_needed_is_given_back() {
        let memory = Memory::new(100);
        let mut reserved = memory.reserve(80).await;
        reserved.keep(30);
        assert_eq!((memory.free(), reserved.is_empty()), (70, false));
        reserved.keep(50);
        assert_eq!(memory.free(), 70, "it does not grow");
        reserved.keep(0);
        assert_eq!((memory.free(), reserved.is_empty()), (100, true));
    }
}
