//! Reads topics to show them: from where the caller says, to the end or for ever, with a group or without.
//!
//! This is for people and scripts; the groups of the apps run on the consumer runtime.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use krafka::admin::{ListOffsetsOptions, OffsetSpec};
use krafka::consumer::{AutoOffsetReset, Consumer, ConsumerBuilder, IsolationLevel, OffsetAndMetadata, TopicPartition};
use krafka::{CloseOptions, ConsumerRecord, Kafka};

use super::KafkaError;

/// Records handed out at a time, when as many are there.
const BATCH_RECORDS: i32 = 10_000;
/// How long a fetch waits for the first record; records that come meanwhile arrive at once.
const WAIT: Duration = Duration::from_millis(500);
/// What one partition may give in one fetch.
const PARTITION_BYTES: i32 = 2 * 1024 * 1024;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The oldest record there is.
    Earliest,
    /// The records that come from now on.
    Latest,
    /// Where the group left off; the oldest record where it never was.
    Committed,
    /// The first record at or after these milliseconds since the epoch.
    Time(i64),
    /// This offset, or the nearest there is, in every partition.
    Offset(i64),
    /// The last so many records of every partition.
    Last(i64),
}

/// Reads records of some topics.
pub struct Reader {
    consumer: Consumer,
    /// Where to stop, for each partition that hasn't got there; `None` for ever.
    ends: Option<HashMap<TopicPartition, i64>>,
    /// Partitions whose first offset the group knows; `None` without a group.
    begun: Option<HashSet<TopicPartition>>,
}

impl Reader {
    /// Reads `partitions` without a group: nothing is committed, nobody else is disturbed.
    ///
    /// # Errors
    /// When the offsets can't be found out.
    pub async fn alone(
        kafka: &Kafka,
        partitions: &[(String, Vec<i32>)],
        from: From,
        until_end: bool,
        isolation: IsolationLevel,
    ) -> Result<Self, KafkaError> {
        let all = flattened(partitions);
        let ends = offsets(kafka, &all, OffsetSpec::Latest, isolation).await?;
        let consumer = tuned(kafka.consumer_without_group(), isolation)
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .build()
            .await
            .map_err(KafkaError::request("start the consumer"))?;
        let found = match from {
            From::Time(millis) => offsets_at(&consumer, &all, millis).await?,
            _ => HashMap::new(),
        };
        let starts = starts(kafka, &all, from, &ends, &found, isolation).await?;
        for (topic, partitions) in partitions {
            let assigned = consumer.assign(topic, partitions.clone()).await;
            assigned.map_err(KafkaError::request(format!("read topic {topic:?}")))?;
        }
        consumer.seek_many(&starts).await.map_err(KafkaError::request("go to the first offset"))?;
        let mut reader = Self { consumer, ends: None, begun: None };
        if until_end {
            let left = |(partition, end): &(TopicPartition, i64)| starts.get(partition).is_none_or(|start| start < end);
            let (ends, done): (HashMap<_, _>, HashMap<_, _>) = ends.into_iter().partition(left);
            for (partition, _) in done {
                reader.consumer.pause(&partition.topic, &[partition.partition]).await;
            }
            reader.ends = Some(ends);
        }
        Ok(reader)
    }

    /// Reads `topics` as a member of `group`, which shares their partitions among its members. A partition without a
    /// committed offset begins at `from`, [`From::Earliest`] or [`From::Latest`].
    ///
    /// # Errors
    /// When the group can't be joined, or the offsets not be found out.
    pub async fn in_group(
        kafka: &Kafka,
        group: &str,
        partitions: &[(String, Vec<i32>)],
        from: From,
        until_end: bool,
        isolation: IsolationLevel,
    ) -> Result<Self, KafkaError> {
        let reset = if from == From::Latest { AutoOffsetReset::Latest } else { AutoOffsetReset::Earliest };
        let consumer = tuned(kafka.consumer(group), isolation)
            .auto_offset_reset(reset)
            // Only what was shown is committed, and only the caller knows what was.
            .enable_auto_commit(false)
            .build()
            .await
            .map_err(KafkaError::request(format!("start a consumer of group {group:?}")))?;
        let topics = partitions.iter().map(|(topic, _)| topic);
        consumer.subscribe(topics).await.map_err(KafkaError::request(format!("join group {group:?}")))?;
        let ends = if until_end {
            Some(offsets(kafka, &flattened(partitions), OffsetSpec::Latest, isolation).await?)
        } else {
            None
        };
        Ok(Self { consumer, ends, begun: Some(HashSet::new()) })
    }

