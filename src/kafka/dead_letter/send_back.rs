//! Sends letters back to where they came from.
//!
//! A letter is marked after its topic has acknowledged it: a crash between the two leaves it unmarked, and it may be sent
//! once more. At least once, as with everything that leads here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use krafka::producer::{Acks, Producer};
use krafka::{CloseOptions, Record};
use tokio_util::sync::CancellationToken;

use super::SENT_BACK;
use super::letter::{Letter, mark};
use super::survey::{Limits, survey};
use crate::clock::now_ms;
use crate::kafka::bulk::{BulkRecord, Placement};
use crate::kafka::fetch::{self, Range, Scan, ScanOptions};
use crate::kafka::producer::DELIVERY_TIMEOUT;
use crate::kafka::{Cluster, KafkaError, lookup};

/// Letters that are on their way together, and that one marker names at most.
pub const AT_ONCE: usize = 500;

/// Bytes of letters that are on their way together, about.
const BYTES_AT_ONCE: usize = 8 * 1024 * 1024;

/// What became of a letter: where the record is now, or why it was not sent.
pub type Outcome = Result<Placement, String>;

/// Letters that are to be sent back, and what was taken of each.
#[derive(Debug)]
pub struct Chosen<T> {
    /// What was taken, by partition and offset: in this order they are sent.
    pub letters: BTreeMap<(i32, i64), T>,
    /// How many more there would have been without the limit.
    pub more: usize,
    /// How many match that were sent back before.
    pub sent_before: usize,
}

impl<T> Chosen<T> {
    /// The letters without what was taken of them.
    pub fn places(&self) -> BTreeSet<(i32, i64)> {
        self.letters.keys().copied().collect()
    }
}

/// Finds the first `limit` letters of `topic` that `take` takes something of and that were not sent back before. It reads
/// the whole topic: that a letter was sent back is said after it.
///
/// # Errors
/// There is no such topic, or it can't be read.
pub async fn choose<T>(
    cluster: &Cluster,
    topic: &str,
    limit: usize,
    take: impl FnMut(&Letter, &fetch::Record) -> Option<T>,
) -> Result<Chosen<T>, KafkaError> {
    let survey = survey(cluster, topic, Limits::NONE, take).await?;
    let (matching, waiting) = (survey.found.len(), survey.waiting());
    let mut found: Vec<_> = survey.found.into_iter().filter(|letter| !letter.sent_back).collect();
    found.sort_by_key(|letter| (letter.partition, letter.offset));
    let letters = found.into_iter().take(limit).map(|found| ((found.partition, found.offset), found.taken));
    Ok(Chosen { letters: letters.collect(), more: waiting.saturating_sub(limit), sent_before: matching - waiting })
}

/// Sends back the letters of `topic` at `places`, partition by partition in their order, and tells what became of them.
/// Cancelling `stop` ends it between two batches.
///
/// # Errors
/// The topic can't be read, or letters were sent back and could not be marked.
pub async fn send(
    cluster: &Cluster,
    topic: &str,
    places: &BTreeSet<(i32, i64)>,
    stop: &CancellationToken,
    tell: impl FnMut(&[(Letter, Outcome)]),
) -> Result<(), KafkaError> {
    if places.is_empty() {
        return Ok(());
    }
    let mut back = SendBack::start(cluster, topic).await?;
    let result = send_places(&mut back, places, stop, tell).await;
    back.close().await;
    result
}

async fn send_places(
    back: &mut SendBack,
    places: &BTreeSet<(i32, i64)>,
    stop: &CancellationToken,
    mut tell: impl FnMut(&[(Letter, Outcome)]),
) -> Result<(), KafkaError> {
    let (cluster, topic) = (back.cluster.clone(), back.topic.clone());
    let in_order: Vec<(i32, i64)> = places.iter().copied().collect();
    for of_partition in in_order.chunk_by(|a, b| a.0 == b.0) {
        let [(partition, first), ..] = of_partition else { continue };
        let last = of_partition.last().map_or(*first, |(_, last)| *last);
        let range = Range { topic: topic.as_str().into(), partition: *partition, from: *first, to: Some(last + 1) };
        let mut scan = Scan::start(&cluster, vec![range], &ScanOptions::default());
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(chunk) = scan.next().await {
            for record in chunk?.records.iter().filter(|record| places.contains(&(*partition, record.offset))) {
                bytes += record.size();
                batch.extend(Letter::read(&topic, *partition, record));
                if batch.len() >= AT_ONCE || bytes >= BYTES_AT_ONCE {
                    if stop.is_cancelled() {
                        return Ok(());
                    }
                    send_batch(back, std::mem::take(&mut batch), &mut tell).await?;
                    bytes = 0;
                }
            }
        }
        if !stop.is_cancelled() {
            send_batch(back, batch, &mut tell).await?;
        }
    }
    Ok(())
}

async fn send_batch(
    back: &mut SendBack,
    letters: Vec<Letter>,
    tell: &mut impl FnMut(&[(Letter, Outcome)]),
) -> Result<(), KafkaError> {
    let records: Vec<_> = letters.iter().map(|letter| (letter, letter.revived())).collect();
    let outcomes = back.send(&records).await?;
    let told: Vec<_> = letters.into_iter().zip(outcomes).collect();
    tell(&told);
    Ok(())
}

