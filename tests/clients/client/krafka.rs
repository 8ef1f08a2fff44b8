//! krafka.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use krafka::admin::{AdminClient, ConfigOp, ConfigResource, ListOffsetsOptions, NewTopic, OffsetSpec};
use krafka::consumer::{AutoOffsetReset, Consumer, ConsumerRecord, TopicPartition};
use krafka::error::{ErrorCode, KrafkaError, Result};
use krafka::{Compression, Kafka, Record};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Doer, Task};
use crate::scenario::{Given, Scenario, hexadecimal};
use crate::support::eventually;

const LIMIT: Duration = Duration::from_secs(180);

/// The client.
pub fn krafka() -> Doer {
    Box::new(|task| async move { run(task).await.map_err(|error| error.to_string()) }.boxed_local())
}

async fn run(task: Task) -> Result<Value> {
    let kafka = Kafka::builder(&task.bootstrap).connect().await?;
    let client = Client { bootstrap: task.bootstrap, admin: kafka.admin(), kafka, name: task.name };
    match task.scenario {
        Scenario::Admin => client.administrate().await,
        Scenario::Codecs => client.codecs(&task.input).await,
        Scenario::Group => client.group(&Given::all(&task.input)).await,
        Scenario::Times => client.times(&Given::all(&task.input)).await,
        Scenario::Cut => client.cut(&Given::all(&task.input)).await,
    }
}

struct Client {
    bootstrap: String,
    kafka: Kafka,
    admin: AdminClient,
    name: String,
}

impl Client {
    async fn administrate(&self) -> Result<Value> {
        let name = &self.name;
        self.create(NewTopic::new(name, 3, 1)?.with_config("retention.ms", "3600000")).await?;
        let partitions = settled(async || self.partitions().await, &(0..3).collect()).await;
        let listed = self.topics().await?.contains(name);
        let again = number(self.create(NewTopic::new(name, 3, 1)?).await);
        let unknown = NewTopic::new(format!("{name}-x"), 1, 1)?.with_config("no.such.setting", "1");
        let unknown = number(self.create(unknown).await);
        let before = self.retention().await?;
        let change = (ConfigResource::topic(name), vec![ConfigOp::set("retention.ms", "7200000")]);
        only(self.admin.incremental_alter_configs([change], Default::default()).await?)?;
        let after = settled(async || self.retention().await, &Some("7200000".to_owned())).await;
        only(self.admin.create_partitions([(name, 5)], Default::default()).await?)?;
        let raised = settled(async || self.partitions().await, &(0..5).collect()).await;
        let lowered = only(self.admin.create_partitions([(name, 2)], Default::default()).await?);
        only(self.admin.delete_topics([name], Default::default()).await?)?;
        eventually("a topic that is gone", LIMIT, async || (!self.topics().await.ok()?.contains(name)).then_some(()))
            .await;
        Ok(json!({
            "partitions": partitions,
            "listed": [listed, false],
            "again": again,
            "unknown setting": unknown,
            "retention": [before, after],
            "raised": raised,
            "lowered": number(lowered),
            "deleted": number(self.partitions().await),
        }))
    }

    async fn codecs(&self, input: &Value) -> Result<Value> {
        let mut saw = json!({});
        for codec in input["codecs"].as_array().unwrap().iter().map(|codec| codec.as_str().unwrap()) {
            let topic = format!("{}-{codec}", self.name);
            self.create(NewTopic::new(&topic, 1, 1)?).await?;
            self.write(&topic, &Given::all(input), 1, compression(codec)).await?;
            saw[codec] = self.read(&topic).await?.iter().map(|record| told(record).told()).collect();
        }
        Ok(saw)
    }

    async fn group(&self, records: &[Given]) -> Result<Value> {
        let name = &self.name;
        self.create(NewTopic::new(name, 4, 1)?).await?;
        self.write(name, &records[..40], 4, Compression::None).await?;
        let first = self.member().await?;
        first.reads(40, &[]).await?;
        let alone = json!({ "owned": first.owned().await, "read": first.count() });

        let second = self.member().await?;
        eventually("two members with two partitions each", LIMIT, async || {
            (first.owned().await.len() == 2 && second.owned().await.len() == 2).then_some(())
        })
        .await;
        let all: BTreeSet<_> = first.owned().await.into_iter().chain(second.owned().await).collect();
        assert_eq!(all.len(), 4, "no partition has two owners");
        self.write(name, &records[40..80], 4, Compression::None).await?;
        first.reads(80, &[&second]).await?;
        let both = json!({ "owned": [2, 2], "read": [first.count() - 40, second.count()] });
        let (described, committed) = (self.described().await?, self.committed().await?);

        let mut values = first.leave().await?;
        eventually("one member with all partitions", LIMIT, async || (second.owned().await.len() == 4).then_some(()))
            .await;
        let before = second.count();
        self.write(name, &records[80..], 4, Compression::None).await?;
        second.reads(before + 40, &[]).await?;
        let left = json!({ "owned": second.owned().await, "read": second.count() - before });
        values.extend(second.leave().await?);
        values.sort();
        let empty = self.described().await?;

        let offsets = (0..4).map(|partition| (TopicPartition::new(name.as_str(), partition), 7));
        let altered = self.admin.alter_consumer_group_offsets(name, offsets, Default::default()).await?;
        altered.into_values().collect::<Result<Vec<()>>>()?;
        let reset = self.committed().await?;
        let third = self.member().await?;
        third.reads(92, &[]).await?;
        let again = third.leave().await?.len();
        let listed = self.listed().await?;
        only(self.admin.delete_consumer_groups([name], Default::default()).await?)?;
        Ok(json!({
            "alone": alone, "both": both, "described": described, "committed": committed, "left": left, "empty": empty,
            "values": values, "reset": reset, "again": again, "listed": [listed, self.listed().await?],
        }))
    }

