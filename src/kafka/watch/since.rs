//! Since when the groups' next records have waited, at a bounded price.
//!
//! The record at an offset doesn't change, so a group that stands still costs one read. Of the others, some are read at
//! each look, in turns; until its turn comes, a partition is told by the record it had waited at before, or by the look
//! before if the record was not written by then. Either is older: it never seems less behind than it is, and one that keeps
//! up seems no more behind than from one look to the next.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::StreamExt;

use super::Snapshot;
use crate::kafka::Cluster;
use crate::kafka::admin::groups::Group;
use crate::kafka::admin::positions::Position;
use crate::kafka::admin::waiting;

/// Records that are read in a second.
const READS: f64 = 50.0;
/// How long that may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What is known of the times of records.
#[derive(Debug)]
pub struct Since {
    /// Records that are read at one look.
    reads: usize,
    /// When the records were written at which groups stand, by topic, partition and offset.
    known: HashMap<(String, i32, i64), i64>,
    /// How many were passed over, so that each has its turn.
    turn: usize,
}

impl Since {
    /// Nothing is known, and looks are taken every `interval`.
    pub fn new(interval: Duration) -> Self {
        let reads = (READS * interval.as_secs_f64()).ceil() as usize;
        Self { reads, known: HashMap::new(), turn: 0 }
    }

    /// Fills in for how long records have waited at `now` (ms), given the look before.
    pub async fn fill(&mut self, cluster: &Cluster, before: &Snapshot, groups: &mut BTreeMap<String, Group>, now: i64) {
        let known = std::mem::take(&mut self.known);
        let mut unread = Vec::new();
        for (name, group) in groups {
            for (place, position) in group.positions.iter_mut().enumerate() {
                let Some((topic, partition, offset)) = position.next() else { continue };
                let key = (topic.to_owned(), partition, offset);
                if let Some(written) = known.get(&key) {
                    self.known.insert(key, *written);
                    position.fill_waiting(Some(*written), now);
                    position.stands = true;
                } else {
                    // When the look before began: its ends were seen after that.
                    let earlier = earlier(&before.groups, name, place, position);
                    position.fill_waiting(earlier.and_then(|earlier| older(earlier, before.begun_at, offset)), now);
                    unread.push((key, position));
                }
            }
        }
        let read = unread.len().min(self.reads);
        let first = if unread.is_empty() { 0 } else { self.turn % unread.len() };
        self.turn = if read == unread.len() { 0 } else { first + read };
        unread.rotate_left(first);
        unread.truncate(read);
        let places = unread.iter().map(|((topic, partition, offset), _)| (topic.as_str(), *partition, *offset));
        let found =
            waiting::written_at(cluster, places).take_until(tokio::time::sleep(TIMEOUT)).collect::<Vec<_>>().await;
        for ((key, position), written) in unread.into_iter().zip(found) {
            let Some(written) = written else { continue };
            position.fill_waiting(Some(written), now);
            self.known.insert(key, written);
        }
    }
}

/// A time before which the record at `offset` was not written, as far as what was seen of the partition at `seen_at` tells.
fn older(earlier: &Position, seen_at: i64, offset: i64) -> Option<i64> {
    let is_newer = earlier.end.is_some_and(|end| end <= offset);
    if is_newer { Some(seen_at) } else { earlier.waiting_since }
}

/// The same position at the look before; it is nearly always at the same place.
fn earlier<'a>(
    before: &'a BTreeMap<String, Group>,
    group: &str,
    place: usize,
    position: &Position,
) -> Option<&'a Position> {
    // Of one that could not be seen, what stands there was seen before that.
    let positions = &before.get(group).filter(|group| group.problem.is_none())?.positions;
    let same = |earlier: &&Position| earlier.partition == position.partition && earlier.topic == position.topic;
    positions.get(place).filter(same).or_else(|| positions.iter().find(same))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_was_not_there_at_a_look_was_written_after_it() {
        let earlier = Position { end: Some(100), waiting_since: Some(1_000), ..Position::default() };
        assert_eq!(older(&earlier, 5_000, 99), Some(1_000), "it was there, and nobody knows since when");
        assert_eq!(older(&earlier, 5_000, 100), Some(5_000));
        let unseen = Position { end: None, waiting_since: None, ..Position::default() };
        assert_eq!(older(&unseen, 5_000, 100), None);
    }
}
