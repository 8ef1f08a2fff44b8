//! A few clients, and what they were answered: that is what is checked. Nothing here looks at the group's own idea of
//! who is a member, but to compare it with what the leader is told.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A client, as it sees itself; those with an even number are static.
#[derive(Clone, Debug, Default)]
struct Client {
    member_id: String,
    /// Ids it went by before it was restarted.
    former: Vec<String>,
    generation: i32,
    join: Option<Ticket>,
    sync: Option<Ticket>,
}

pub struct Model {
    pub bench: Bench,
    clients: Vec<Client>,
    pub generation: i32,
    /// The client that leads each generation.
    leaders: BTreeMap<i32, usize>,
    /// The last generation that somebody was let into.
    last_joined: i32,
    /// The client that each id was given to.
    owners: BTreeMap<String, usize>,
    /// Ids that were told they are nobody's any more, or left.
    gone: BTreeSet<String>,
    /// The generations that each id was let into.
    admitted: BTreeSet<(String, i32)>,
    /// What each client was assigned in each generation.
    assigned: BTreeMap<(i32, usize), Bytes>,
    /// The calls that were not answered yet: the client of each, and the generation of a sync.
    waiting_joins: BTreeMap<Ticket, usize>,
    waiting_syncs: BTreeMap<Ticket, (usize, i32)>,
    committed: Option<i64>,
    commits: i64,
}

impl Model {
    pub fn new() -> Self {
        Self {
            bench: Bench::new(),
            clients: vec![Client::default(); 4],
            generation: 0,
            leaders: BTreeMap::new(),
            last_joined: 0,
            owners: BTreeMap::new(),
            gone: BTreeSet::new(),
            admitted: BTreeSet::new(),
            assigned: BTreeMap::new(),
            waiting_joins: BTreeMap::new(),
            waiting_syncs: BTreeMap::new(),
            committed: None,
            commits: 0,
        }
    }

    fn instance(client: usize) -> Option<String> {
        client.is_multiple_of(2).then(|| format!("instance {client}"))
    }

    fn identity(&self, client: usize) -> Identity {
        Identity { member_id: self.clients[client].member_id.clone(), instance_id: Self::instance(client) }
    }

    pub fn apply(&mut self, action: Action) {
        match action {
            Action::Join { client, restarted, metadata, old } => self.join(client, restarted, metadata, old),
            Action::Sync { client, stale } => self.sync(client, stale),
            Action::Heartbeat { client, stale } => self.heartbeat(client, stale),
            Action::Leave { client, by_instance } => self.leave(client, by_instance),
            Action::Commit { client, stale } => self.commit(client, stale),
            Action::CommitSimply => self.commit_simply(),
            Action::Wait { millis } => self.wait(Duration::from_millis(millis)),
            Action::Restart => self.restart(),
            Action::Fail { fails } => self.bench.store.fails = fails,
        }
        self.take_answers();
    }

    /// From here on that is true which was kept.
    fn restart(&mut self) {
        let saved = self.bench.store.image.groups.get("g").cloned().unwrap_or_default();
        let group = Group::restore("g", saved, self.bench.now);
        self.generation = group.generation;
        self.last_joined = 0;
        self.leaders.retain(|generation, _| *generation <= group.generation);
        self.admitted.retain(|(_, generation)| *generation <= group.generation);
        self.assigned.retain(|(generation, _), _| *generation <= group.generation);
        // Whoever left a rebalance that never came to its end is back.
        self.gone.retain(|id| !group.members.contains_key(id));
        self.waiting_joins.clear();
        self.waiting_syncs.clear();
        self.bench.group = group;
    }

    /// Lets time pass, and takes the answers of each step on the way.
    fn wait(&mut self, time: Duration) {
        let end = self.bench.now + time;
        while let Some(at) = self.bench.deadline().filter(|at| *at <= end)
            && !self.bench.group.is_over(at, &self.bench.settings)
        {
            self.bench.now = at.max(self.bench.now);
            self.bench.turn(|group, turn| group.expire(turn));
            self.take_answers();
        }
        self.bench.now = end;
    }

    fn join(&mut self, client: usize, restarted: bool, metadata: bool, old: bool) {
        if restarted {
            let id = std::mem::take(&mut self.clients[client].member_id);
            self.clients[client].former.push(id);
        }
        let data: &'static [u8] = if metadata { b"other" } else { b"m" };
        // Rejoining takes less than a session, so that static members are missed in a rebalance and yet stay.
        let join = Join {
            rebalance_timeout: seconds(5),
            must_know_id: !old,
            can_skip_assignment: !old,
            ..supporting(self.identity(client), &[("p", data)])
        };
        let ticket = self.bench.join(join);
        self.waiting_joins.insert(ticket, client);
        self.clients[client].join = Some(ticket);
    }

