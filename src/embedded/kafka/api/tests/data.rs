//! Writing and reading records, in every version.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, InitProducerIdRequest, ListOffsetsRequest, ProduceRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable};
use uuid::Uuid;

use super::admin::{create, topic};
use super::node::{Node, text};
use crate::embedded::kafka::broker::Limits;
use crate::embedded::kafka::testing::batch;

/// The first version of Produce and Fetch that calls topics by their ids.
const BY_ID: i16 = 13;

/// The topic "t" as requests of `version` call it.
fn named(node: &Node, version: i16) -> (&'static str, Uuid) {
    match version >= BY_ID {
        true => ("", node.broker.topics.get("t").expect("there").id),
        false => ("t", Uuid::nil()),
    }
}

fn produce(node: &Node, version: i16, acks: i16, records: Bytes) -> ProduceRequest {
    let (name, id) = named(node, version);
    let data = PartitionProduceData::default().with_index(0).with_records(Some(records));
    let data =
        TopicProduceData::default().with_name(text(name).into()).with_topic_id(id).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1_000).with_topic_data(vec![data])
}

async fn produced(node: &Node, version: i16, records: Bytes) -> PartitionProduceResponse {
    let mut response = node.call(version, produce(node, version, -1, records)).await;
    response.responses.remove(0).partition_responses.remove(0)
}

fn fetch(node: &Node, version: i16, offset: i64, wait: Duration) -> FetchRequest {
    let (name, id) = named(node, version);
    let wanted = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let wanted = FetchTopic::default().with_topic(text(name).into()).with_topic_id(id).with_partitions(vec![wanted]);
    FetchRequest::default()
        .with_max_wait_ms(wait.as_millis() as i32)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![wanted])
}

async fn fetched(node: &Node, version: i16, offset: i64, wait: Duration) -> PartitionData {
    let mut response = node.call(version, fetch(node, version, offset, wait)).await;
    response.responses.remove(0).partitions.remove(0)
}

#[tokio::test]
async fn large_requests_that_wait_hold_up_nobody() {
    let limit = 1 << 20;
    let adapt = |_: &mut _, limits: &mut Limits| (limits.request_bytes, limits.memory_bytes) = (limit, limit);
    let node = Node::start_with(tempfile::tempdir().expect("a folder"), adapt).await;
    create(&node, topic("t", 1)).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut client = node.client().await;
        let padding = BTreeMap::from([(1_000, Bytes::from(vec![0; 300_000]))]);
        let request = fetch(&node, 12, 0, Duration::from_secs(60)).with_unknown_tagged_fields(padding);
        let mut body = BytesMut::new();
        request.encode(&mut body, 12).expect("a request");
        client.send(1, 12, &body).await;
        waiting.push(client);
    }
    let large = batch(60_000);
    assert!(large.len() > limit / 2);
    let sent = tokio::time::timeout(Duration::from_secs(10), produced(&node, 9, large)).await;
    assert_eq!(sent.expect("there is memory for it").error_code, 0);
    for client in &mut waiting {
        let mut answer = client.receive(1, 12).await.expect("an answer");
        let response = FetchResponse::decode(&mut answer, 12).expect("a response");
        assert!(!response.responses[0].partitions[0].records.as_ref().expect("records").is_empty());
    }
    node.stop().await;
}

async fn listed(node: &Node, version: i16, timestamp: i64) -> i64 {
    let wanted = ListOffsetsPartition::default().with_timestamp(timestamp);
    let wanted = ListOffsetsTopic::default().with_name(text("t").into()).with_partitions(vec![wanted]);
    let response = node.call(version, ListOffsetsRequest::default().with_topics(vec![wanted])).await;
    let found = &response.topics[0].partitions[0];
    assert_eq!(found.error_code, 0, "version {version}");
    found.offset
}

#[tokio::test]
async fn what_is_produced_in_any_version_is_fetched_in_any_version() {
    let node = Node::start().await;
    create(&node, topic("t", 1)).await;
    for (number, version) in (3..=13).enumerate() {
        let answer = produced(&node, version, batch(2)).await;
        assert_eq!((answer.error_code, answer.base_offset), (0, 2 * number as i64), "version {version}");
    }
    for version in 4..=18 {
        let found = fetched(&node, version, 0, Duration::ZERO).await;
        assert_eq!((found.error_code, found.high_watermark), (0, 22), "version {version}");
        assert_eq!(found.records.expect("records").len(), 11 * batch(2).len(), "version {version}");
    }
    for version in 1..=10 {
        assert_eq!((listed(&node, version, -2).await, listed(&node, version, -1).await), (0, 22), "version {version}");
    }
    for version in 0..=5 {
        let request = InitProducerIdRequest::default().with_transactional_id(None).with_producer_id((-1).into());
        let given = node.call(version, request).await;
        assert_eq!((given.error_code, given.producer_id.0), (0, i64::from(version)));
    }
    node.stop().await;
}

#[tokio::test]
async fn a_fetch_waits_for_records_and_no_longer_than_it_said() {
    let node = Node::start().await;
    create(&node, topic("t", 1)).await;
    let started = Instant::now();
    let found = fetched(&node, 12, 0, Duration::from_millis(100)).await;
    assert!(started.elapsed() >= Duration::from_millis(100));
    assert_eq!((found.error_code, found.records.map(|records| records.len())), (0, Some(0)));
    let long = Duration::from_secs(30);
    let (found, _) = tokio::join!(fetched(&node, 12, 0, long), async {
        let partition = node.broker.topics.partition("t", 0).expect("there");
        while partition.watchers() == 0 {
            tokio::task::yield_now().await;
        }
        produced(&node, 12, batch(1)).await
    });
    assert!(started.elapsed() < long / 2);
    assert_eq!(found.records.map(|records| records.len()), Some(batch(1).len()));
    node.stop().await;
}

#[tokio::test]
async fn what_cant_be_read_or_written_says_why() {
    let node = Node::start().await;
    create(&node, topic("t", 1)).await;
    assert_eq!(
        produced(&node, 12, Bytes::from_static(b"no batch")).await.error_code,
        ResponseError::CorruptMessage.code()
    );
    assert_eq!(fetched(&node, 12, 5, Duration::from_secs(5)).await.error_code, ResponseError::OffsetOutOfRange.code());
    let answer = node.call(12, produce(&node, 12, 2, batch(1))).await;
    let code = answer.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ResponseError::InvalidRequiredAcks.code());
    let mut session = fetch(&node, 12, 0, Duration::ZERO);
    (session.session_id, session.session_epoch) = (7, 3);
    assert_eq!(node.call(12, session).await.error_code, ResponseError::FetchSessionIdNotFound.code());
    node.stop().await;
}

#[tokio::test]
async fn acks_0_is_not_answered_and_an_error_closes() {
    let node = Node::start().await;
    create(&node, topic("t", 1)).await;
    let mut client = node.client().await;
    client.send_only(9, produce(&node, 9, 0, batch(1))).await;
    assert!(client.is_served().await, "the next request is answered, as the next");
    assert_eq!(listed(&node, 5, -1).await, 1);
    client.send_only(9, produce(&node, 9, 0, Bytes::from_static(b"no batch"))).await;
    assert!(client.frame().await.is_none(), "closed");
    node.stop().await;
}
