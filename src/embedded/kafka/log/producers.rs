//! The idempotent producers of a partition: which batches each of them wrote last, so that one that comes again is
//! recognised, and one that is missing noticed.

use std::collections::{HashMap, VecDeque};

use kafka_protocol::error::ResponseError;

use super::ProducerInfo;
use super::batch::Header;

/// Batches remembered of a producer: as many as one may have under way at once.
const REMEMBERED: usize = 5;
/// How long (ms) a producer that writes nothing is remembered: Kafka's `producer.id.expiration.ms`.
const EXPIRATION_MS: i64 = 86_400_000;
/// The first byte of what [`Producers::encode`] writes.
const FORMAT: u8 = 1;

/// All producers of a partition, by their ids.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Producers(HashMap<i64, Producer>);

/// What is known of one producer, all of it of its newest epoch.
#[derive(Debug, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    /// Its last batches, oldest first; never empty.
    batches: VecDeque<Written>,
}

/// A batch that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    first_sequence: i32,
    last_sequence: i32,
    /// Offset of its first record.
    pub base_offset: i64,
    /// The offset after its last record's.
    pub next_offset: i64,
    /// The largest timestamp (ms) of its records.
    pub timestamp: i64,
}

impl Producers {
    /// Whether a producer's batch may be written. It may not if it was before: then that one is returned.
    ///
    /// # Errors
    /// `InvalidProducerEpoch` when somebody with the same id and a newer epoch has written; `OutOfOrderSequenceNumber`
    /// when it isn't the batch that comes next. Of a producer that nothing is known of, any batch is the next.
    pub fn check(&self, header: &Header) -> Result<Option<Written>, ResponseError> {
        let Some(id) = header.producer_id() else { return Ok(None) };
        if header.producer_epoch() < 0 {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        let Some(producer) = self.0.get(&id) else { return Ok(None) };
        if header.producer_epoch() < producer.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        let mut expected = 0;
        if header.producer_epoch() == producer.epoch {
            let sequences = (header.base_sequence(), header.last_sequence());
            let is_same = |written: &&Written| (written.first_sequence, written.last_sequence) == sequences;
            if let Some(written) = producer.batches.iter().find(is_same) {
                return Ok(Some(*written));
            }
            expected = producer.batches.back().map_or(0, |last| last.last_sequence.wrapping_add(1) & i32::MAX);
        }
        if header.base_sequence() == expected { Ok(None) } else { Err(ResponseError::OutOfOrderSequenceNumber) }
    }

    /// Takes note of a batch that is in the log.
    pub fn note(&mut self, header: &Header) {
        let Some(id) = header.producer_id() else { return };
        let epoch = header.producer_epoch();
        let producer = self.0.entry(id).or_insert_with(|| Producer { epoch, batches: VecDeque::new() });
        if producer.epoch != epoch {
            *producer = Producer { epoch, batches: VecDeque::new() };
        }
        producer.remember(Written {
            first_sequence: header.base_sequence(),
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset(),
            next_offset: header.next_offset(),
            timestamp: header.max_timestamp(),
        });
    }

    /// Forgets those that have written nothing for long.
    pub fn expire(&mut self, now_ms: i64) {
        let oldest = now_ms.saturating_sub(EXPIRATION_MS);
        self.0.retain(|_, producer| producer.batches.back().is_some_and(|last| last.timestamp > oldest));
    }

    /// All of them, by id.
    pub fn list(&self) -> Vec<ProducerInfo> {
        let info = |(&producer_id, producer): (&i64, &Producer)| {
            let last = producer.batches.back()?;
            let (last_sequence, last_timestamp) = (last.last_sequence, last.timestamp);
            Some(ProducerInfo { producer_id, epoch: producer.epoch, last_sequence, last_timestamp })
        };
        let mut list: Vec<_> = self.0.iter().filter_map(info).collect();
        list.sort_unstable_by_key(|info| info.producer_id);
        list
    }

    /// Their state as bytes, as it is at `offset`.
    pub fn encode(&self, offset: i64) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&offset.to_be_bytes());
        for (id, producer) in &self.0 {
            for written in &producer.batches {
                bytes.extend_from_slice(&id.to_be_bytes());
                bytes.extend_from_slice(&producer.epoch.to_be_bytes());
                bytes.extend_from_slice(&written.first_sequence.to_be_bytes());
                bytes.extend_from_slice(&written.last_sequence.to_be_bytes());
                bytes.extend_from_slice(&written.base_offset.to_be_bytes());
                bytes.extend_from_slice(&written.next_offset.to_be_bytes());
                bytes.extend_from_slice(&written.timestamp.to_be_bytes());
            }
        }
        bytes
    }

    /// The state that [`encode`](Self::encode) wrote, and its offset; none from other bytes.
    pub fn decode(bytes: &[u8]) -> Option<(Self, i64)> {
        let (&FORMAT, bytes) = bytes.split_first()? else { return None };
        let (offset, mut bytes) = bytes.split_first_chunk()?;
        let mut producers = Self::default();
        while !bytes.is_empty() {
            let (id, epoch) = (i64::from_be_bytes(take(&mut bytes)?), i16::from_be_bytes(take(&mut bytes)?));
            let written = Written {
                first_sequence: i32::from_be_bytes(take(&mut bytes)?),
                last_sequence: i32::from_be_bytes(take(&mut bytes)?),
                base_offset: i64::from_be_bytes(take(&mut bytes)?),
                next_offset: i64::from_be_bytes(take(&mut bytes)?),
                timestamp: i64::from_be_bytes(take(&mut bytes)?),
            };
            let new = || Producer { epoch, batches: VecDeque::new() };
            producers.0.entry(id).or_insert_with(new).remember(written);
        }
        Some((producers, i64::from_be_bytes(*offset)))
    }
}