    fn sync(&mut self, client: usize, stale: bool) {
        let generation = self.clients[client].generation - i32::from(stale);
        // Each assignment says whose it is and who made it, and is unlike any other.
        let everyone = self
            .owners
            .iter()
            .map(|(id, owner)| (id.clone(), Bytes::from(format!("{owner} {client} {}", self.bench.tickets))));
        let assignments = everyone.collect();
        let ticket =
            self.bench.sync(Sync { member: self.identity(client), assignments, ..syncing("", generation, &[]) });
        self.waiting_syncs.insert(ticket, (client, generation));
        self.clients[client].sync = Some(ticket);
    }

    fn heartbeat(&mut self, client: usize, stale: bool) {
        let (identity, generation) = (self.identity(client), self.clients[client].generation - i32::from(stale));
        let result = self.bench.turn(|group, turn| group.heartbeat(turn, generation, &identity));
        self.check_may_speak(&identity, generation, result.is_ok());
        self.note_gone(&identity.member_id, result);
    }

    fn leave(&mut self, client: usize, by_instance: bool) {
        let mut identity = self.identity(client);
        if by_instance && identity.instance_id.is_some() {
            identity.member_id = String::new();
        }
        if self.bench.leave(std::slice::from_ref(&identity)) == [Ok(())] {
            let ids = self.owners.iter().filter(|(_, owner)| **owner == client).map(|(id, _)| id.clone());
            self.gone.extend(ids.filter(|id| identity.member_id.is_empty() || *id == identity.member_id));
        }
    }

    /// Sometimes as the client went by before it was restarted: that one is fenced, or nobody.
    fn commit(&mut self, client: usize, stale: bool) {
        let mut identity = self.identity(client);
        if stale && let Some(former) = self.clients[client].former.last() {
            identity.member_id.clone_from(former);
        }
        let generation = self.clients[client].generation;
        self.commits += 1;
        let offsets = [commit("t", 0, self.commits)];
        let result = self.bench.commit(identity.clone(), generation, &offsets).map(|_| ());
        // A client that never was in a generation may not even say -1 for it, unless there is nobody.
        self.check_may_speak(&identity, generation, result.is_ok());
        if result.is_ok() {
            assert_ne!(self.bench.group.state(), GroupState::CompletingRebalance);
            self.committed = Some(self.commits);
        }
        self.note_gone(&identity.member_id, result);
    }

    fn commit_simply(&mut self) {
        self.commits += 1;
        let offsets = [commit("t", 0, self.commits)];
        if self.bench.commit(dynamic(""), -1, &offsets).is_ok() {
            assert_eq!(self.bench.group.state(), GroupState::Empty);
            self.committed = Some(self.commits);
        }
    }

    /// Who is heard was let into the current generation (a static one perhaps into an earlier one, or replaced one who
    /// was), has not left and is not fenced.
    fn check_may_speak(&self, identity: &Identity, generation: i32, was_heard: bool) {
        if !was_heard {
            return;
        }
        assert_eq!(generation, self.generation, "somebody of an old generation was heard");
        let id = &identity.member_id;
        assert!(!self.gone.contains(id), "{id} is gone and was heard");
        let admitted = |id: &String| self.admitted.contains(&(id.clone(), generation));
        assert!(admitted(id) || identity.instance_id.is_some(), "{id} is of no generation and was heard");
    }

    fn note_gone(&mut self, id: &str, result: Result<(), ResponseError>) {
        if matches!(result, Err(ResponseError::UnknownMemberId | ResponseError::FencedInstanceId)) && !id.is_empty() {
            self.gone.insert(id.to_owned());
            for client in self.clients.iter_mut().filter(|client| client.member_id == id) {
                client.member_id.clear();
            }
        }
    }

