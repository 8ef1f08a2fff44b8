//! Making, finding, extending and deleting topics.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeLogDirsRequest, DescribeTopicPartitionsRequest, MetadataRequest,
};
use uuid::Uuid;

use super::node::{Node, text};
use crate::embedded::kafka::groups::{Commit, Identity};
use crate::embedded::kafka::testing::batch;

pub fn topic(name: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default().with_name(text(name).into()).with_num_partitions(partitions).with_replication_factor(-1)
}

pub async fn create(node: &Node, topic: CreatableTopic) -> CreatableTopicResult {
    let mut response = node.call(7, CreateTopicsRequest::default().with_topics(vec![topic])).await;
    response.topics.remove(0)
}

async fn find(node: &Node, version: i16, name: &str) -> MetadataResponseTopic {
    let asked = MetadataRequestTopic::default().with_name(Some(text(name).into()));
    let mut response = node.call(version, MetadataRequest::default().with_topics(Some(vec![asked]))).await;
    response.topics.remove(0)
}

fn names(topics: &[MetadataResponseTopic]) -> Vec<&str> {
    topics.iter().filter_map(|topic| topic.name.as_deref().map(|name| &**name)).collect()
}

#[tokio::test]
async fn a_topic_is_made_found_extended_and_deleted_in_the_oldest_and_the_newest_versions() {
    let node = Node::start().await;
    for (create, metadata, extend, delete) in [(2, 0, 0, 1), (7, 13, 3, 5)] {
        let made = node.call(create, CreateTopicsRequest::default().with_topics(vec![topic("orders", 3)])).await;
        assert_eq!((made.topics[0].error_code, &*made.topics[0].name.0), (0, "orders"));
        let found = find(&node, metadata, "orders").await;
        assert_eq!((found.error_code, found.partitions.len()), (0, 3));
        assert!(found.partitions.iter().all(|one| one.leader_id == BrokerId(1) && one.isr_nodes == [BrokerId(1)]));

        let more =
            CreatePartitionsTopic::default().with_name(text("orders").into()).with_count(5).with_assignments(None);
        let added = node.call(extend, CreatePartitionsRequest::default().with_topics(vec![more])).await;
        assert_eq!(added.results[0].error_code, 0);
        assert_eq!(find(&node, metadata, "orders").await.partitions.len(), 5);

        let commit =
            Commit { topic: "orders".to_owned(), partition: 0, offset: 5, leader_epoch: -1, metadata: String::new() };
        let nobody = Identity { member_id: String::new(), instance_id: None };
        node.broker.groups.commit("g", -1, &nobody, vec![commit]).expect("committed");
        assert_eq!(node.broker.groups.committed("g", None).expect("offsets").len(), 1);
        let asked = DeleteTopicsRequest::default().with_topic_names(vec![text("orders").into()]);
        assert_eq!(node.call(delete, asked).await.responses[0].error_code, 0);
        assert!(node.broker.groups.committed("g", None).expect("offsets").is_empty());
        let code = ResponseError::UnknownTopicOrPartition.code();
        assert_eq!(find(&node, metadata, "orders").await.error_code, code);
    }
    node.stop().await;
}

#[tokio::test]
async fn all_topics_or_none_are_described_as_the_version_has_it() {
    let node = Node::start().await;
    create(&node, topic("a", 1)).await;
    create(&node, topic("b", 2)).await;
    let none = || MetadataRequest::default().with_topics(Some(Vec::new()));
    let all = || MetadataRequest::default().with_topics(None);
    assert_eq!(names(&node.call(0, none()).await.topics), ["a", "b"]);
    for version in 1..=13 {
        assert!(node.call(version, none()).await.topics.is_empty());
        let response = node.call(version, all()).await;
        assert_eq!(names(&response.topics), ["a", "b"]);
        assert_eq!((response.brokers.len(), response.controller_id), (1, BrokerId(1)));
        assert!(version < 2 || response.cluster_id.as_deref() == Some(node.broker.topics.cluster_id()));
        assert_eq!(response.topics[0].topic_id.is_nil(), version < 10);
    }
    let asked = all().with_include_topic_authorized_operations(true).with_include_cluster_authorized_operations(true);
    let response = node.call(8, asked).await;
    assert_eq!((response.cluster_authorized_operations, response.topics[0].topic_authorized_operations), (8096, 3576));
    node.stop().await;
}

