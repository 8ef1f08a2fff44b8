//! The topic and the Redis window as the projection's benches need them: a backlog to drain, and how far it is drained.

use std::time::Duration;

use anyhow::Context;
use fred::prelude::{Builder, Client, ClientLike, Config, ListInterface};
use krafka::admin::{AdminClient, ListOffsetsOptions, NewTopic, OffsetSpec, TopicPartition};
use krafka::producer::{Acks, DeliveryHandle, Producer};

use krafka::error::{ErrorCode, KrafkaError};
use krafka::{Compression, Kafka, Record};
use serde::Deserialize;
use serde_json::json;

use crate::targets::Services;

const TOPIC: &str = "message-board";
const PARTITIONS: i32 = 3;
const WINDOW: &str = "messages";
/// Records handed to the producer before their acknowledgements are awaited.
const IN_FLIGHT: u64 = 20_000;

/// The board's topic and window.
pub struct Backlog {
    admin: AdminClient,
    producer: Producer,
    redis: Client,
}

/// The newest message of the window, as far as the benches read it.
#[derive(Deserialize)]
struct Newest {
    id: String,
    seq: u64,
}

impl Backlog {
    /// Connects, and creates the topic when it is missing.
    pub async fn open(services: &Services) -> anyhow::Result<Self> {
        let kafka = Kafka::builder(services.kafka.clone()).client_id("kboard-bench").connect().await?;
        let admin = kafka.admin();
        let made = admin.create_topics([NewTopic::new(TOPIC, PARTITIONS, -1)?], Default::default()).await?;
        for (topic, outcome) in made {
            match outcome {
                Ok(_) | Err(KrafkaError::Broker { code: ErrorCode::TopicAlreadyExists, .. }) => {}
                Err(error) => return Err(error).with_context(|| format!("create {topic}")),
            }
        }
        let producer = kafka
            .producer()
            .acks(Acks::All)
            .compression(Compression::Lz4)
            .linger(Duration::from_millis(5))
            .batch_size(256 * 1024)
            .build()
            .await?;
        let redis = Builder::from_config(Config::from_url(&services.redis)?).build()?;
        redis.init().await?;
        Ok(Self { admin, producer, redis })
    }

    /// Puts `count` messages on the topic, as the board writes them; returns the id of the last.
    pub async fn produce(&self, count: u64) -> anyhow::Result<String> {
        let mut last = String::new();
        let mut pending = Vec::with_capacity(IN_FLIGHT as usize);
        for number in 1..=count {
            let id = uuid::Uuid::now_v7();
            last = id.to_string();
            let content = format!("Message {number} of a backlog, as long as people write: the quick brown fox jumps.");
            let timestamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64;
            let value = json!({ "id": last, "content": content, "author": "load", "timestamp": timestamp });
            let record = Record::new(TOPIC, value.to_string()).key(last.clone());
            pending.push(self.producer.enqueue(record).await?);
            if pending.len() as u64 == IN_FLIGHT {
                acknowledged(std::mem::take(&mut pending)).await?;
            }
        }
        acknowledged(pending).await?;
        Ok(last)
    }

    /// How many records the topic holds.
    pub async fn records(&self) -> anyhow::Result<i64> {
        Ok(self.offsets(OffsetSpec::Latest).await? - self.offsets(OffsetSpec::Earliest).await?)
    }

    async fn offsets(&self, at: OffsetSpec) -> anyhow::Result<i64> {
        let specs = (0..PARTITIONS).map(|partition| (TopicPartition::new(TOPIC, partition), at));
        let mut sum = 0;
        for (_, offset) in self.admin.list_offsets(specs, ListOffsetsOptions::default()).await? {
            sum += offset?.offset;
        }
        Ok(sum)
    }

    /// The `seq` of the newest message shown; 0 on an empty board.
    pub async fn shown(&self) -> anyhow::Result<u64> {
        Ok(self.newest().await?.map_or(0, |newest| newest.seq))
    }

    /// Waits until the message `id` is the newest shown, and returns its `seq`.
    pub async fn until_newest(&self, id: &str, patience: Duration) -> anyhow::Result<u64> {
        let waiting = async {
            loop {
                match self.newest().await? {
                    Some(newest) if newest.id == id => return anyhow::Ok(newest.seq),
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        tokio::time::timeout(patience, waiting).await.context("the backlog's last message did not show in time")?
    }

    /// The newest messages of the window, as Redis holds them.
    pub async fn window(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.redis.lrange(WINDOW, 0, -1).await?)
    }

    async fn newest(&self) -> anyhow::Result<Option<Newest>> {
        let member: Option<String> = self.redis.lindex(WINDOW, 0).await?;
        member.map(|member| serde_json::from_str(&member).context("the window's newest message")).transpose()
    }
}

async fn acknowledged(pending: Vec<DeliveryHandle>) -> anyhow::Result<()> {
    for handle in pending {
        // Where the record went is nobody's question here, only that it is there.
        let _ = handle.await?;
    }
    Ok(())
}
