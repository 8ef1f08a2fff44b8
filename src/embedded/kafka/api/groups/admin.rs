//! ListGroups, DescribeGroups, DeleteGroups.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    ListGroupsRequest, ListGroupsResponse,
};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::text;
use crate::embedded::kafka::api::{Answer, Api, Call, refused};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::groups::{GroupState, MemberDescription};

/// ListGroups.
pub struct ListGroups;
/// DescribeGroups.
pub struct DescribeGroups;
/// DeleteGroups.
pub struct DeleteGroups;

/// The first version of ListGroups that tells states, and the first that tells types.
const STATES: i16 = 4;
const TYPES: i16 = 5;
/// The first version of DescribeGroups that knows static members.
const STATIC: i16 = 4;
/// The first version of DescribeGroups that has an error for a group that is unknown.
const UNKNOWN_IS_ERROR: i16 = 6;

impl Api for ListGroups {
    type Request = ListGroupsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: ListGroupsRequest) -> Answer<ListGroupsResponse> {
        let passes = |filter: &[StrBytes], value: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        let groups = broker.groups.list().into_iter().filter(|group| {
            passes(&request.states_filter, group.state.name()) && passes(&request.types_filter, group.group_type)
        });
        let since = |version: i16, name| StrBytes::from_static_str(if call.version >= version { name } else { "" });
        let groups = groups.map(|group| {
            ListedGroup::default()
                .with_group_id(GroupId(text(group.group)))
                .with_protocol_type(text(group.protocol_type))
                .with_group_state(since(STATES, group.state.name()))
                .with_group_type(since(TYPES, group.group_type))
        });
        ListGroupsResponse::default().with_groups(groups.collect()).into()
    }

    fn refuse(version: i16) -> Option<(i16, ListGroupsResponse)> {
        refused(version, |code| ListGroupsResponse::default().with_error_code(code))
    }
}

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 6 };

    async fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: DescribeGroupsRequest,
    ) -> Answer<DescribeGroupsResponse> {
        let groups = request.groups.into_iter().map(|id| {
            let group = broker.groups.describe(&id);
            let response = DescribedGroup::default();
            let response = match group.state {
                GroupState::Dead if call.version >= UNKNOWN_IS_ERROR => response
                    .with_error_code(call.code(ResponseError::GroupIdNotFound))
                    .with_error_message(Some(text(format!("Group {} not found.", id.0)))),
                _ => response,
            };
            response
                .with_group_id(id)
                .with_group_state(StrBytes::from_static_str(group.state.name()))
                .with_protocol_type(text(group.protocol_type))
                .with_protocol_data(text(group.protocol))
                .with_members(group.members.into_iter().map(|found| member(call.version, found)).collect())
        });
        DescribeGroupsResponse::default().with_groups(groups.collect()).into()
    }
}

fn member(version: i16, member: MemberDescription) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(text(member.identity.member_id))
        .with_group_instance_id(member.identity.instance_id.filter(|_| version >= STATIC).map(text))
        .with_client_id(text(member.client_id))
        .with_client_host(text(member.client_host))
        .with_member_metadata(member.metadata)
        .with_member_assignment(member.assignment)
}

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: DeleteGroupsRequest) -> Answer<DeleteGroupsResponse> {
        let results = request.groups_names.into_iter().map(|group| {
            let deleted = broker.groups.delete(&group);
            DeletableGroupResult::default().with_group_id(group).with_error_code(call.code_of(deleted))
        });
        DeleteGroupsResponse::default().with_results(results.collect()).into()
    }
}