#[tokio::test]
async fn a_topic_is_found_and_deleted_by_its_id() {
    let node = Node::start().await;
    let id = create(&node, topic("a", 1)).await.topic_id;
    let by_id = |id| vec![MetadataRequestTopic::default().with_name(None).with_topic_id(id)];
    let response = node.call(12, MetadataRequest::default().with_topics(Some(by_id(id)))).await;
    assert_eq!(names(&response.topics), ["a"]);
    let unknown = node.call(13, MetadataRequest::default().with_topics(Some(by_id(Uuid::new_v4())))).await;
    assert_eq!(unknown.topics[0].error_code, ResponseError::UnknownTopicId.code());

    let delete = |topics| DeleteTopicsRequest::default().with_topics(topics);
    let states = vec![
        DeleteTopicState::default().with_name(None).with_topic_id(id),
        DeleteTopicState::default().with_name(Some(text("a").into())),
        DeleteTopicState::default().with_name(None).with_topic_id(Uuid::new_v4()),
        DeleteTopicState::default().with_name(None),
        DeleteTopicState::default().with_name(Some(text("a").into())).with_topic_id(id),
    ];
    let response = node.call(6, delete(states)).await;
    let codes: Vec<_> = response.responses.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [0, 3, 100, 42, 42]);
    assert_eq!(response.responses[0].name.as_deref().map(|name| &**name), Some("a"));
    assert!(node.broker.topics.all().is_empty());
    node.stop().await;
}

#[tokio::test]
async fn what_cant_be_made_is_refused_with_a_sentence() {
    let node = Node::start().await;
    create(&node, topic("a.b", 1)).await;
    let config = |name: &str, value: &str| {
        vec![CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))]
    };
    let assigned = |index: i32, brokers: &[i32]| {
        let brokers = brokers.iter().map(|broker| BrokerId(*broker)).collect();
        vec![CreatableReplicaAssignment::default().with_partition_index(index).with_broker_ids(brokers)]
    };
    for (asked, error, words) in [
        (topic("", 1), ResponseError::InvalidTopicException, "the empty string is not allowed"),
        (topic("a/b", 1), ResponseError::InvalidTopicException, "other than ASCII alphanumerics"),
        (topic("a_b", 1), ResponseError::InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b"),
        (topic("a.b", 1), ResponseError::TopicAlreadyExists, "Topic 'a.b' already exists."),
        (topic("c", 0), ResponseError::InvalidPartitions, "non-positive"),
        (topic("c", i32::MAX), ResponseError::PolicyViolation, "limit of 20000"),
        (topic("c", 1).with_replication_factor(3), ResponseError::InvalidReplicationFactor, "without replication"),
        (topic("c", 1).with_replication_factor(0), ResponseError::InvalidReplicationFactor, "larger than 0"),
        (topic("c", 1).with_configs(config("x", "1")), ResponseError::InvalidConfig, "Unknown topic config name: x"),
        (topic("c", 1).with_configs(config("cleanup.policy", "compact")), ResponseError::InvalidConfig, "compact"),
        (topic("c", 1).with_assignments(assigned(0, &[1])), ResponseError::InvalidRequest, "numPartitions"),
        (topic("c", -1).with_assignments(assigned(1, &[1])), ResponseError::InvalidReplicaAssignment, "consecutive"),
        (topic("c", -1).with_assignments(assigned(0, &[2])), ResponseError::InvalidReplicaAssignment, "broker 2"),
    ] {
        let refused = create(&node, asked).await;
        let message = refused.error_message.expect("a message");
        assert_eq!(refused.error_code, error.code(), "{message}");
        assert!(message.contains(words), "{message}");
        assert_eq!((refused.num_partitions, refused.topic_id), (-1, Uuid::nil()));
    }
    let twice = CreateTopicsRequest::default().with_topics(vec![topic("c", 1), topic("c", 2), topic("d", 1)]);
    let response = node.call(7, twice).await;
    let codes: Vec<_> = response.topics.iter().map(|topic| (&*topic.name.0, topic.error_code)).collect();
    assert_eq!(codes, [("c", 42), ("d", 0)]);
    assert_eq!(node.broker.topics.all().len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn defaults_and_assignments_to_this_node_are_taken_and_validation_makes_nothing() {
    let adapt = |options: &mut crate::embedded::kafka::topics::Options, _: &mut _| options.defaults.partitions = 4;
    let node = Node::start_with(tempfile::tempdir().expect("a folder"), adapt).await;
    let only = CreateTopicsRequest::default().with_topics(vec![topic("a", -1)]).with_validate_only(true);
    let response = node.call(7, only).await;
    assert_eq!((response.topics[0].error_code, response.topics[0].num_partitions), (0, 4));
    assert!(node.broker.topics.all().is_empty());

    let made = create(&node, topic("a", -1)).await;
    assert_eq!((made.num_partitions, made.replication_factor), (4, 1));
    let configs = made.configs.expect("settings");
    let retention = configs.iter().find(|config| &*config.name == "retention.ms").expect("retention.ms");
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("604800000"), 5));

    let assignments = [1, 0].map(|index| {
        CreatableReplicaAssignment::default().with_partition_index(index).with_broker_ids(vec![BrokerId(1)])
    });
    let made = create(&node, topic("b", -1).with_assignments(assignments.to_vec())).await;
    assert_eq!((made.error_code, made.num_partitions), (0, 2));
    node.stop().await;
}

