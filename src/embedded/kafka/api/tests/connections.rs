//! Connections: order, limits, and what becomes of those that send nonsense.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    MetadataRequest,
};
use kafka_protocol::protocol::Decodable;
use proptest::prelude::*;
use tokio::io::AsyncReadExt;

use super::super::APIS;
use super::node::{Client, Node, framed, request, text};

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_their_order() {
    let node = Node::start().await;
    let mut client = node.client().await;
    let ids = (1..=50).map(|n: i32| n * 40_000_000);
    let all: Vec<u8> = ids.clone().flat_map(|id| framed(&request(18, 0, id, &[]))).collect();
    client.write(&all).await;
    for id in ids {
        assert_eq!(client.frame().await.expect("an answer")[..4], id.to_be_bytes());
    }
    node.stop().await;
}

#[tokio::test]
async fn the_versions_advertised_are_those_of_the_table() {
    let node = Node::start().await;
    let response = node.call(4, ApiVersionsRequest::default()).await;
    let advertised: Vec<_> =
        response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
    let table: Vec<_> = APIS.iter().map(|api| (api.key, api.advertised_from, api.versions.max)).collect();
    assert_eq!(advertised, table);
    node.stop().await;
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0_with_the_list() {
    let node = Node::start().await;
    let mut client = node.client().await;
    client.send(18, 99, &[1, 2, 3]).await;
    let mut answer = client.receive(18, 0).await.expect("an answer");
    let response = ApiVersionsResponse::decode(&mut answer, 0).expect("a response");
    assert_eq!(response.error_code, ResponseError::UnsupportedVersion.code());
    assert_eq!(response.api_keys.len(), APIS.len());
    assert!(client.is_served().await, "the connection is still good");
    node.stop().await;
}

#[tokio::test]
async fn an_unsupported_version_is_refused_where_the_answer_has_room_for_it() {
    let node = Node::start().await;
    let mut client = node.client().await;
    client.send(60, 3, &[]).await;
    let mut answer = client.receive(60, 2).await.expect("an answer");
    let response = DescribeClusterResponse::decode(&mut answer, 2).expect("a response");
    assert_eq!(response.error_code, ResponseError::UnsupportedVersion.code());
    client.send(10, -1, &[]).await;
    let mut answer = client.receive(10, 0).await.expect("an answer");
    let response = FindCoordinatorResponse::decode(&mut answer, 0).expect("a response");
    assert_eq!(response.error_code, ResponseError::UnsupportedVersion.code());
    assert!(client.is_served().await);
    // CreateTopics has none, and neither have an API that isn't there and one that nobody knows.
    for (key, version) in [(19, 1), (19, 8), (17, 0), (9_999, 0), (-1, 0)] {
        let mut client = node.client().await;
        client.write(&framed(&request(key, version, 7, &[]))).await;
        assert!(client.frame().await.is_none(), "API {key} version {version}");
    }
    node.stop().await;
}

#[tokio::test]
async fn nonsense_closes_its_connection_and_no_other() {
    let node = Node::start().await;
    let mut other = node.client().await;
    let nonsense: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0xff; 64],
        &[0, 0, 0, 0],
        &framed(&[0, 3, 0, 9]),
        &framed(&request(3, 9, 1, &[0xff; 5])),
        &framed(&request(3, 1, 1, &i32::MAX.to_be_bytes())),
        &framed(&[0, 3, 0, 9, 0, 0, 0, 1, 0x7f, 0xff]),
    ];
    for bytes in nonsense {
        let mut client = node.client().await;
        client.write(bytes).await;
        assert!(client.frame().await.is_none(), "{bytes:?}");
        assert!(other.is_served().await);
    }
    node.stop().await;
}

#[tokio::test]
async fn two_gigabytes_announced_close_the_connection_at_once() {
    let node = Node::start().await;
    let mut client = node.client().await;
    let started = Instant::now();
    client.write(&i32::MAX.to_be_bytes()).await;
    assert!(client.frame().await.is_none());
    assert!(started.elapsed() < Duration::from_secs(5));
    node.stop().await;
}