    /// The next records; empty when none came for a while, `None` once the end is reached.
    ///
    /// # Errors
    /// When Kafka refuses, or has been away for longer than the client retries.
    ///
    /// # Cancel safety
    /// A dropped call loses no record that the group counts as read.
    pub async fn next(&mut self) -> Result<Option<Vec<ConsumerRecord>>, KafkaError> {
        if self.at_end().await {
            return Ok(None);
        }
        let mut records = self.consumer.poll(WAIT).await.map_err(KafkaError::request("read records"))?;
        self.begin(&records).await?;
        if let Some(ends) = &self.ends {
            records.retain(|record| {
                let end = ends.get(&TopicPartition::new(&*record.topic, record.partition));
                end.is_none_or(|end| record.offset < *end)
            });
        }
        Ok(Some(records))
    }

    /// Whether every partition in hand has reached its end; those that have are read no further.
    async fn at_end(&mut self) -> bool {
        let Some(ends) = &self.ends else { return false };
        let assigned = self.assigned().await;
        let mut left = assigned.is_empty();
        for partition in assigned {
            let Some(end) = ends.get(&partition) else { continue };
            let TopicPartition { topic, partition, .. } = partition;
            // The position, not the last record seen: a log may end in markers and gaps that are no records.
            if self.consumer.position(&topic, partition).await.is_some_and(|position| position >= *end) {
                self.consumer.pause(&topic, &[partition]).await;
            } else {
                left = true;
            }
        }
        !left
    }

    /// Commits where new partitions begin, even when nothing has come yet: a group that began at the end must go on
    /// from there the next time, and not begin anew.
    async fn begin(&mut self, records: &[ConsumerRecord]) -> Result<(), KafkaError> {
        let mut begins = HashMap::new();
        let assigned = self.assigned().await;
        let Some(begun) = &mut self.begun else { return Ok(()) };
        begun.retain(|partition| assigned.contains(partition));
        for partition in assigned {
            if begun.contains(&partition) {
                continue;
            }
            let of_it =
                |record: &&ConsumerRecord| record.partition == partition.partition && *record.topic == *partition.topic;
            // The position is already past the records that this very poll brought.
            let first = match records.iter().find(of_it) {
                Some(record) => Some(record.offset),
                None => self.consumer.position(&partition.topic, partition.partition).await,
            };
            if let Some(first) = first {
                begun.insert(partition.clone());
                begins.insert(partition, first);
            }
        }
        if begins.is_empty() { Ok(()) } else { self.commit(&begins).await }
    }

    async fn assigned(&self) -> HashSet<TopicPartition> {
        let assignment = self.consumer.assignment().await.into_iter();
        let each = |(topic, partitions): (String, Vec<i32>)| {
            partitions.into_iter().map(move |partition| TopicPartition::new(topic.as_str(), partition))
        };
        assignment.flat_map(each).collect()
    }

    /// Commits, for each partition, the offset of the next record to show. Partitions that went to another member
    /// since are left to it.
    ///
    /// # Errors
    /// When the group's coordinator refuses, because this member lost its place.
    pub async fn commit(&self, next: &HashMap<TopicPartition, i64>) -> Result<(), KafkaError> {
        let assigned = self.assigned().await;
        let kept = next.iter().filter(|(partition, _)| assigned.contains(partition));
        let offsets = kept.map(|(partition, offset)| (partition, OffsetAndMetadata::new(*offset)));
        self.consumer.commit_offsets(offsets).await.map_err(KafkaError::request("commit"))
    }

