//! Which partition a record goes to.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// The ways to choose a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partitioner {
    /// As Java's client: by the key's murmur2 hash; without a key, sticky.
    #[default]
    Murmur2,
    /// One record to each partition in turn, whatever the key.
    RoundRobin,
    /// A batch's worth of records to one partition, then to another, whatever the key.
    Sticky,
    /// Any partition, each record anew, whatever the key.
    Random,
}

/// All of them with their names.
pub const PARTITIONERS: &[(&str, Partitioner)] = &[
    ("murmur2", Partitioner::Murmur2),
    ("round-robin", Partitioner::RoundRobin),
    ("sticky", Partitioner::Sticky),
    ("random", Partitioner::Random),
];

/// Chooses partitions of one topic, record by record.
#[derive(Debug)]
pub struct Chooser {
    partitioner: Partitioner,
    partitions: u32,
    /// How many bytes a sticky partition gets before another has its turn.
    stick_for: usize,
    current: u32,
    stuck: usize,
    random: SmallRng,
}

impl Chooser {
    /// A chooser among `partitions` (at least 1) partitions.
    pub fn new(partitioner: Partitioner, partitions: usize, stick_for: usize) -> Self {
        let partitions = u32::try_from(partitions.max(1)).unwrap_or(u32::MAX);
        let mut random = SmallRng::from_rng(&mut rand::rng());
        let current = random.random_range(0..partitions);
        Self { partitioner, partitions, stick_for, current, stuck: 0, random }
    }

    /// The partition of the next record, or `None` to leave it to the client, whose default is Java's.
    pub fn choose(&mut self, record_bytes: usize) -> Option<i32> {
        let chosen = match self.partitioner {
            Partitioner::Murmur2 => return None,
            Partitioner::RoundRobin => {
                self.current = (self.current + 1) % self.partitions;
                self.current
            }
            Partitioner::Sticky => self.stick(record_bytes),
            Partitioner::Random => self.random.random_range(0..self.partitions),
        };
        i32::try_from(chosen).ok()
    }

    fn stick(&mut self, record_bytes: usize) -> u32 {
        if self.stuck >= self.stick_for {
            self.stuck = 0;
            // Any partition but the one that was just filled.
            let step = self.random.random_range(0..self.partitions.max(2) - 1) + 1;
            self.current = (self.current + step) % self.partitions;
        }
        self.stuck += record_bytes;
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(partitioner: Partitioner, partitions: usize, records: usize) -> Vec<i32> {
        let mut chooser = Chooser::new(partitioner, partitions, 100);
        (0..records).filter_map(|_| chooser.choose(10)).collect()
    }

    #[test]
    fn round_robin_visits_every_partition_equally() {
        let all = chosen(Partitioner::RoundRobin, 3, 300);
        assert!((0..3).all(|partition| all.iter().filter(|chosen| **chosen == partition).count() == 100));
    }

    #[test]
    fn sticky_changes_only_after_a_batch_and_then_always() {
        let all = chosen(Partitioner::Sticky, 4, 100);
        let runs: Vec<&[i32]> = all.chunk_by(|a, b| a == b).collect();
        assert_eq!(runs.len(), 10);
        assert!(runs.iter().all(|run| run.len() == 10));
    }

    #[test]
    fn one_partition_is_always_a_choice() {
        for partitioner in [Partitioner::RoundRobin, Partitioner::Sticky, Partitioner::Random] {
            assert_eq!(chosen(partitioner, 1, 50), [0; 50]);
        }
    }

    #[test]
    fn random_reaches_every_partition() {
        let all = chosen(Partitioner::Random, 3, 300);
        assert!((0..3).all(|partition| all.contains(&partition)));
    }
}
