//! Runs of several partitions as one sequence.

use super::{Entry, Run};

/// The messages of all runs, merged by timestamp; those of one run keep their order. Messages of one millisecond are
/// told apart by their ids, with which they begin: those that one server gives out grow.
pub fn by_time<'a>(runs: &'a [Run<'a>]) -> impl Iterator<Item = (usize, (i64, &'a Entry))> {
    let mut heads = vec![0_usize; runs.len()];
    std::iter::from_fn(move || {
        let (index, ..) = (runs.iter().enumerate())
            .filter_map(|(index, run)| run.entries.get(heads[index]).map(|entry| (index, entry.1, &entry.2.body)))
            .min_by(|(_, time, body), (_, other_time, other)| time.cmp(other_time).then_with(|| body.cmp(other)))?;
        let (offset, _, entry) = runs[index].entries[heads[index]];
        heads[index] += 1;
        Some((index, (offset, entry)))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn entry() -> Entry {
        Entry { body: Bytes::from_static(b"{"), once: None }
    }

    #[test]
    fn runs_merge_by_time_and_keep_their_own_order() {
        let entry = entry();
        let run = |partition: &str, times: &[i64]| Run {
            partition: partition.to_owned(),
            expected: None,
            next: times.len() as i64,
            entries: times.iter().enumerate().map(|(offset, &time)| (offset as i64, time, &entry)).collect(),
        };
        // The second run's clock steps back: its own order wins.
        let runs = [run("t:0", &[10, 30]), run("t:1", &[20, 5, 40])];
        let order: Vec<_> = by_time(&runs).map(|(index, (offset, _))| (index, offset)).collect();
        assert_eq!(order, [(0, 0), (1, 0), (1, 1), (0, 1), (1, 2)]);
    }

    #[test]
    fn messages_of_one_millisecond_are_in_the_order_of_their_ids() {
        let entries = ["c", "a", "b"].map(|id| Entry { body: Bytes::from(format!("{{\"id\":\"{id}\"")), once: None });
        let runs: Vec<_> = (entries.iter())
            .map(|entry| Run { partition: String::new(), expected: None, next: 1, entries: vec![(0, 10, entry)] })
            .collect();
        assert_eq!(by_time(&runs).map(|(index, _)| index).collect::<Vec<_>>(), [1, 2, 0]);
    }
}
