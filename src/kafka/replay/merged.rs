//! The partitions of a range, read at once and merged by the time of their records.

use bytes::Bytes;
use krafka::ConsumerRecord;
use krafka::consumer::TopicPartition;
use tokio::sync::mpsc;

use super::{KafkaError, Part, PartitionEffects, Range};

/// Bytes of a partition read at once.
const CHUNK_BYTES: i32 = 1024 * 1024;

/// All partitions of a range, merged by the time of their records.
pub struct Merged {
    sources: Vec<Source>,
}

struct Source {
    partition: TopicPartition,
    from: i64,
    to: i64,
    next: i64,
    chunks: mpsc::Receiver<Result<Vec<ConsumerRecord>, KafkaError>>,
    chunk: std::vec::IntoIter<ConsumerRecord>,
    head: Option<ConsumerRecord>,
}

impl Merged {
    /// Starts reading.
    ///
    /// # Errors
    /// When a leader doesn't answer.
    pub async fn start(range: Range) -> Result<Self, KafkaError> {
        let mut sources = Vec::with_capacity(range.parts.len());
        for part in range.parts {
            let partition = TopicPartition::new(part.log.topic(), part.log.partition());
            let (from, to) = (part.from, part.to);
            // One chunk in hand, one waiting, one being read: the broker and the state work at the same time.
            let (sender, chunks) = mpsc::channel(1);
            tokio::spawn(read_chunks(part, sender));
            let chunk = Vec::new().into_iter();
            let mut source = Source { partition, from, to, next: from, chunks, chunk, head: None };
            source.advance().await?;
            sources.push(source);
        }
        Ok(Self { sources })
    }

    /// The next records by partition, at most `limit` and not many more than `bytes`.
    pub async fn next_batch(
        &mut self,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<(TopicPartition, Vec<ConsumerRecord>)>, KafkaError> {
        let mut batches: Vec<Vec<ConsumerRecord>> = self.sources.iter().map(|_| Vec::new()).collect();
        let mut taken = 0;
        for _ in 0..limit {
            if taken >= bytes {
                break;
            }
            let earliest = (self.sources.iter().enumerate())
                .filter_map(|(index, source)| Some((index, source.head.as_ref()?)))
                // Of one millisecond, by key: that is the event's id, and those that one process gives out grow.
                .min_by(|(_, a), (_, b)| a.timestamp.cmp(&b.timestamp).then_with(|| a.key.cmp(&b.key)))
                .map(|(index, _)| index);
            let Some(index) = earliest else { break };
            let source = &mut self.sources[index];
            if let Some(record) = source.head.take() {
                source.next = record.offset + 1;
                taken += record.value.as_ref().map_or(0, Bytes::len);
                batches[index].push(record);
            }
            source.advance().await?;
        }
        let partitions = self.sources.iter().map(|source| source.partition.clone());
        Ok(partitions.zip(batches).filter(|(_, records)| !records.is_empty()).collect())
    }

    /// Offsets passed.
    pub fn passed(&self) -> u64 {
        self.sources.iter().map(|source| (source.next - source.from).max(0).unsigned_abs()).sum()
    }

    /// No effects, but the ends of the range: it may end in a hole.
    pub fn ends<E>(&self) -> Vec<PartitionEffects<E>> {
        (self.sources.iter())
            .map(|source| PartitionEffects {
                partition: source.partition.clone(),
                expected: None,
                effects: Vec::new(),
                next: source.to.max(source.next),
            })
            .collect()
    }
}

impl Source {
    /// Puts the next record at the head.
    async fn advance(&mut self) -> Result<(), KafkaError> {
        loop {
            self.head = self.chunk.next();
            if self.head.is_some() {
                return Ok(());
            }
            match self.chunks.recv().await {
                Some(chunk) => self.chunk = chunk?.into_iter(),
                None => return Ok(()),
            }
        }
    }
}

async fn read_chunks(part: Part, sender: mpsc::Sender<Result<Vec<ConsumerRecord>, KafkaError>>) {
    let mut next = part.from;
    while next < part.to {
        let chunk = part.log.read(next, part.to, CHUNK_BYTES).await;
        let failed = chunk.is_err();
        let records = chunk.map(|chunk| {
            next = chunk.next;
            chunk.records
        });
        // The replay ended before its log did.
        if sender.send(records).await.is_err() || failed {
            break;
        }
    }
}