    fn take_answers(&mut self) {
        assert!(self.bench.group.generation >= self.generation, "a generation was taken back");
        self.generation = self.bench.group.generation;
        for ticket in self.waiting_joins.keys().copied().collect::<Vec<_>>() {
            if let Some(result) = self.bench.joins.remove(&ticket) {
                let client = self.waiting_joins.remove(&ticket).unwrap();
                self.take_join(client, ticket, result);
            }
        }
        for ticket in self.waiting_syncs.keys().copied().collect::<Vec<_>>() {
            if let Some(result) = self.bench.syncs.remove(&ticket) {
                let (client, generation) = self.waiting_syncs.remove(&ticket).unwrap();
                self.take_sync(client, generation, result);
            }
        }
        assert!(self.last_joined == 0 || self.leaders.contains_key(&self.last_joined), "a generation has no leader");
        let offset = self.bench.group.committed(None).first().and_then(|(.., found)| Some(found.as_ref()?.offset));
        assert_eq!(offset, self.committed);
    }

    fn take_join(&mut self, client: usize, ticket: Ticket, result: Result<Joined, JoinError>) {
        let is_latest = self.clients[client].join == Some(ticket);
        let (member_id, joined) = match result {
            Ok(joined) => (joined.member_id.clone(), Some(joined)),
            Err(JoinError { error: ResponseError::MemberIdRequired, member_id }) => (member_id, None),
            Err(JoinError { error: ResponseError::UnknownMemberId | ResponseError::FencedInstanceId, .. }) => {
                if is_latest {
                    self.clients[client].member_id.clear();
                }
                return;
            }
            Err(_) => return,
        };
        assert!(!self.gone.contains(&member_id), "{member_id} was let in though it is gone");
        self.owners.insert(member_id.clone(), client);
        if is_latest {
            // An id that took over from another one of the same instance has it fenced.
            let former = std::mem::replace(&mut self.clients[client].member_id, member_id.clone());
            if former != member_id {
                self.clients[client].former.push(former);
            }
        }
        let Some(joined) = joined else { return };
        self.check_joined(client, &joined);
        self.last_joined = joined.generation;
        if Self::instance(client).is_some() {
            // Whatever else the instance went by is fenced.
            let others = self.owners.iter().filter(|(id, owner)| **owner == client && **id != member_id);
            self.gone.extend(others.map(|(id, _)| id.clone()));
        }
        self.admitted.insert((member_id, joined.generation));
        if is_latest {
            self.clients[client].generation = joined.generation;
        }
    }

    fn check_joined(&mut self, client: usize, joined: &Joined) {
        assert_eq!(joined.generation, self.generation, "a join led into an old generation");
        assert_eq!(joined.protocol, "p");
        let current: Vec<&Identity> = self.bench.group.members.values().map(|member| &member.identity).collect();
        assert!(current.iter().any(|member| member.member_id == joined.member_id));
        if !joined.members.is_empty() {
            assert_eq!(joined.leader, joined.member_id, "a follower was told the members");
            assert!(joined.members.iter().map(|(member, _)| member).eq(current), "the leader was told of others");
            let leader = self.leaders.entry(joined.generation).or_insert(client);
            assert_eq!(*leader, client, "a generation has two leaders");
        } else if let (Some(leader), Some(owner)) =
            (self.leaders.get(&joined.generation), self.owners.get(&joined.leader))
        {
            assert_eq!(leader, owner, "a follower was told of another leader");
        }
    }

    fn take_sync(&mut self, client: usize, generation: i32, result: Result<Synced, ResponseError>) {
        if let Ok(synced) = result {
            assert_eq!(generation, self.generation, "an assignment of an old generation");
            assert_eq!(self.bench.group.state(), GroupState::Stable);
            let earlier = self.assigned.entry((generation, client)).or_insert_with(|| synced.assignment.clone());
            assert_eq!(*earlier, synced.assignment, "a member was assigned twice in a generation");
            let text = String::from_utf8(synced.assignment.to_vec()).unwrap();
            let leader = self.leaders[&generation];
            let is_own = text.starts_with(&format!("{client} {leader} "));
            assert!(text.is_empty() || is_own, "an assignment of somebody else, or by somebody else");
        }
    }

    /// All clients fall silent, and time does the rest.
    pub fn end(mut self) {
        self.bench.store.fails = false;
        for _ in 0..100 {
            let Some(at) = self.bench.deadline() else { break };
            self.wait(at.saturating_sub(self.bench.now));
            if self.bench.group.state() == GroupState::Empty && self.bench.group.pending.is_empty() {
                break;
            }
        }
        assert_eq!(self.bench.group.state(), GroupState::Empty);
        assert!(self.waiting_joins.is_empty() && self.waiting_syncs.is_empty(), "somebody waits for ever");
        assert!(self.bench.joins.is_empty() && self.bench.syncs.is_empty());
    }
}
