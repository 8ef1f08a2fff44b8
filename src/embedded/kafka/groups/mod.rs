//! The group coordinator: who is a member of which consumer group, and what the groups have committed.
//!
//! This is Kafka's classic group protocol as its brokers speak it: members join, one of them leads and hands out the
//! assignments, all of them sync, and heartbeats tell who is alive. The parts:
//!
//! - [`Coordinator`]: the async face of it all; calls that have to wait, wait here.
//! - `registry`: all groups; `waiting`: the calls that wait; `alarms`: when something is due next.
//! - `group`: one group as a state machine without clock or I/O.
//! - `journal`: what survives `kill -9`: stable groups with their assignments, and committed offsets.
//!
//! A single node has nobody to hand a group to, so that there are neither coordinator changes nor loading states.

mod alarms;
mod coordinator;
mod group;
mod journal;
mod member;
mod offsets;
mod registry;
mod settings;
mod subscription;
mod types;
mod waiting;

pub use coordinator::Coordinator;
pub use settings::GroupSettings;
pub use types::{
    Commit, Committed, GroupDescription, GroupListing, GroupState, Identity, Join, JoinError, Joined,
    MemberDescription, MemberResult, PartitionResult, Sync, Synced,
};
