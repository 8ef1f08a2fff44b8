//! Since when the groups' next records have waited, at a bounded price.
//!
//! The record at an offset doesn't change, so a group that stands still costs one read. Of the others, some are read at
//! each look, in turns; until its turn comes, a partition is told by the record it had waited at before, which is older:
//! it never seems less behind than it is.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

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

    /// Fills in for how long records have waited at `now` (ms), given the groups as they were at the look before.
    pub async fn fill(
        &mut self,
        cluster: &Cluster,
        before: &BTreeMap<String, Group>,
        groups: &mut BTreeMap<String, Group>,
        now: i64,
    ) {
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
                    let older = earlier(before, name, place, position).and_then(|earlier| earlier.waiting_since);
                    position.fill_waiting(older, now);
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
        let Ok(found) = tokio::time::timeout(TIMEOUT, waiting::written_at(cluster, places)).await else { return };
        for ((key, position), written) in unread.into_iter().zip(found) {
            let Some(written) = written else { continue };
            position.fill_waiting(Some(written), now);
            self.known.insert(key, written);
        }
    }
}

/// The same position at the look before; it is nearly always at the same place.
fn earlier<'a>(
    before: &'a BTreeMap<String, Group>,
    group: &str,
    place: usize,
    position: &Position,
) -> Option<&'a Position> {
    let positions = &before.get(group)?.positions;
    let same = |earlier: &&Position| earlier.partition == position.partition && earlier.topic == position.topic;
    positions.get(place).filter(same).or_else(|| positions.iter().find(same))
}