impl Producer {
    fn remember(&mut self, written: Written) {
        if self.batches.len() == REMEMBERED {
            self.batches.pop_front();
        }
        self.batches.push_back(written);
    }
}

/// Takes a number's bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{Producer as Sender, placed, produced};
    use super::*;

    fn header(epoch: i16, sequence: i32, count: usize, offset: i64) -> Header {
        let values = vec![(5, "a"); count];
        let producer = Sender { id: 1, epoch, sequence };
        Header::read(&placed(&produced(&values, 0, Some(producer)), offset)).unwrap()
    }

    /// Whether the batch is fresh (`None`), or the offset of the one it repeats.
    fn check(producers: &Producers, epoch: i16, sequence: i32, count: usize) -> Result<Option<i64>, ResponseError> {
        let checked = producers.check(&header(epoch, sequence, count, 0));
        checked.map(|written| written.map(|written| written.base_offset))
    }

    #[test]
    fn an_unknown_producer_may_start_anywhere_and_a_new_epoch_at_the_start() {
        let mut producers = Producers::default();
        assert_eq!(check(&producers, 3, 77, 1), Ok(None));
        producers.note(&header(3, 77, 2, 0));
        assert_eq!(check(&producers, 3, 79, 1), Ok(None));
        assert_eq!(check(&producers, 3, 80, 1), Err(ResponseError::OutOfOrderSequenceNumber));
        assert_eq!(check(&producers, 4, 79, 1), Err(ResponseError::OutOfOrderSequenceNumber));
        assert_eq!(check(&producers, 4, 0, 1), Ok(None));
        assert_eq!(check(&producers, 2, 0, 1), Err(ResponseError::InvalidProducerEpoch));
        assert_eq!(check(&producers, -1, 79, 1), Err(ResponseError::InvalidProducerEpoch));
        producers.note(&header(4, 0, 1, 2));
        assert_eq!(check(&producers, 3, 79, 1), Err(ResponseError::InvalidProducerEpoch));
    }

    #[test]
    fn the_last_five_batches_are_recognised() {
        let mut producers = Producers::default();
        (0..6).for_each(|place| producers.note(&header(0, place * 2, 2, i64::from(place) * 10)));
        assert_eq!(check(&producers, 0, 0, 2), Err(ResponseError::OutOfOrderSequenceNumber));
        for place in 1..6 {
            assert_eq!(check(&producers, 0, place * 2, 2), Ok(Some(i64::from(place) * 10)));
        }
        // The same start, and not the same batch.
        assert_eq!(check(&producers, 0, 10, 1), Err(ResponseError::OutOfOrderSequenceNumber));
    }

    #[test]
    fn after_the_largest_sequence_comes_zero() {
        let mut producers = Producers::default();
        producers.note(&header(0, i32::MAX - 1, 2, 0));
        assert_eq!(check(&producers, 0, 0, 1), Ok(None));
        producers.note(&header(0, 0, 1, 2));
        assert_eq!(check(&producers, 0, i32::MAX - 1, 2), Ok(Some(0)));
        assert_eq!(check(&producers, 0, 1, 1), Ok(None));
    }

    #[test]
    fn they_are_listed_and_forgotten_after_a_day() {
        let mut producers = Producers::default();
        producers.note(&header(2, 7, 3, 0));
        let info = ProducerInfo { producer_id: 1, epoch: 2, last_sequence: 9, last_timestamp: 5 };
        assert_eq!(producers.list(), [info]);
        producers.expire(EXPIRATION_MS + 4);
        assert_eq!(producers.list(), [info]);
        producers.expire(EXPIRATION_MS + 5);
        assert_eq!(producers.list(), []);
    }

    #[test]
    fn the_state_is_the_same_after_it_was_written() {
        let mut producers = Producers::default();
        (0..9).for_each(|place| producers.note(&header(1, place, 1, i64::from(place))));
        let bytes = producers.encode(9);
        assert_eq!(Producers::decode(&bytes), Some((producers, 9)));
        assert_eq!(Producers::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Producers::decode(&[]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 1..600)) {
            bytes[0] = FORMAT;
            if let Some((producers, _)) = Producers::decode(&bytes) {
                prop_assert!(producers.list().len() <= bytes.len() / 42);
            }
        }
    }
}
