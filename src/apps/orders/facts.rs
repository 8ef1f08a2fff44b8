//! Facts that events tell, kept so that neither their order nor their number matters.

/// Keeps the least of what is told: facts begin with their time, so the earliest.
pub fn keep_earliest<T: Ord>(known: &mut Option<T>, told: T) {
    if known.as_ref().is_none_or(|known| told < *known) {
        *known = Some(told);
    }
}
