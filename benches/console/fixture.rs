//! Topics, groups and records by the thousand, made through the library.

use std::time::Duration;

use anyhow::{Context, bail};
use futures::StreamExt;
use kboard::config::{KafkaSettings, TopicDefaults};
use kboard::kafka::Cluster;
use kboard::kafka::admin::{self, TopicSpec, groups};
use krafka::admin::TopicPartition;
use krafka::producer::Acks;
use krafka::{Compression, Record};

/// The time of the first record; each is a millisecond younger than the one before.
pub const START_MS: i64 = 1_700_000_000_000;

/// Groups made at once.
const AT_ONCE: usize = 16;

fn cluster(kafka: &str) -> Cluster {
    let bootstrap = kafka.split(',').map(str::to_owned).collect();
    Cluster::new(KafkaSettings { bootstrap, tls: None, sasl: None, session_timeout: Duration::from_secs(10) })
}

/// `topics` topics, and `groups` groups that have read a part of one each.
pub async fn topics_and_groups(kafka: &str, topics: usize, partitions: i32, groups: usize) -> anyhow::Result<()> {
    let cluster = cluster(kafka);
    let names: Vec<String> = (0..topics).map(|number| format!("topic-{number:04}")).collect();
    let specs: Vec<TopicSpec> = names.iter().map(|name| TopicSpec::new(name, partitions)).collect();
    for some in specs.chunks(50) {
        admin::ensure_topics(&cluster, some, &TopicDefaults::default()).await.context("make the topics")?;
    }
    let producer = cluster.producing().await?.producer().acks(Acks::Leader).idempotent(false).build().await?;
    for name in &names {
        drop(producer.enqueue(Record::new(name.clone(), "a record")).await?);
    }
    producer.flush().await?;
    let commits = (0..groups).map(|number| {
        let (cluster, topic) = (&cluster, &names[number % names.len()]);
        async move {
            let partitions = (0..partitions).map(|partition| (TopicPartition::new(topic, partition), 0));
            groups::move_to(cluster, &format!("group-{number:04}"), partitions).await
        }
    });
    let mut commits = futures::stream::iter(commits).buffer_unordered(AT_ONCE);
    while let Some(committed) = commits.next().await {
        committed.context("make the groups")?;
    }
    Ok(())
}

/// What record `number` has that no other has.
pub fn needle(number: u64) -> String {
    format!("needle-{number:012}")
}

/// A topic of `records` records of JSON, in 4 partitions.
pub async fn records(kafka: &str, records: u64) -> anyhow::Result<String> {
    let cluster = cluster(kafka);
    let topic = format!("big-{records}");
    let made = admin::ensure_topics(&cluster, &[TopicSpec::new(&topic, 4)], &TopicDefaults::default()).await?;
    if made.is_empty() {
        // From an earlier run.
        return Ok(topic);
    }
    let producer = (cluster.producing().await?.producer())
        .acks(Acks::Leader)
        .idempotent(false)
        .compression(Compression::None)
        .batch_size(512 * 1024)
        .linger(Duration::from_millis(5))
        .build()
        .await?;
    for number in 0..records {
        let value = format!(
            r#"{{"id":"{}","level":"{}","service":"payments","message":"a record of some length, as logs have it"}}"#,
            needle(number),
            if number % 100 == 0 { "ERROR" } else { "INFO" },
        );
        let mut record = Record::new(topic.clone(), value);
        record.partition = Some(i32::try_from(number % 4)?);
        record.timestamp = Some(START_MS + i64::try_from(number)?);
        drop(producer.enqueue(record).await?);
    }
    producer.flush().await?;
    let found = admin::topics::describe(&cluster, std::slice::from_ref(&topic)).await?;
    if found.first().and_then(admin::topics::Topic::messages) != Some(i64::try_from(records)?) {
        bail!("the topic {topic} does not hold what was sent: {found:?}");
    }
    Ok(topic)
}