    /// Leaves the group, if any, and ends, within `timeout`.
    pub async fn close(self, timeout: Duration) {
        if let Err(error) = self.consumer.close_with(CloseOptions::new().timeout(timeout)).await {
            tracing::warn!(%error, "the consumer did not end in order");
        }
    }
}

fn flattened(partitions: &[(String, Vec<i32>)]) -> Vec<TopicPartition> {
    let each = |(topic, partitions): &(String, Vec<i32>)| -> Vec<TopicPartition> {
        partitions.iter().map(|partition| TopicPartition::new(topic, *partition)).collect()
    };
    partitions.iter().flat_map(each).collect()
}

fn tuned(builder: ConsumerBuilder, isolation: IsolationLevel) -> ConsumerBuilder {
    builder
        .isolation_level(isolation)
        .fetch_max_wait(WAIT)
        .max_partition_fetch_bytes(PARTITION_BYTES)
        .max_poll_records(BATCH_RECORDS)
        .max_buffered_records(4 * BATCH_RECORDS)
}

async fn starts(
    kafka: &Kafka,
    partitions: &[TopicPartition],
    from: From,
    ends: &HashMap<TopicPartition, i64>,
    found: &HashMap<TopicPartition, i64>,
    isolation: IsolationLevel,
) -> Result<HashMap<TopicPartition, i64>, KafkaError> {
    if from == From::Latest {
        return Ok(ends.clone());
    }
    let first = offsets(kafka, partitions, OffsetSpec::Earliest, isolation).await?;
    let start = |partition: &TopicPartition| {
        let (first, end) = (first.get(partition).copied().unwrap_or(0), ends.get(partition).copied().unwrap_or(0));
        let wanted = match from {
            From::Earliest | From::Committed => first,
            From::Latest => end,
            // No record is that new: the next one will be.
            From::Time(_) => found.get(partition).copied().unwrap_or(end),
            From::Offset(offset) => offset,
            From::Last(count) => end.saturating_sub(count),
        };
        wanted.clamp(first, end.max(first))
    };
    Ok(partitions.iter().map(|partition| (partition.clone(), start(partition))).collect())
}

/// The offset of each partition by `spec`.
async fn offsets(
    kafka: &Kafka,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
    isolation: IsolationLevel,
) -> Result<HashMap<TopicPartition, i64>, KafkaError> {
    let wanted = partitions.iter().map(|partition| (partition.clone(), spec));
    let options = ListOffsetsOptions::default().read_committed(isolation == IsolationLevel::ReadCommitted);
    let listed = kafka.admin().list_offsets(wanted, options).await.map_err(KafkaError::request("list offsets"))?;
    let mut offsets = HashMap::new();
    for (partition, result) in listed {
        match result {
            Ok(listed) => drop(offsets.insert(partition, listed.offset)),
            Err(error) => {
                let what = format!("list the offsets of {}[{}]", partition.topic, partition.partition);
                return Err(KafkaError::request(what)(error));
            }
        }
    }
    Ok(offsets)
}

/// The first offset of each partition at or after a time; partitions without a record that new are left out.
/// (Asked of the consumer: the administration takes such a partition for one that has no offset yet, and waits.)
async fn offsets_at(
    consumer: &Consumer,
    partitions: &[TopicPartition],
    millis: i64,
) -> Result<HashMap<TopicPartition, i64>, KafkaError> {
    let asked: Vec<(&str, i32)> = partitions.iter().map(|wanted| (wanted.topic.as_str(), wanted.partition)).collect();
    let mut offsets = HashMap::new();
    for ((topic, partition), result) in consumer.offsets_for_times(&asked, millis).await {
        let what = format!("find the time in {topic}[{partition}]");
        let offset = result.map_err(KafkaError::request(what))?;
        if offset >= 0 {
            offsets.insert(TopicPartition::new(topic, partition), offset);
        }
    }
    Ok(offsets)
}
