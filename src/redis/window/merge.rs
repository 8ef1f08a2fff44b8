//! Messages on their way into a window: runs of several partitions, and those as one sequence.

use bytes::Bytes;

use crate::telemetry::trace::TraceContext;

/// A message on its way into a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The message's JSON object without its closing brace: the script adds the `seq`.
    pub body: Bytes,
    /// What makes a repetition of the message known as one.
    pub once: Option<String>,
}

/// A run of messages of one partition.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The partition, as the state names it: `topic:partition`.
    pub partition: String,
    /// The offset at which the caller believes the state to stand.
    pub expected: Option<i64>,
    /// The offset after the run.
    pub next: i64,
    /// The messages, in order.
    pub entries: Vec<Logged<'a>>,
}

/// A message as it stands in the log.
#[derive(Clone, Copy, Debug)]
pub struct Logged<'a> {
    /// The offset.
    pub offset: i64,
    /// The timestamp, in milliseconds since the epoch.
    pub timestamp: i64,
    /// The message.
    pub entry: &'a Entry,
    /// The work on it, if its trace is recorded.
    pub trace: Option<TraceContext>,
}

/// The messages of all runs, merged by timestamp; those of one run keep their order. Messages of one millisecond are
/// told apart by their ids, with which they begin: those that one server gives out grow.
pub fn by_time<'a>(runs: &'a [Run<'a>]) -> impl Iterator<Item = (usize, Logged<'a>)> {
    let mut heads = vec![0_usize; runs.len()];
    std::iter::from_fn(move || {
        let (index, _) = (runs.iter().enumerate())
            .filter_map(|(index, run)| run.entries.get(heads[index]).map(|logged| (index, logged)))
            .min_by(|(_, one), (_, other)| {
                one.timestamp.cmp(&other.timestamp).then_with(|| one.entry.body.cmp(&other.entry.body))
            })?;
        let logged = runs[index].entries[heads[index]];
        heads[index] += 1;
        Some((index, logged))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry { body: Bytes::from_static(b"{"), once: None }
    }

    fn logged(offset: i64, timestamp: i64, entry: &Entry) -> Logged<'_> {
        Logged { offset, timestamp, entry, trace: None }
    }

    #[test]
    fn runs_merge_by_time_and_keep_their_own_order() {
        let entry = entry();
        let run = |partition: &str, times: &[i64]| Run {
            partition: partition.to_owned(),
            expected: None,
            next: times.len() as i64,
            entries: times.iter().enumerate().map(|(offset, &time)| logged(offset as i64, time, &entry)).collect(),
        };
        // The second run's clock steps back: its own order wins.
        let runs = [run("t:0", &[10, 30]), run("t:1", &[20, 5, 40])];
        let order: Vec<_> = by_time(&runs).map(|(index, logged)| (index, logged.offset)).collect();
        assert_eq!(order, [(0, 0), (1, 0), (1, 1), (0, 1), (1, 2)]);
    }

    #[test]
    fn messages_of_one_millisecond_are_in_the_order_of_their_ids() {
        let entries = ["c", "a", "b"].map(|id| Entry { body: Bytes::from(format!("{{\"id\":\"{id}\"")), once: None });
        let runs: Vec<_> = (entries.iter())
            .map(|entry| Run { partition: String::new(), expected: None, next: 1, entries: vec![logged(0, 10, entry)] })
            .collect();
        assert_eq!(by_time(&runs).map(|(index, _)| index).collect::<Vec<_>>(), [1, 2, 0]);
    }
}
