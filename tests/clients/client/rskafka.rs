//! rskafka, which has neither groups nor idempotent producers, and makes topics without settings.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt;
use rskafka::chrono::DateTime;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use serde_json::{Value, json};

use super::{Doer, Task};
use crate::scenario::{Given, Scenario};
use crate::support::eventually;

/// For a topic to be made, and gone.
const TIMEOUT_MS: i32 = 10_000;
const LIMIT: Duration = Duration::from_secs(180);

/// The client.
pub fn rskafka() -> Doer {
    Box::new(|task| async move { run(task).await.map_err(|error| error.to_string()) }.boxed_local())
}

async fn run(task: Task) -> Result<Value, Error> {
    let client = ClientBuilder::new(vec![task.bootstrap]).build().await?;
    match task.scenario {
        Scenario::Admin => administrate(&client, &task.name).await,
        Scenario::Codecs => codecs(&client, &task.name, &task.input).await,
        Scenario::Times => times(&client, &task.name, Given::all(&task.input)).await,
        Scenario::Group | Scenario::Cut => panic!("rskafka can't do this"),
    }
}

async fn administrate(client: &Client, name: &str) -> Result<Value, Error> {
    let controller = client.controller_client()?;
    let create = || controller.create_topic(name, 3, 1, TIMEOUT_MS);
    create().await?;
    let partitions = async || {
        let topics = client.list_topics().await.ok()?;
        topics.into_iter().find(|topic| topic.name == name).map(|topic| topic.partitions)
    };
    let made = eventually("a topic that is told of", LIMIT, &partitions).await;
    let again = match create().await {
        Err(Error::ServerError { protocol_error: ProtocolError::TopicAlreadyExists, .. }) => 36,
        other => panic!("{other:?}"),
    };
    controller.delete_topic(name, TIMEOUT_MS).await?;
    eventually("a topic that is gone", LIMIT, async || partitions().await.is_none().then_some(())).await;
    Ok(json!({ "partitions": made, "listed": [true, false], "again": again }))
}

async fn codecs(client: &Client, name: &str, input: &Value) -> Result<Value, Error> {
    let mut saw = json!({});
    for codec in input["codecs"].as_array().unwrap().iter().map(|codec| codec.as_str().unwrap()) {
        let partition = topic(client, &format!("{name}-{codec}")).await?;
        let given = Given::all(input);
        partition.produce(given.iter().map(record).collect(), compression(codec)).await?;
        let (read, _) = partition.fetch_records(0, 1..10_000_000, 1_000).await?;
        let told = read.into_iter().map(|read| told(read.record)).zip(&given);
        saw[codec] = told.map(|(read, given)| with_headers_of(read, given).told()).collect();
    }
    Ok(saw)
}

async fn times(client: &Client, name: &str, given: Vec<Given>) -> Result<Value, Error> {
    let partition = topic(client, name).await?;
    partition.produce(given.iter().map(record).collect(), Compression::NoCompression).await?;
    let at = async |ms| {
        let offset = partition.get_offset(OffsetAt::Timestamp(DateTime::from_timestamp_millis(ms).unwrap())).await?;
        Ok::<_, Error>((offset >= 0).then_some(offset))
    };
    let (mut same, mut after) = (Vec::new(), Vec::new());
    for record in given {
        same.push(at(record.timestamp).await?);
        after.push(at(record.timestamp + 1).await?);
    }
    let (earliest, latest) = (partition.get_offset(OffsetAt::Earliest), partition.get_offset(OffsetAt::Latest));
    Ok(json!({ "at": same, "after": after, "earliest": earliest.await?, "latest": latest.await? }))
}

async fn topic(client: &Client, name: &str) -> Result<PartitionClient, Error> {
    client.controller_client()?.create_topic(name, 1, 1, TIMEOUT_MS).await?;
    client.partition_client(name, 0, UnknownTopicHandling::Retry).await
}

fn record(given: &Given) -> Record {
    Record {
        key: given.key.clone(),
        value: given.value.clone(),
        headers: given.headers.iter().cloned().collect(),
        timestamp: DateTime::from_timestamp_millis(given.timestamp).unwrap(),
    }
}

fn told(record: Record) -> Given {
    Given {
        timestamp: record.timestamp.timestamp_millis(),
        key: record.key,
        value: record.value,
        headers: record.headers.into_iter().collect(),
    }
}

/// rskafka keeps headers in a map: of two with the same name the last is sent. Where the map is what was to be sent, this
/// is what was given.
fn with_headers_of(mut read: Given, given: &Given) -> Given {
    if read.headers == given.headers.iter().cloned().collect::<BTreeMap<_, _>>().into_iter().collect::<Vec<_>>() {
        read.headers.clone_from(&given.headers);
    }
    read
}

fn compression(codec: &str) -> Compression {
    match codec {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::NoCompression,
    }
}