/// The topics that letters go back to, as far as somebody asked for them.
pub struct Origins {
    cluster: Cluster,
    /// How many partitions each has; `None` of one that does not exist.
    partitions: HashMap<String, Option<usize>>,
}

impl Origins {
    /// Those of `cluster`.
    pub fn new(cluster: &Cluster) -> Self {
        Self { cluster: cluster.clone(), partitions: HashMap::new() }
    }

    /// How many partitions the topic `origin` has, or why nothing can go back to it. To be asked before anything is sent: a
    /// broker may create a topic only because somebody writes to it.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn partitions(&mut self, origin: &str) -> Result<Result<usize, String>, KafkaError> {
        let known = match self.partitions.get(origin) {
            Some(known) => *known,
            None => {
                let found = match lookup::partitions(self.cluster.producing().await?, origin).await {
                    Ok(partitions) => Some(partitions.len()),
                    Err(KafkaError::UnknownTopic { .. }) => None,
                    Err(error) => return Err(error),
                };
                self.partitions.insert(origin.to_owned(), found);
                found
            }
        };
        Ok(known.ok_or_else(|| format!("its topic {origin:?} does not exist any more")))
    }
}

/// Sends letters of one dead-letter topic back.
pub struct SendBack {
    cluster: Cluster,
    /// The dead-letter topic.
    topic: String,
    producer: Producer,
    origins: Origins,
}

impl SendBack {
    /// Begins to send back letters of `topic`.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn start(cluster: &Cluster, topic: &str) -> Result<Self, KafkaError> {
        let producer = (cluster.producing().await?.producer())
            .acks(Acks::All)
            .idempotent(true)
            .delivery_timeout(DELIVERY_TIMEOUT)
            .max_block(DELIVERY_TIMEOUT)
            .build()
            .await
            .map_err(KafkaError::request("start the producer"))?;
        Ok(Self { cluster: cluster.clone(), topic: topic.to_owned(), producer, origins: Origins::new(cluster) })
    }

    /// Sends at most [`AT_ONCE`] letters, in their order, each as the record beside it, and marks those that Kafka has
    /// acknowledged. What became of each stands at its place in the answer.
    ///
    /// # Errors
    /// They were sent and could not be marked, or no broker answers.
    pub async fn send(&mut self, letters: &[(&Letter, BulkRecord)]) -> Result<Vec<Outcome>, KafkaError> {
        let mut under_way = Vec::with_capacity(letters.len());
        for (letter, record) in letters {
            under_way.push(match self.outgoing(letter, record).await? {
                Err(reason) => Err(reason),
                Ok(record) => self.producer.enqueue(record).await.map_err(|error| error.to_string()),
            });
        }
        // What went wrong is told with each of them.
        let _ = self.producer.flush().await;
        let mut outcomes = Vec::with_capacity(letters.len());
        for handle in under_way {
            outcomes.push(match handle {
                Err(reason) => Err(reason),
                Ok(handle) => handle.await.map_err(|error| error.to_string()).map(|metadata| Placement {
                    partition: metadata.partition,
                    offset: metadata.is_success().then_some(metadata.offset),
                    timestamp: metadata.timestamp,
                }),
            });
        }
        let sent = letters.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_ok());
        self.mark(sent.map(|((letter, _), _)| *letter)).await?;
        Ok(outcomes)
    }

    /// Ends in order.
    pub async fn close(self) {
        // Everything was acknowledged or given up already.
        let _ = self.producer.close_with(CloseOptions::new().timeout(DELIVERY_TIMEOUT)).await;
    }

    /// The record for the origin's topic, or why there can't be one.
    async fn outgoing(&mut self, letter: &Letter, record: &BulkRecord) -> Result<Result<Record, String>, KafkaError> {
        let origin = match letter.way_back(record.value.is_some()) {
            Ok(origin) => origin,
            Err(reason) => return Ok(Err(reason.to_owned())),
        };
        let partitions = match self.origins.partitions(origin).await? {
            Ok(partitions) => partitions,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut outgoing = Record::new(origin, bytes::Bytes::new());
        outgoing.key = record.key.clone();
        outgoing.value = record.value.clone();
        outgoing.headers = record.headers.clone();
        outgoing.timestamp = Some(record.timestamp.unwrap_or_else(now_ms));
        let exists = |partition: &i32| usize::try_from(*partition).is_ok_and(|partition| partition < partitions);
        outgoing.partition = record.partition.filter(exists);
        Ok(Ok(outgoing))
    }

    async fn mark(&self, sent: impl Iterator<Item = &Letter>) -> Result<(), KafkaError> {
        let mut by_partition: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        for letter in sent {
            by_partition.entry(letter.partition).or_default().push(letter.offset);
        }
        for (partition, mut offsets) in by_partition {
            offsets.sort_unstable();
            let mut marker = Record::new(self.topic.as_str(), bytes::Bytes::new()).without_value();
            marker.partition = Some(partition);
            marker.headers = vec![(SENT_BACK.to_owned(), Some(mark(&offsets).into()))];
            let what = "note in the dead-letter topic what was sent back (it was sent, and would be once more)";
            drop(self.producer.send(marker).await.map_err(KafkaError::request(what))?);
        }
        Ok(())
    }
}
