//! The APIs of consumer groups: membership, committed offsets, administration.

mod admin;
mod heartbeat;
mod join;
mod leave;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod sync;

pub use admin::{DeleteGroups, DescribeGroups, ListGroups};
pub use heartbeat::Heartbeat;
pub use join::JoinGroup;
pub use leave::LeaveGroup;
pub use offset_commit::OffsetCommit;
pub use offset_delete::OffsetDelete;
pub use offset_fetch::OffsetFetch;
pub use sync::SyncGroup;

use kafka_protocol::protocol::StrBytes;

use crate::embedded::kafka::groups::Identity;

fn identity(member_id: &StrBytes, instance_id: Option<&StrBytes>) -> Identity {
    Identity { member_id: member_id.to_string(), instance_id: instance_id.map(StrBytes::to_string) }
}

fn text(text: String) -> StrBytes {
    StrBytes::from_string(text)
}
