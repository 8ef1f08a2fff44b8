//! What the work at hand belongs to: a trace and a correlation, known to whatever is called for it, to log lines and to spans.

use std::cell::RefCell;

use bytes::Bytes;

use super::{TraceContext, root};

/// What work belongs to.
#[derive(Clone, Debug, Default)]
pub struct Current {
    /// The span that it is a part of, if it has a trace.
    pub context: Option<TraceContext>,
    /// The other spans that it is a part of: those of a batch.
    pub links: Vec<TraceContext>,
    /// What ties together everything that one request set off.
    pub correlation: RefCell<Option<Bytes>>,
}

tokio::task_local! {
    static CURRENT: Current;
}

impl Current {
    /// Work in the span `context`.
    pub fn new(context: Option<TraceContext>) -> Self {
        Self { context, ..Self::default() }
    }

    /// The same, for `correlation`.
    #[must_use]
    pub fn of(self, correlation: Option<Bytes>) -> Self {
        Self { correlation: RefCell::new(correlation), ..self }
    }

    /// Runs `work`, which belongs to this.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// Runs `work`, which belongs to this.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }
}

/// What `look` makes of what the work at hand belongs to.
pub fn with<T>(look: impl FnOnce(&Current) -> T) -> Option<T> {
    CURRENT.try_with(look).ok()
}

/// The span that the work at hand is a part of.
pub fn current() -> Option<TraceContext> {
    with(|current| current.context).flatten()
}

/// A part of the work at hand, in a span of its own; without any, the first span of a trace.
pub fn next() -> TraceContext {
    current().map_or_else(root, TraceContext::child)
}

/// The correlation of the work at hand is known from now on.
pub fn correlate(correlation: &Bytes) {
    with(|current| *current.correlation.borrow_mut() = Some(correlation.clone()));
}

/// The correlation of the work at hand.
pub fn correlation() -> Option<Bytes> {
    with(|current| current.correlation.borrow().clone()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_knows_what_it_belongs_to_until_it_ends() {
        let context = TraceContext::random();
        let work = async {
            correlate(&Bytes::from_static(b"c"));
            tokio::task::yield_now().await;
            (current(), correlation(), next().trace_id)
        };
        let known = Current::new(Some(context)).scope(work).await;
        assert_eq!(known, (Some(context), Some(Bytes::from_static(b"c")), context.trace_id));
        assert_eq!((current(), correlation()), (None, None));
        assert_ne!(next().trace_id, context.trace_id);
    }
}
