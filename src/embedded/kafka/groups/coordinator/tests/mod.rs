//! The coordinator under a clock that stands still unless all wait.

mod lives;
mod service;

use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::embedded::kafka::groups::subscription;
use crate::embedded::kafka::groups::types::GroupState;

const SESSION: Duration = Duration::from_secs(10);

struct Broker {
    dir: tempfile::TempDir,
    coordinator: Coordinator,
}

impl Broker {
    fn start() -> Self {
        Self::with(GroupSettings::default())
    }

    fn with(settings: GroupSettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let coordinator = Coordinator::open(dir.path(), settings).unwrap();
        Self { dir, coordinator }
    }

    /// As after `kill -9`: nothing is said to the old one.
    fn restart(self) -> Self {
        let Self { dir, coordinator } = self;
        drop(coordinator);
        let coordinator = Coordinator::open(dir.path(), GroupSettings::default()).unwrap();
        Self { dir, coordinator }
    }

    fn state(&self) -> GroupState {
        self.coordinator.describe("g").state
    }
}

fn nobody() -> Identity {
    Identity { member_id: String::new(), instance_id: None }
}

fn commit(partition: i32, offset: i64) -> Commit {
    Commit { topic: "t".to_owned(), partition, offset, leader_epoch: 0, metadata: "m".to_owned() }
}

/// A consumer as clients are: it joins, syncs, heartbeats and joins again.
#[derive(Clone)]
struct Consumer {
    coordinator: Coordinator,
    member: Identity,
    generation: i32,
    assignment: Bytes,
    skip_assignment: bool,
}

impl Consumer {
    fn new(broker: &Broker, instance_id: Option<&str>) -> Self {
        let member = Identity { instance_id: instance_id.map(str::to_owned), ..nobody() };
        let coordinator = broker.coordinator.clone();
        Self { coordinator, member, generation: -1, assignment: Bytes::new(), skip_assignment: false }
    }

    fn request(&self) -> Join {
        Join {
            group: "g".to_owned(),
            member: self.member.clone(),
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout: SESSION,
            rebalance_timeout: Duration::from_secs(60),
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), subscription::encode(3, &["t"], self.generation))],
            must_know_id: true,
            can_skip_assignment: true,
        }
    }

    /// Joins and syncs; a leader gives each member its place in the list of members.
    async fn join(&mut self) -> Result<(), ResponseError> {
        let joined = loop {
            match self.coordinator.join(self.request()).await {
                Ok(joined) => break joined,
                Err(JoinError { error: ResponseError::MemberIdRequired, member_id }) => {
                    self.member.member_id = member_id
                }
                Err(JoinError { error, .. }) => return Err(error),
            }
        };
        self.member.member_id.clone_from(&joined.member_id);
        self.generation = joined.generation;
        self.skip_assignment = joined.skip_assignment;
        let assign = |(place, (member, _)): (usize, &(Identity, Bytes))| {
            (member.member_id.clone(), Bytes::from(place.to_string()))
        };
        let is_to_assign = joined.leader == joined.member_id && !joined.skip_assignment;
        let assignments =
            if is_to_assign { joined.members.iter().enumerate().map(assign).collect() } else { Vec::new() };
        let sync = Sync {
            group: "g".to_owned(),
            generation: joined.generation,
            member: self.member.clone(),
            protocol_type: Some(joined.protocol_type),
            protocol: Some(joined.protocol),
            assignments,
        };
        self.assignment = self.coordinator.sync(sync).await?.assignment;
        Ok(())
    }

    fn heartbeat(&self) -> Result<(), ResponseError> {
        self.coordinator.heartbeat("g", self.generation, &self.member)
    }

    fn commit(&self, offset: i64) -> Result<(), ResponseError> {
        self.coordinator.commit("g", self.generation, &self.member, vec![commit(0, offset)]).map(|_| ())
    }

    /// Heartbeats each second, and joins again when told to.
    fn live(mut self) -> JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                sleep(Duration::from_secs(1)).await;
                if self.heartbeat().is_err() {
                    // Told to rejoin in the middle of it: once more.
                    while self.join().await == Err(ResponseError::RebalanceInProgress) {}
                }
            }
        })
    }
}

fn assignments(broker: &Broker) -> Vec<Bytes> {
    let mut all: Vec<Bytes> =
        broker.coordinator.describe("g").members.into_iter().map(|member| member.assignment).collect();
    all.sort();
    all
}

/// Lets the others run until `seconds` have passed.
async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}
