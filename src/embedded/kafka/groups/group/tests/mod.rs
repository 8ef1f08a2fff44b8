//! The rules of a group, one test each; `model` takes it through random histories.

mod committing;
mod joining;
mod leaving;
mod model;
mod rebalancing;
mod statics;
mod syncing;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::*;
use crate::embedded::kafka::groups::journal::Image;
use crate::embedded::kafka::groups::types::{Commit, Join, PartitionResult, Sync};

/// A store that keeps everything, or nothing.
#[derive(Default)]
struct Kept {
    image: Image,
    fails: bool,
}

impl Store for Kept {
    fn keep(&mut self, entry: &Entry) -> Result<(), ResponseError> {
        if self.fails {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        self.image.apply(entry.clone());
        Ok(())
    }
}

impl Group {
    fn state(&self) -> GroupState {
        self.state
    }
}

/// A group with its surroundings.
struct Bench {
    group: Group,
    settings: GroupSettings,
    store: Kept,
    now: Moment,
    tickets: Ticket,
    ids: u64,
    joins: HashMap<Ticket, Result<Joined, JoinError>>,
    syncs: HashMap<Ticket, Result<Synced, ResponseError>>,
}

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn dynamic(member_id: &str) -> Identity {
    Identity { member_id: member_id.to_owned(), instance_id: None }
}

fn fixed(member_id: &str, instance_id: &str) -> Identity {
    Identity { member_id: member_id.to_owned(), instance_id: Some(instance_id.to_owned()) }
}

fn joining(member: Identity) -> Join {
    Join {
        group: "g".to_owned(),
        member,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocol_type: "test".to_owned(),
        protocols: vec![("p".to_owned(), Bytes::from_static(b"m"))],
        must_know_id: false,
        can_skip_assignment: true,
    }
}

fn supporting(member: Identity, protocols: &[(&str, &'static [u8])]) -> Join {
    let protocols = protocols.iter().map(|(name, data)| ((*name).to_owned(), Bytes::from_static(data))).collect();
    Join { protocols, ..joining(member) }
}

fn syncing(member: &str, generation: i32, assignments: &[(&str, &'static str)]) -> Sync {
    Sync {
        group: "g".to_owned(),
        generation,
        member: dynamic(member),
        protocol_type: None,
        protocol: None,
        assignments: assignments
            .iter()
            .map(|(id, text)| ((*id).to_owned(), Bytes::from_static(text.as_bytes())))
            .collect(),
    }
}

fn commit(topic: &str, partition: i32, offset: i64) -> Commit {
    Commit { topic: topic.to_owned(), partition, offset, leader_epoch: -1, metadata: String::new() }
}

impl Bench {
    fn new() -> Self {
        Self {
            group: Group::new("g", Moment::ZERO),
            settings: GroupSettings::default(),
            store: Kept::default(),
            now: Moment::ZERO,
            tickets: 0,
            ids: 0,
            joins: HashMap::new(),
            syncs: HashMap::new(),
        }
    }

    fn turn<R>(&mut self, step: impl FnOnce(&mut Group, &mut Turn) -> R) -> R {
        let mut turn = Turn::new(self.now, &self.settings, &mut self.store);
        let result = step(&mut self.group, &mut turn);
        for answer in turn.answers {
            let answered_before = match answer {
                Answer::Join(ticket, result) => self.joins.insert(ticket, result).is_some(),
                Answer::Sync(ticket, result) => self.syncs.insert(ticket, result).is_some(),
            };
            assert!(!answered_before, "a call was answered twice");
        }
        result
    }

    /// Somebody joins; new ids are `m1`, `m2` and so on.
    fn join(&mut self, join: Join) -> Ticket {
        self.tickets += 1;
        self.ids += u64::from(join.member.member_id.is_empty());
        let (ticket, fresh_id) = (self.tickets, format!("m{}", self.ids));
        self.turn(|group, turn| group.join(turn, join, ticket, fresh_id));
        ticket
    }

    fn joined(&self, ticket: Ticket) -> &Joined {
        self.joins.get(&ticket).expect("still waiting").as_ref().unwrap()
    }

    fn join_error(&self, ticket: Ticket) -> ResponseError {
        self.joins.get(&ticket).expect("still waiting").as_ref().unwrap_err().error
    }

    fn sync(&mut self, sync: Sync) -> Ticket {
        self.tickets += 1;
        let ticket = self.tickets;
        self.turn(|group, turn| group.sync(turn, sync, ticket));
        ticket
    }

    fn assignment(&self, ticket: Ticket) -> Result<&[u8], ResponseError> {
        self.syncs
            .get(&ticket)
            .expect("still waiting")
            .as_ref()
            .map(|synced| &*synced.assignment)
            .map_err(|error| *error)
    }

    fn heartbeat(&mut self, member: &str, generation: i32) -> Result<(), ResponseError> {
        self.turn(|group, turn| group.heartbeat(turn, generation, &dynamic(member)))
    }

    fn leave(&mut self, members: &[Identity]) -> Vec<Result<(), ResponseError>> {
        self.turn(|group, turn| group.leave(turn, members)).into_iter().map(|(_, left)| left).collect()
    }

    fn commit(
        &mut self,
        member: Identity,
        generation: i32,
        offsets: &[Commit],
    ) -> Result<Vec<PartitionResult>, ResponseError> {
        self.turn(|group, turn| group.commit(turn, generation, &member, offsets.to_vec()))
    }

    fn deadline(&self) -> Option<Moment> {
        self.group.deadline(&self.settings)
    }

    /// Lets time pass, with all that is due meanwhile.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.deadline().filter(|at| *at <= end)
            && !self.group.is_over(at.max(self.now), &self.settings)
        {
            self.now = at.max(self.now);
            self.turn(|group, turn| group.expire(turn));
        }
        self.now = end;
    }

    /// A stable group of these many members (`m1` leads), each assigned its own id; its generation.
    fn stable(&mut self, members: u64) -> i32 {
        for _ in 0..members {
            self.join(joining(dynamic("")));
            for member in self.group.members.keys().cloned().collect::<Vec<_>>() {
                if self.group.members[&member].joining.is_none() {
                    self.join(joining(dynamic(&member)));
                }
            }
        }
        self.assign_ids();
        self.group.generation
    }

    /// All sync; the leader gives each member its own id.
    fn assign_ids(&mut self) {
        let generation = self.group.generation;
        let ids: Vec<String> = self.group.members.keys().cloned().collect();
        let assignments: Vec<_> = ids.iter().map(|id| (id.clone(), Bytes::from(id.clone()))).collect();
        for id in ids {
            let member = self.group.members[&id].identity.clone();
            let assignments = if self.group.is_leader(&id) { assignments.clone() } else { Vec::new() };
            self.sync(Sync { member, assignments, ..syncing("", generation, &[]) });
        }
        assert_eq!(self.group.state(), GroupState::Stable);
    }

    fn ids(&self) -> Vec<&str> {
        self.group.members.keys().map(String::as_str).collect()
    }
}
