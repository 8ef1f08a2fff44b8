//! Sending at a steady rate, whatever the answers take.
//!
//! A message is due when its time comes, not when the one before is answered, so a slow server can't slow the load
//! down and look fast. Latency counts from the moment a message is sent.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::http::Connection;
use crate::server::Server;
use crate::stamp::Run;

/// A connection that was idle for longer is let go: servers close such, and a message sent on one would be lost.
const MAX_IDLE: Duration = Duration::from_secs(5);

/// How the sends ended.
#[derive(Debug, Default)]
pub struct Sent {
    pub accepted: Cell<u64>,
    pub failed: Cell<u64>,
}

/// Connections without a message on its way, each with the time since when.
type Idle = Vec<(Connection, Instant)>;

/// Sends `messages` messages of `run`, `rate` a second.
pub async fn send(server: &Server, run: &Run, rate: f64, messages: u64) -> anyhow::Result<Rc<Sent>> {
    let server = Rc::new(server.clone());
    let idle: Rc<RefCell<Idle>> = Rc::default();
    let sent: Rc<Sent> = Rc::default();
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for number in 0..messages {
        sleep_until(began + Duration::from_secs_f64(number as f64 / rate)).await;
        let (server, run, idle, sent) = (server.clone(), run.clone(), idle.clone(), sent.clone());
        tasks.spawn_local(async move {
            let outcome = if one(&server, &run, &idle, number).await { &sent.accepted } else { &sent.failed };
            outcome.set(outcome.get() + 1);
        });
        // Answered ones are let go as we pass, so that a long run keeps no list of them.
        while tasks.try_join_next().transpose()?.is_some() {}
    }
    while tasks.join_next().await.transpose()?.is_some() {}
    Ok(sent)
}

/// Sends one message on an idle connection, or a new one; whether it was accepted.
async fn one(server: &Server, run: &Run, idle: &RefCell<Idle>, number: u64) -> bool {
    let pooled = idle.borrow_mut().pop();
    let mut connection = match pooled {
        Some((connection, since)) if since.elapsed() < MAX_IDLE => connection,
        _ => match Connection::open(server.address).await {
            Ok(connection) => connection,
            Err(_) => return false,
        },
    };
    let accepted = match connection.exchange(&server.publish(run, number)).await {
        Ok(answer) => (200..300).contains(&answer.status),
        Err(_) => return false,
    };
    idle.borrow_mut().push((connection, Instant::now()));
    accepted
}