#[tokio::test]
async fn partitions_are_only_added() {
    let node = Node::start().await;
    create(&node, topic("a", 3)).await;
    let to = |name: &str, count| {
        CreatePartitionsTopic::default().with_name(text(name).into()).with_count(count).with_assignments(None)
    };
    let here = || CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(1)]);
    for (asked, code, words) in [
        (to("a", 3), 37, "Topic already has 3 partition(s)."),
        (to("a", 2), 37, "The topic a currently has 3 partition(s); 2 would not be an increase."),
        (to("b", 2), 3, "does not exist"),
        (to("a", i32::MAX), 44, "limit"),
        (to("a", 5).with_assignments(Some(vec![here()])), 39, "add 2 additional partition(s), but only 1"),
    ] {
        let response = node.call(3, CreatePartitionsRequest::default().with_topics(vec![asked])).await;
        let message = response.results[0].error_message.as_deref().expect("a message");
        assert_eq!(response.results[0].error_code, code, "{message}");
        assert!(message.contains(words), "{message}");
    }
    let only = CreatePartitionsRequest::default().with_topics(vec![to("a", 4)]).with_validate_only(true);
    assert_eq!(node.call(3, only).await.results[0].error_code, 0);
    assert_eq!(node.broker.topics.get("a").expect("there").partitions.len(), 3);
    let asked = to("a", 5).with_assignments(Some(vec![here(), here()]));
    let response = node.call(3, CreatePartitionsRequest::default().with_topics(vec![asked])).await;
    assert_eq!((response.results[0].error_code, &response.results[0].error_message), (0, &None));
    assert_eq!(node.broker.topics.get("a").expect("there").partitions.len(), 5);
    node.stop().await;
}

#[tokio::test]
async fn asking_for_a_topic_makes_it_only_where_that_is_set() {
    let node = Node::start().await;
    assert_eq!(find(&node, 4, "a").await.error_code, ResponseError::UnknownTopicOrPartition.code());
    assert_eq!(find(&node, 4, "a b").await.error_code, ResponseError::InvalidTopicException.code());
    let mut made = crate::embedded::kafka::broker::Broker::new(
        node.broker.advertised.clone(),
        node.broker.limits.clone(),
        node.broker.topics.clone(),
        node.broker.groups.clone(),
        node.broker.producer_ids.clone(),
    );
    made.create_topics = true;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = tokio::spawn(crate::embedded::kafka::server::serve(listener, std::sync::Arc::new(made)));
    let mut client = super::node::Client::connect(address).await;
    let asked = |name: &str| vec![MetadataRequestTopic::default().with_name(Some(text(name).into()))];
    let not_allowed = MetadataRequest::default().with_topics(Some(asked("a"))).with_allow_auto_topic_creation(false);
    assert_eq!(client.call(13, not_allowed).await.topics[0].error_code, 3);
    let response = client.call(13, MetadataRequest::default().with_topics(Some(asked("a")))).await;
    assert_eq!((response.topics[0].error_code, response.topics[0].partitions.len()), (0, 1));
    serving.abort();
    node.stop().await;
}

