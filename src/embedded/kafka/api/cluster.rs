//! DescribeCluster and DescribeLogDirs: the node, and how much its data folder holds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName,
};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::metadata::CLUSTER_OPERATIONS;
use super::{Answer, Api, Call, off_thread, refused, refused_since};
use crate::embedded::kafka::broker::{Broker, NODE_ID};
use crate::embedded::kafka::topics::Topic;

/// The API that describes the cluster.
pub struct DescribeCluster;

/// The endpoints that are brokers; there are no others.
const BROKERS: i8 = 1;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

    async fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: DescribeClusterRequest,
    ) -> Answer<DescribeClusterResponse> {
        if request.endpoint_type != BROKERS {
            let message = "this node is a broker without a controller endpoint";
            return DescribeClusterResponse::default()
                .with_error_code(call.code(ResponseError::MismatchedEndpointType))
                .with_error_message(Some(StrBytes::from_static_str(message)))
                .into();
        }
        let mut response = DescribeClusterResponse::default()
            .with_error_message(None)
            .with_cluster_id(StrBytes::from_string(broker.topics.cluster_id().to_owned()))
            .with_controller_id(NODE_ID.into())
            .with_brokers(vec![
                DescribeClusterBroker::default()
                    .with_broker_id(NODE_ID.into())
                    .with_host(StrBytes::from_string(broker.advertised.host.clone()))
                    .with_port(broker.advertised.port.into()),
            ]);
        if request.include_cluster_authorized_operations {
            response.cluster_authorized_operations = CLUSTER_OPERATIONS;
        }
        response.into()
    }

    fn refuse(version: i16) -> Option<(i16, DescribeClusterResponse)> {
        refused(version, |code| DescribeClusterResponse::default().with_error_code(code))
    }
}

/// The API that describes the data folder.
pub struct DescribeLogDirs;

/// The first version that can say of itself that it is refused.
const WITH_ERROR: i16 = 3;

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 1, max: 4 };

    async fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: DescribeLogDirsRequest,
    ) -> Answer<DescribeLogDirsResponse> {
        let asked = request.topics.map(|topics| {
            let wanted = |partitions: Vec<i32>| partitions.into_iter().collect::<HashSet<_>>();
            topics
                .into_iter()
                .map(|topic| (topic.topic.to_string(), wanted(topic.partitions)))
                .collect::<HashMap<_, _>>()
        });
        let described = off_thread(broker, move |broker| {
            let topics = broker.topics.all();
            let topics = topics.iter().filter_map(|topic| match &asked {
                None => Some(describe(topic, |_| true)),
                Some(asked) => asked.get(&topic.name).map(|wanted| describe(topic, |index| wanted.contains(&index))),
            });
            let (total, usable) = space(broker);
            DescribeLogDirsResult::default()
                .with_log_dir(StrBytes::from_string(broker.topics.folder().display().to_string()))
                .with_topics(topics.filter(|topic| !topic.partitions.is_empty()).collect())
                .with_total_bytes(total)
                .with_usable_bytes(usable)
        });
        let result =
            described.await.unwrap_or_else(|error| DescribeLogDirsResult::default().with_error_code(call.code(error)));
        DescribeLogDirsResponse::default().with_results(vec![result]).into()
    }

    fn refuse(version: i16) -> Option<(i16, DescribeLogDirsResponse)> {
        refused_since(WITH_ERROR, version, |code| DescribeLogDirsResponse::default().with_error_code(code))
    }
}

fn describe(topic: &Topic, wanted: impl Fn(i32) -> bool) -> DescribeLogDirsTopic {
    let partitions = topic.partitions.iter().filter(|partition| wanted(partition.index())).filter_map(|partition| {
        // One that was closed meanwhile has no size any more.
        let size = partition.with(|log| Ok(log.size())).ok()?;
        let described = DescribeLogDirsPartition::default().with_partition_index(partition.index());
        Some(described.with_partition_size(i64::try_from(size).unwrap_or(i64::MAX)))
    });
    DescribeLogDirsTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.name.clone())))
        .with_partitions(partitions.collect())
}

/// Bytes of the volume that the data folder is on, in all and free; -1 if that can't be told.
fn space(broker: &Broker) -> (i64, i64) {
    rustix::fs::statvfs(broker.topics.folder()).map_or((-1, -1), |volume| {
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(volume.f_frsize)).unwrap_or(i64::MAX);
        (bytes(volume.f_blocks), bytes(volume.f_bavail))
    })
}
