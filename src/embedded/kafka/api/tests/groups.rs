//! A group's life, in every version.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::StrBytes;

use super::admin::{create, topic};
use super::node::{Node, text};

async fn join(node: &Node, version: i16, member: &StrBytes) -> JoinGroupResponse {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(b"m"));
    let request = JoinGroupRequest::default()
        .with_group_id(text("g").into())
        .with_session_timeout_ms(10_000)
        .with_member_id(member.clone())
        .with_protocol_type(text("other"))
        .with_protocols(vec![protocol]);
    let request = if version >= 1 { request.with_rebalance_timeout_ms(10_000) } else { request };
    node.call(version, request).await
}

/// Joins as a client of `version` does: from version 4 on in two steps.
async fn joined(node: &Node, version: i16) -> JoinGroupResponse {
    let first = join(node, version, &text("")).await;
    if version < 4 {
        return first;
    }
    assert_eq!(first.error_code, ResponseError::MemberIdRequired.code());
    join(node, version, &first.member_id).await
}

async fn committed(node: &Node, version: i16) -> i64 {
    if version >= 8 {
        let topic = OffsetFetchRequestTopics::default().with_name(text("t").into()).with_partition_indexes(vec![0]);
        let group = OffsetFetchRequestGroup::default().with_group_id(text("g").into()).with_topics(Some(vec![topic]));
        let response = node.call(version, OffsetFetchRequest::default().with_groups(vec![group])).await;
        return response.groups[0].topics[0].partitions[0].committed_offset;
    }
    let topic = OffsetFetchRequestTopic::default().with_name(text("t").into()).with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default().with_group_id(text("g").into()).with_topics(Some(vec![topic]));
    node.call(version, request).await.topics[0].partitions[0].committed_offset
}

#[tokio::test]
async fn a_member_joins_works_and_leaves_in_every_version() {
    let node = Node::start().await;
    create(&node, topic("t", 1)).await;
    for version in 0..=9_i16 {
        let member = joined(&node, version).await;
        assert_eq!((member.error_code, &member.leader), (0, &member.member_id), "version {version}");
        assert_eq!(member.members.len(), 1);

        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(member.member_id.clone())
            .with_assignment(Bytes::from_static(b"all"));
        let sync = SyncGroupRequest::default()
            .with_group_id(text("g").into())
            .with_generation_id(member.generation_id)
            .with_member_id(member.member_id.clone())
            .with_assignments(vec![assignment]);
        let sync = match version {
            5.. => sync.with_protocol_type(Some(text("other"))).with_protocol_name(Some(text("range"))),
            _ => sync,
        };
        let synced = node.call(version.min(5), sync).await;
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all"[..]), "version {version}");

        let heartbeat = HeartbeatRequest::default()
            .with_group_id(text("g").into())
            .with_generation_id(member.generation_id)
            .with_member_id(member.member_id.clone());
        assert_eq!(node.call(version.min(4), heartbeat).await.error_code, 0);

        let offset = i64::from(version) + 1;
        let partition = OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(offset);
        let unknown = OffsetCommitRequestPartition::default().with_partition_index(9);
        let commit = OffsetCommitRequest::default()
            .with_group_id(text("g").into())
            .with_generation_id_or_member_epoch(member.generation_id)
            .with_member_id(member.member_id.clone())
            .with_topics(vec![
                OffsetCommitRequestTopic::default()
                    .with_name(text("t").into())
                    .with_partitions(vec![partition, unknown]),
            ]);
        let answer = node.call(version.max(2), commit).await;
        let codes: Vec<i16> = answer.topics[0].partitions.iter().map(|partition| partition.error_code).collect();
        assert_eq!(codes, [0, ResponseError::UnknownTopicOrPartition.code()], "version {version}");
        assert_eq!(committed(&node, version.max(1)).await, offset, "version {version}");

        let listed = node.call(version.min(5), ListGroupsRequest::default()).await;
        assert_eq!((listed.groups.len(), &*listed.groups[0].group_id.0), (1, "g"));
        let describe = DescribeGroupsRequest::default().with_groups(vec![text("g").into()]);
        let described = node.call(version.min(6), describe).await.groups.remove(0);
        assert_eq!((&*described.group_state, described.members.len()), ("Stable", 1), "version {version}");
        assert_eq!(&described.members[0].member_assignment[..], b"all");

        let leave = LeaveGroupRequest::default().with_group_id(text("g").into());
        let leave = match version {
            3.. => leave.with_members(vec![MemberIdentity::default().with_member_id(member.member_id.clone())]),
            _ => leave.with_member_id(member.member_id.clone()),
        };
        assert_eq!(node.call(version.min(5), leave).await.error_code, 0, "version {version}");
    }
    let delete = |name: &str| DeleteGroupsRequest::default().with_groups_names(vec![text(name).into()]);
    assert_eq!(node.call(2, delete("g")).await.results[0].error_code, 0);
    let unknown = node.call(2, delete("g")).await.results[0].error_code;
    assert_eq!(unknown, ResponseError::GroupIdNotFound.code());
    node.stop().await;
}
