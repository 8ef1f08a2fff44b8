//! The calls that wait for an answer.

use std::collections::HashMap;

use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot;

use super::group::{Answer, Ticket};
use super::types::{JoinError, Joined, Synced};

/// What a join comes to.
pub type JoinResult = Result<Joined, JoinError>;
/// What a sync comes to.
pub type SyncResult = Result<Synced, ResponseError>;

/// The calls that wait, by their tickets.
#[derive(Debug, Default)]
pub struct Waiting {
    last_ticket: Ticket,
    joins: HashMap<Ticket, oneshot::Sender<JoinResult>>,
    syncs: HashMap<Ticket, oneshot::Sender<SyncResult>>,
}

impl Waiting {
    /// Has a join wait.
    pub fn join(&mut self) -> (Ticket, oneshot::Receiver<JoinResult>) {
        let (sender, receiver) = oneshot::channel();
        self.last_ticket += 1;
        self.joins.insert(self.last_ticket, sender);
        (self.last_ticket, receiver)
    }

    /// Has a sync wait.
    pub fn sync(&mut self) -> (Ticket, oneshot::Receiver<SyncResult>) {
        let (sender, receiver) = oneshot::channel();
        self.last_ticket += 1;
        self.syncs.insert(self.last_ticket, sender);
        (self.last_ticket, receiver)
    }

    /// Answers a call. Nobody may listen any more, when the connection was lost meanwhile.
    pub fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Join(ticket, result) => {
                if let Some(sender) = self.joins.remove(&ticket) {
                    let _ = sender.send(result);
                }
            }
            Answer::Sync(ticket, result) => {
                if let Some(sender) = self.syncs.remove(&ticket) {
                    let _ = sender.send(result);
                }
            }
        }
    }

    /// Answers all calls with an error.
    pub fn refuse_all(&mut self, error: ResponseError) {
        for sender in std::mem::take(&mut self.joins).into_values() {
            let _ = sender.send(Err(JoinError { error, member_id: String::new() }));
        }
        for sender in std::mem::take(&mut self.syncs).into_values() {
            let _ = sender.send(Err(error));
        }
    }
}