#[tokio::test]
async fn half_sent_requests_hold_up_nobody() {
    let limit = 1 << 20;
    let adapt = |_: &mut _, limits: &mut crate::embedded::kafka::broker::Limits| {
        (limits.request_bytes, limits.memory_bytes) = (limit, limit);
    };
    let node = Node::start_with(tempfile::tempdir().expect("a folder"), adapt).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut client = node.client().await;
        client.write(&framed(&vec![0; limit])[..10_000]).await;
        slow.push(client);
    }
    let mut client = node.client().await;
    assert!(client.is_served().await);
    // A large one that is whole goes through, too.
    let names = (0..3_000).map(|n| format!("a-topic-with-a-rather-long-name-{n}"));
    let topics = names.map(|name| {
        kafka_protocol::messages::metadata_request::MetadataRequestTopic::default().with_name(Some(text(&name).into()))
    });
    let asked = MetadataRequest::default().with_topics(Some(topics.collect()));
    assert_eq!(client.call(9, asked).await.topics.len(), 3_000);
    node.stop().await;
}

#[tokio::test]
async fn one_connection_too_many_waits_until_another_is_closed() {
    let adapt = |_: &mut _, limits: &mut crate::embedded::kafka::broker::Limits| limits.connections = 1;
    let node = Node::start_with(tempfile::tempdir().expect("a folder"), adapt).await;
    let mut first = node.client().await;
    assert!(first.is_served().await);
    let mut second = node.client().await;
    second.send(18, 0, &[]).await;
    let early = tokio::time::timeout(Duration::from_millis(200), second.stream.readable()).await;
    assert!(early.is_err());
    drop(first);
    assert!(second.receive(18, 0).await.is_some());
    node.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let adapt = |_: &mut _, limits: &mut crate::embedded::kafka::broker::Limits| limits.idle = Duration::from_secs(3);
    let node = Node::start_with(tempfile::tempdir().expect("a folder"), adapt).await;
    let mut client = node.client().await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(3_600) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(client.is_served().await, "it isn't idle");
    }
    assert!(client.frame().await.is_none());
    node.stop().await;
}

#[tokio::test]
async fn the_end_closes_connections_and_the_listener() {
    let node = Node::start().await;
    let mut client = node.client().await;
    assert!(client.is_served().await);
    let started = Instant::now();
    node.stop().await;
    assert!(started.elapsed() < Duration::from_secs(3), "requests in hand would have so long");
    assert!(client.frame().await.is_none());
}

#[tokio::test]
async fn the_coordinator_is_this_node() {
    let node = Node::start().await;
    let response = node.call(0, FindCoordinatorRequest::default().with_key(text("g"))).await;
    assert_eq!((response.error_code, response.node_id.0), (0, 1));
    assert_eq!(response.port, i32::from(node.broker.advertised.port));
    let asked = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g"), text("h")]);
    let response = node.call(6, asked.clone()).await;
    let found: Vec<_> = response.coordinators.iter().map(|found| (&*found.key, found.error_code)).collect();
    assert_eq!(found, [("g", 0), ("h", 0)]);
    let response = node.call(6, asked.clone().with_key_type(1)).await;
    assert_eq!(response.coordinators[0].error_code, ResponseError::TransactionalIdAuthorizationFailed.code());
    let response = node.call(6, asked.with_key_type(2)).await;
    assert_eq!(response.coordinators[0].error_code, ResponseError::InvalidRequest.code());
    node.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn random_bytes_never_hurt_others(bytes in prop::collection::vec(any::<u8>(), 1..2_000), whole in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let node = Node::start().await;
            let mut other = node.client().await;
            assert!(other.is_served().await);
            let mut client = node.client().await;
            let sent = if whole { framed(&bytes) } else { Bytes::from(bytes) };
            client.write(&sent).await;
            end_of(client).await;
            assert!(other.is_served().await);
            node.stop().await;
        });
    }
}

/// Reads until the node closes, once there is nothing more to come from here.
async fn end_of(mut client: Client) {
    // The node may have closed already.
    let _ = tokio::io::AsyncWriteExt::shutdown(&mut client.stream).await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), client.stream.read_to_end(&mut rest)).await;
    let _ = ended.expect("the node closes");
}