    async fn times(&self, records: &[Given]) -> Result<Value> {
        self.create(NewTopic::new(&self.name, 1, 1)?).await?;
        self.write(&self.name, records, 1, Compression::None).await?;
        let (mut at, mut after) = (Vec::new(), Vec::new());
        for record in records {
            at.push(self.offset(&self.name, OffsetSpec::Timestamp(record.timestamp)).await?);
            after.push(self.offset(&self.name, OffsetSpec::Timestamp(record.timestamp + 1)).await?);
        }
        Ok(json!({
            "at": at,
            "after": after,
            "earliest": self.offset(&self.name, OffsetSpec::Earliest).await?,
            "latest": self.offset(&self.name, OffsetSpec::Latest).await?,
        }))
    }

    async fn cut(&self, records: &[Given]) -> Result<Value> {
        self.create(NewTopic::new(&self.name, 1, 1)?).await?;
        self.write(&self.name, records, 1, Compression::None).await?;
        let read = self.read(&self.name).await?;
        Ok(json!({ "values": read.iter().map(value).collect::<Vec<_>>() }))
    }

    async fn create(&self, topic: NewTopic) -> Result<()> {
        only(self.admin.create_topics([topic], Default::default()).await?)
    }

    async fn topics(&self) -> Result<Vec<String>> {
        self.admin.list_topics(Default::default()).await
    }

    async fn partitions(&self) -> Result<BTreeSet<i32>> {
        let described = only(self.admin.describe_topics([&self.name], Default::default()).await?)?;
        Ok(described.partitions.iter().map(|partition| partition.partition).collect())
    }

    async fn retention(&self) -> Result<Option<String>> {
        let resource = ConfigResource::topic(&self.name);
        let entries = only(self.admin.describe_configs([resource], Default::default()).await?)?;
        Ok(entries.into_iter().find(|entry| entry.name == "retention.ms").and_then(|entry| entry.value))
    }

    /// Record `i` goes to partition `i % partitions`, as an idempotent producer of krafka's does unless told otherwise.
    async fn write(&self, topic: &str, records: &[Given], partitions: i32, compression: Compression) -> Result<()> {
        let producer = self.kafka.producer().compression(compression).batch_size(400).build().await?;
        let mut sent = Vec::new();
        for (given, partition) in records.iter().zip((0..partitions).cycle()) {
            let mut record = Record::new(topic, given.value.clone().unwrap_or_default());
            record = if given.value.is_none() { record.without_value() } else { record };
            record = record.partition(partition).timestamp(given.timestamp);
            record = given.key.iter().fold(record, |record, key| record.key(key.clone()));
            record = given.headers.iter().fold(record, |record, (name, value)| record.header(name, value.clone()));
            sent.push(producer.enqueue(record).await?);
        }
        for acknowledged in sent {
            let _written = acknowledged.await?;
        }
        producer.close().await
    }

    /// All of partition 0.
    async fn read(&self, topic: &str) -> Result<Vec<ConsumerRecord>> {
        let end = self.offset(topic, OffsetSpec::Latest).await?.unwrap_or_default();
        let consumer = self.kafka.consumer_without_group().build().await?;
        consumer.assign(topic, vec![0]).await?;
        consumer.seek_to_beginning(topic, 0).await?;
        let mut read = Vec::new();
        while read.last().is_none_or(|last: &ConsumerRecord| last.offset + 1 < end) {
            read.extend(consumer.poll(Duration::from_millis(100)).await?);
        }
        consumer.close().await?;
        Ok(read)
    }

