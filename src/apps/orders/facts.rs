//! Facts that events tell, kept so that neither their order nor their number matters.

use std::time::Duration;

/// How long it is remembered what became of an order that has not been read, at least: as long as the log may bring it.
const UNREAD: Duration = Duration::from_secs(7 * 86_400);

/// Keeps the least of what is told: facts begin with their time, so the earliest.
pub fn keep_earliest<T: Ord>(known: &mut Option<T>, told: T) {
    if known.as_ref().is_none_or(|known| told < *known) {
        *known = Some(told);
    }
}

/// How long a service remembers what it did for an order: until that is over, and for `retention` after that. Of an order that it
/// has not read, what is over may not have begun.
pub fn lifetime(is_read: bool, is_over: bool, retention: Duration) -> Option<Duration> {
    is_over.then(|| if is_read { retention } else { retention.max(UNREAD) })
}
