//! Who is in groups: one request to each coordinator and kind of group, however many there are. (krafka looks for the
//! coordinator of each group first, which the listing has told already.)

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Buf;
use futures::FutureExt;
use futures::future::join_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::Member as ConsumerMember;
use kafka_protocol::messages::describe_groups_response::DescribedGroupMember;
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::groups::{Listing, Member};
use crate::kafka::Cluster;
use crate::kafka::wire::{REQUEST_PATIENCE, WireError};

/// Versions of DescribeGroups, for classic groups.
const CLASSIC: VersionRange = VersionRange { min: 0, max: 6 };
/// Versions of ConsumerGroupDescribe, for groups of KIP-848.
const CONSUMER: VersionRange = VersionRange { min: 0, max: 1 };
/// Groups in one request; their answers stay small enough.
const GROUPS: usize = 500;

/// A group's state and members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its state.
    pub state: String,
    /// How partitions are shared out; empty if it doesn't say.
    pub assignor: String,
    /// Its members.
    pub members: Vec<Member>,
}

/// What is known of a group; `None` when it went away since it was listed.
pub type Outcome = Result<Option<Described>, WireError>;

/// Describes the groups of `listings` at the coordinators that listed them; each group has its own outcome.
pub async fn described(cluster: &Cluster, listings: &[&Listing]) -> HashMap<String, Outcome> {
    let mut parts: BTreeMap<(&str, bool), Vec<&str>> = BTreeMap::new();
    for listing in listings {
        let is_classic = listing.kind != "consumer";
        parts.entry((&listing.coordinator.address, is_classic)).or_default().push(&listing.group);
    }
    let requests = parts.iter().flat_map(|(key, groups)| groups.chunks(GROUPS).map(move |groups| (key, groups)));
    let asked = requests.map(|((address, is_classic), groups)| {
        let address = Arc::from(*address);
        async move {
            let answer = match is_classic {
                true => classic(cluster, address, groups).await,
                false => consumer(cluster, address, groups).await,
            };
            let failed =
                |error: WireError| groups.iter().map(|group| ((*group).to_owned(), Err(error.clone()))).collect();
            answer.unwrap_or_else(failed)
        }
        .boxed()
    });
    let asked: Vec<_> = asked.collect();
    join_all(asked).await.into_iter().flatten().collect()
}

async fn classic(cluster: &Cluster, address: Arc<str>, groups: &[&str]) -> Result<Vec<(String, Outcome)>, WireError> {
    let request = |_| DescribeGroupsRequest::default().with_groups(ids(groups));
    let answer = cluster.brokers().ask::<DescribeGroupsRequest>(&address, CLASSIC, REQUEST_PATIENCE, request);
    let described = answer.await?.groups.into_iter().map(|group| {
        let described = || Described {
            state: group.group_state.to_string(),
            assignor: group.protocol_data.to_string(),
            members: group.members.iter().map(classic_member).collect(),
        };
        (group.group_id.to_string(), outcome(group.error_code, described))
    });
    Ok(described.collect())
}

async fn consumer(cluster: &Cluster, address: Arc<str>, groups: &[&str]) -> Result<Vec<(String, Outcome)>, WireError> {
    let request = |_| ConsumerGroupDescribeRequest::default().with_group_ids(ids(groups));
    let answer = cluster.brokers().ask::<ConsumerGroupDescribeRequest>(&address, CONSUMER, REQUEST_PATIENCE, request);
    let described = answer.await?.groups.into_iter().map(|group| {
        let described = || Described {
            state: group.group_state.to_string(),
            assignor: group.assignor_name.to_string(),
            members: group.members.iter().map(consumer_member).collect(),
        };
        (group.group_id.to_string(), outcome(group.error_code, described))
    });
    Ok(described.collect())
}

fn ids(groups: &[&str]) -> Vec<GroupId> {
    groups.iter().map(|group| GroupId(StrBytes::from_string((*group).to_owned()))).collect()
}

fn outcome(code: i16, described: impl FnOnce() -> Described) -> Outcome {
    match WireError::check(code) {
        Ok(()) => Ok(Some(described())),
        Err(WireError::Refused(ResponseError::GroupIdNotFound)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn classic_member(member: &DescribedGroupMember) -> Member {
    let assigned = assignment(&member.member_assignment).unwrap_or_default();
    named(&member.member_id, &member.client_id, &member.client_host, assigned.into_iter())
}

fn consumer_member(member: &ConsumerMember) -> Member {
    let topics = member.assignment.topic_partitions.iter();
    let topics = topics.map(|topic| (topic.topic_name.to_string(), topic.partitions.clone()));
    named(&member.member_id, &member.client_id, &member.client_host, topics)
}

fn named(
    id: &StrBytes,
    client: &StrBytes,
    host: &StrBytes,
    topics: impl Iterator<Item = (String, Vec<i32>)>,
) -> Member {
    let mut partitions: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (topic, numbers) in topics {
        partitions.entry(topic).or_default().extend(numbers);
    }
    partitions.values_mut().for_each(|numbers| numbers.sort_unstable());
    // Kafka prints Java's form of an address, which starts with a slash.
    let host = host.trim_start_matches('/').to_owned();
    Member { member: id.to_string(), client: client.to_string(), host, partitions }
}

/// What a consumer was assigned, by topic; `None` for members that are no consumers, as those of Kafka Connect, or have
/// nothing yet. Members write this as they like, and kafka-protocol believes the counts in it, however much memory that
/// takes, so it is read here.
fn assignment(mut bytes: &[u8]) -> Option<Vec<(String, Vec<i32>)>> {
    // Newer versions only add fields at the end.
    let _version = bytes.try_get_i16().ok()?;
    let mut topics = Vec::new();
    for _ in 0..bytes.try_get_i32().ok()? {
        let length = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
        let (name, rest) = bytes.split_at_checked(length)?;
        let name = String::from_utf8_lossy(name).into_owned();
        bytes = rest;
        let mut partitions = Vec::new();
        for _ in 0..bytes.try_get_i32().ok()? {
            partitions.push(bytes.try_get_i32().ok()?);
        }
        topics.push((name, partitions));
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition;
    use kafka_protocol::messages::{ConsumerProtocolAssignment, TopicName};
    use kafka_protocol::protocol::Encodable;

    use super::*;

    #[test]
    fn assignments_of_all_versions_are_read_and_nonsense_is_none() {
        for (said, written) in [(0_i16, 0_i16), (3, 3), (9, 3)] {
            let topic = TopicName(StrBytes::from_static_str("orders"));
            let topic = TopicPartition::default().with_topic(topic).with_partitions(vec![2, 0]);
            let mut bytes = BytesMut::new();
            bytes.put_i16(said);
            let assigned = ConsumerProtocolAssignment::default().with_assigned_partitions(vec![topic]);
            assigned.encode(&mut bytes, written).unwrap();
            let member = DescribedGroupMember::default()
                .with_member_assignment(bytes.freeze())
                .with_client_host(StrBytes::from_static_str("/10.0.0.1"));
            let member = classic_member(&member);
            assert_eq!((member.host.as_str(), &member.partitions["orders"]), ("10.0.0.1", &vec![0, 2]));
        }
        for bytes in [
            &b""[..],
            b"\x00",
            b"\x00\x00\x7f\xff\xff\xff",
            b"\x00\x01\x00\x00\x00\x01\x7f\xffx",
            b"\x00\x00\xff\xff\xff\xff",
        ] {
            assert!(assignment(bytes).is_none_or(|topics| topics.is_empty()), "{bytes:?}");
        }
    }
}
