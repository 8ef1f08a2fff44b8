//! One member of a group.

use std::time::Duration;

use bytes::Bytes;

use super::group::{Moment, Ticket};
use super::journal::{Blob, MemberRecord};
use super::types::{Identity, Join, MemberDescription};

/// A member.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who it is.
    pub identity: Identity,
    client_id: String,
    client_host: String,
    /// How long it may be silent.
    pub session_timeout: Duration,
    /// How long it may take to rejoin.
    pub rebalance_timeout: Duration,
    /// What it supports, the best first, each with its metadata.
    pub protocols: Vec<(String, Bytes)>,
    /// What the leader gave it.
    pub assignment: Bytes,
    /// It has never been in a generation.
    pub is_new: bool,
    /// When its session ends, unless something is heard of it.
    pub expires: Moment,
    /// The join it waits in.
    pub joining: Option<Ticket>,
    /// The sync it waits in.
    pub syncing: Option<Ticket>,
    /// It has joined this generation and not asked for its assignment yet.
    pub must_sync: bool,
}

impl Member {
    /// A member that joins for the first time, under the id it was given, and waits in `ticket`.
    pub fn new(member_id: String, join: Join, ticket: Ticket, expires: Moment) -> Self {
        Self {
            identity: Identity { member_id, instance_id: join.member.instance_id },
            client_id: join.client_id,
            client_host: join.client_host,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            assignment: Bytes::new(),
            is_new: true,
            expires,
            joining: Some(ticket),
            syncing: None,
            must_sync: false,
        }
    }

    /// The same static member after a restart: a new id and what its client says now, with the assignment it had.
    pub fn replaced(&self, member_id: String, join: Join, ticket: Ticket, expires: Moment) -> Self {
        Self { assignment: self.assignment.clone(), is_new: false, ..Self::new(member_id, join, ticket, expires) }
    }

    /// A member from the journal, with a fresh session.
    pub fn restore(record: &MemberRecord, now: Moment) -> Self {
        let session_timeout = Duration::from_millis(record.session_timeout_ms);
        Self {
            identity: Identity { member_id: record.member_id.clone(), instance_id: record.instance_id.clone() },
            client_id: record.client_id.clone(),
            client_host: record.client_host.clone(),
            session_timeout,
            rebalance_timeout: Duration::from_millis(record.rebalance_timeout_ms),
            protocols: record.protocols.iter().map(|(name, metadata)| (name.clone(), metadata.0.clone())).collect(),
            assignment: record.assignment.0.clone(),
            is_new: false,
            expires: now.saturating_add(session_timeout),
            joining: None,
            syncing: None,
            must_sync: false,
        }
    }

    /// What the journal has to know of it.
    pub fn record(&self) -> MemberRecord {
        MemberRecord {
            member_id: self.identity.member_id.clone(),
            instance_id: self.identity.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            session_timeout_ms: u64::try_from(self.session_timeout.as_millis()).unwrap_or(u64::MAX),
            rebalance_timeout_ms: u64::try_from(self.rebalance_timeout.as_millis()).unwrap_or(u64::MAX),
            protocols: self.protocols.iter().map(|(name, data)| (name.clone(), Blob(data.clone()))).collect(),
            assignment: Blob(self.assignment.clone()),
        }
    }

    /// What DescribeGroups tells of it; metadata and assignment only with a chosen protocol.
    pub fn describe(&self, protocol: Option<&str>) -> MemberDescription {
        MemberDescription {
            identity: self.identity.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            metadata: protocol.map(|protocol| self.metadata(protocol)).unwrap_or_default(),
            assignment: protocol.map(|_| self.assignment.clone()).unwrap_or_default(),
        }
    }

    /// Whether it keeps its place in a rebalance that it takes no part in.
    pub fn is_static(&self) -> bool {
        self.identity.instance_id.is_some()
    }

    /// Its metadata for a protocol; empty if it doesn't support it.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// Whether it supports a protocol.
    pub fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    /// Something was heard of it: its session begins anew.
    pub fn heard(&mut self, now: Moment) {
        self.expires = now.saturating_add(self.session_timeout);
    }

    /// When its session ends. One that waits for others can't heartbeat and is not expired; only the first join of a
    /// new member has an end of its own.
    pub fn deadline(&self) -> Option<Moment> {
        let waits = self.joining.is_some() || self.syncing.is_some();
        (self.is_new || !waits).then_some(self.expires)
    }
}
