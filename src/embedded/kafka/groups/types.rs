//! What the coordinator is asked and what it answers.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use serde::{Deserialize, Serialize};

/// Who a member is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The id that the coordinator gave it; empty before it has one.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
}

/// JoinGroup.
#[derive(Clone, Debug)]
pub struct Join {
    /// The group to join.
    pub group: String,
    /// Who joins.
    pub member: Identity,
    /// The client id of the request.
    pub client_id: String,
    /// Where the request came from.
    pub client_host: String,
    /// How long the member may be silent.
    pub session_timeout: Duration,
    /// How long the member may take to rejoin.
    pub rebalance_timeout: Duration,
    /// The kind of group, such as `consumer`.
    pub protocol_type: String,
    /// What the member supports, the best first, each with the member's metadata.
    pub protocols: Vec<(String, Bytes)>,
    /// The client knows MEMBER_ID_REQUIRED (JoinGroup 4 and later): a dynamic member has to come back with its id.
    pub must_know_id: bool,
    /// The client knows `skip_assignment` (JoinGroup 9 and later).
    pub can_skip_assignment: bool,
}

/// A join that led into a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The generation.
    pub generation: i32,
    /// The kind of group.
    pub protocol_type: String,
    /// The protocol that was chosen.
    pub protocol: String,
    /// The member id of the leader.
    pub leader: String,
    /// The id of the member that joined.
    pub member_id: String,
    /// All members with their metadata for the chosen protocol; only the leader gets them.
    pub members: Vec<(Identity, Bytes)>,
    /// The leader must not assign anew, because the assignments are still good.
    pub skip_assignment: bool,
}

/// A join that didn't.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct JoinError {
    /// Why.
    pub error: ResponseError,
    /// The member id to answer with: a new one with `MemberIdRequired`.
    pub member_id: String,
}

/// SyncGroup.
#[derive(Clone, Debug)]
pub struct Sync {
    /// The group.
    pub group: String,
    /// The generation the member joined.
    pub generation: i32,
    /// Who syncs.
    pub member: Identity,
    /// The kind of group, from clients that send it (SyncGroup 5 and later).
    pub protocol_type: Option<String>,
    /// The chosen protocol, from clients that send it.
    pub protocol: Option<String>,
    /// The leader's assignments by member id.
    pub assignments: Vec<(String, Bytes)>,
}

/// A member's assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The kind of group.
    pub protocol_type: String,
    /// The chosen protocol.
    pub protocol: String,
    /// What the leader gave the member; empty if nothing.
    pub assignment: Bytes,
}

/// An offset to commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read, or -1.
    pub leader_epoch: i32,
    /// Whatever the client wants to remember with it.
    pub metadata: String,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// The leader epoch of the last record read, or -1.
    pub leader_epoch: i32,
    /// Whatever the client wanted to remember with it.
    pub metadata: String,
}

/// What became of one partition of a request: topic, partition, outcome.
pub type PartitionResult = (String, i32, Result<(), ResponseError>);

/// What became of one member of a request.
pub type MemberResult = (Identity, Result<(), ResponseError>);

/// Where a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// No members; perhaps offsets.
    Empty,
    /// Members are asked to rejoin.
    PreparingRebalance,
    /// All have joined, the leader has yet to hand out assignments.
    CompletingRebalance,
    /// All have their assignments.
    Stable,
    /// There is no such group.
    Dead,
}

impl GroupState {
    /// Kafka's name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A line of ListGroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// The group's id.
    pub group: String,
    /// The kind of group; empty for one that only has offsets.
    pub protocol_type: String,
    /// Where it stands.
    pub state: GroupState,
    /// Kafka's group type: always `classic`.
    pub group_type: &'static str,
}

/// DescribeGroups of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Where it stands; [`GroupState::Dead`] when there is no such group.
    pub state: GroupState,
    /// The kind of group.
    pub protocol_type: String,
    /// The chosen protocol, while the group is stable.
    pub protocol: String,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// A member in a [`GroupDescription`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDescription {
    /// Who it is.
    pub identity: Identity,
    /// Its client id.
    pub client_id: String,
    /// Where it is.
    pub client_host: String,
    /// Its metadata for the chosen protocol, while the group is stable.
    pub metadata: Bytes,
    /// Its assignment, while the group is stable.
    pub assignment: Bytes,
}