#[tokio::test]
async fn partitions_are_described_page_by_page() {
    let node = Node::start().await;
    for (name, partitions) in [("a", 2), ("b", 3), ("c", 1)] {
        create(&node, topic(name, partitions)).await;
    }
    let mut request = DescribeTopicPartitionsRequest::default().with_response_partition_limit(2);
    let mut pages = Vec::new();
    loop {
        let response = node.call(0, request.clone()).await;
        let page = response.topics.iter().flat_map(|topic| {
            let name = topic.name.as_ref().expect("a name").to_string();
            topic.partitions.iter().map(move |one| format!("{name}-{}", one.partition_index))
        });
        pages.push(page.collect::<Vec<_>>());
        let Some(next) = response.next_cursor else { break };
        let cursor = Cursor::default().with_topic_name(next.topic_name).with_partition_index(next.partition_index);
        request.cursor = Some(cursor);
    }
    assert_eq!(pages, [vec!["a-0", "a-1"], vec!["b-0", "b-1"], vec!["b-2", "c-0"]]);

    let named = |name: &str| TopicRequest::default().with_name(text(name).into());
    let some = vec![named("c"), named("nobody"), named("a b"), named("c")];
    let request = DescribeTopicPartitionsRequest::default().with_response_partition_limit(2_000).with_topics(some);
    let response = node.call(0, request).await;
    let codes: Vec<_> = response.topics.iter().map(|topic| (topic.error_code, topic.partitions.len())).collect();
    let (invalid, unknown) = (ResponseError::InvalidTopicException, ResponseError::UnknownTopicOrPartition);
    assert_eq!(codes, [(invalid.code(), 0), (0, 1), (unknown.code(), 0)]);
    assert_eq!(response.next_cursor, None);
    node.stop().await;
}

#[tokio::test]
async fn the_cluster_and_its_folder_are_described() {
    let node = Node::start().await;
    create(&node, topic("a", 2)).await;
    create(&node, topic("b", 1)).await;
    let partition = node.broker.topics.partition("a", 1).expect("there");
    let batch = batch(3);
    let size = batch.len() as i64;
    partition.append(batch, 0).expect("appended");
    for version in 0..=2 {
        let response = node.call(version, DescribeClusterRequest::default()).await;
        assert_eq!((response.error_code, response.brokers.len(), response.controller_id), (0, 1, BrokerId(1)));
        assert_eq!(&*response.cluster_id, node.broker.topics.cluster_id());
    }
    let controllers = node.call(2, DescribeClusterRequest::default().with_endpoint_type(2)).await;
    assert_eq!(controllers.error_code, ResponseError::MismatchedEndpointType.code());

    let all = node.call(1, DescribeLogDirsRequest::default().with_topics(None)).await;
    let described = |one: &kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult| {
        let sizes = |topic: &kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsTopic| {
            (topic.name.to_string(), topic.partitions.iter().map(|one| one.partition_size).collect::<Vec<_>>())
        };
        one.topics.iter().map(sizes).collect::<Vec<_>>()
    };
    assert_eq!(described(&all.results[0]), [("a".to_owned(), vec![0, size]), ("b".to_owned(), vec![0])]);
    let one = DescribableLogDirTopic::default().with_topic(text("a").into()).with_partitions(vec![1, 7]);
    let some = node.call(4, DescribeLogDirsRequest::default().with_topics(Some(vec![one]))).await;
    assert_eq!(described(&some.results[0]), [("a".to_owned(), vec![size])]);
    assert!(some.results[0].total_bytes > 0 && some.results[0].usable_bytes > 0);
    node.stop().await;
}