    async fn offset(&self, topic: &str, spec: OffsetSpec) -> Result<Option<i64>> {
        let asked = [(TopicPartition::new(topic, 0), spec)];
        // For this long krafka asks again where there is no offset: it takes the answer for one to be retried.
        let options = ListOffsetsOptions::default().timeout(Duration::from_secs(2));
        match only(self.admin.list_offsets(asked, options).await?) {
            Ok(found) => Ok(Some(found.offset)),
            // What krafka makes of an answer without an offset.
            Err(KrafkaError::Broker { code: ErrorCode::OffsetNotAvailable, .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    async fn member(&self) -> Result<Member> {
        // With connections of its own: on a shared one its requests would wait for the other member's.
        let kafka = Kafka::builder(&self.bootstrap).connect().await?;
        let consumer = (kafka.consumer(&self.name))
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .enable_auto_commit(false)
            .heartbeat_interval(Duration::from_millis(200))
            .build()
            .await?;
        consumer.subscribe([&self.name]).await?;
        let (consumer, values) = (Arc::new(consumer), Arc::default());
        let reading = tokio::spawn(read_on(Arc::clone(&consumer), Arc::clone(&values)));
        Ok(Member { consumer, topic: self.name.clone(), values, reading })
    }

    async fn described(&self) -> Result<Value> {
        let group = only(self.admin.describe_consumer_groups([&self.name], Default::default()).await?)?;
        Ok(json!({ "state": group.state, "members": group.members.len() }))
    }

    async fn committed(&self) -> Result<Vec<Option<i64>>> {
        let mut committed = self.admin.list_consumer_group_offsets(&self.name, Default::default()).await?;
        let mut offset = |partition| committed.remove(&TopicPartition::new(self.name.as_str(), partition));
        (0..4).map(|partition| Ok(offset(partition).transpose()?.and_then(|found| found.offset))).collect()
    }

    async fn listed(&self) -> Result<bool> {
        let groups = only(self.admin.list_consumer_groups(Default::default()).await?)?;
        Ok(groups.iter().any(|group| group.group_id == self.name))
    }
}

/// A member of the group that reads all the time, and the values it has read.
struct Member {
    consumer: Arc<Consumer>,
    topic: String,
    values: Arc<Mutex<Vec<String>>>,
    reading: JoinHandle<()>,
}

/// Until the consumer is closed.
async fn read_on(consumer: Arc<Consumer>, values: Arc<Mutex<Vec<String>>>) {
    while !consumer.is_closed() {
        // What goes wrong in a rebalance, or at the end, is tried again; what is missing is found by who waits for it.
        let read = consumer.poll(Duration::from_millis(500)).await.unwrap_or_default();
        values.lock().unwrap().extend(read.iter().map(|record| hexadecimal(record.value.as_deref().unwrap())));
    }
}

impl Member {
    /// Until it and `others` have read `count` records in all; then they commit.
    async fn reads(&self, count: usize, others: &[&Self]) -> Result<()> {
        let all: Vec<&Self> = others.iter().copied().chain([self]).collect();
        let enough = async || (all.iter().map(|member| member.count()).sum::<usize>() >= count).then_some(());
        eventually("records that are read", LIMIT, enough).await;
        for member in all {
            member.consumer.commit().await?;
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.values.lock().unwrap().len()
    }

    async fn owned(&self) -> Vec<i32> {
        let mut owned = self.consumer.assignment().await.remove(&self.topic).unwrap_or_default();
        owned.sort_unstable();
        owned
    }

    async fn leave(self) -> Result<Vec<String>> {
        self.consumer.close().await?;
        self.reading.abort();
        Ok(std::mem::take(&mut *self.values.lock().unwrap()))
    }
}

fn told(record: &ConsumerRecord) -> Given {
    Given {
        timestamp: record.timestamp,
        key: record.key.as_deref().map(<[u8]>::to_vec),
        value: record.value.as_deref().map(<[u8]>::to_vec),
        headers: (record.headers.iter())
            .map(|(name, value)| (name.clone(), value.as_deref().unwrap_or_default().to_vec()))
            .collect(),
    }
}

fn value(record: &ConsumerRecord) -> Value {
    record.value.as_deref().map(hexadecimal).into()
}

fn compression(codec: &str) -> Compression {
    match codec {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    }
}

/// What `read` gives once it is what was asked for: Kafka tells of changes a moment later.
async fn settled<T: PartialEq>(read: impl AsyncFn() -> Result<T>, expected: &T) -> T {
    eventually("a change that is told", LIMIT, async || read().await.ok().filter(|found| found == expected)).await
}

/// The outcome of the one thing that was asked.
fn only<K, T>(outcomes: std::collections::HashMap<K, Result<T>>) -> Result<T> {
    outcomes.into_values().next().unwrap()
}

/// The number of the broker's error, or 0.
fn number<T>(outcome: Result<T>) -> i16 {
    match outcome {
        Ok(_) => 0,
        Err(KrafkaError::Broker { code, .. }) => code.into(),
        Err(other) => panic!("{other}"),
    }
}
