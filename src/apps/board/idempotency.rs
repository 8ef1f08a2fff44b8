//! A retried POST with the same `Idempotency-Key` posts one message: the key is claimed in Redis before the message is
//! written, and remembers the message's id.
//!
//! The write itself may still happen twice (the first answer was lost, or two retries raced); both copies then have
//! the same id, and the projection shows that id once.

use std::hash::{DefaultHasher, Hash, Hasher};

use fred::interfaces::KeysInterface;
use fred::types::{Expiration, SetOptions};

use super::message::{Invalid, Message};
use crate::redis::{self, Redis, RedisError};

/// How long a key is remembered, in seconds.
const REMEMBERED_S: i64 = 24 * 60 * 60;
/// The longest key that is taken, in bytes.
const MAX_KEY: usize = 200;

/// What a key stands for.
pub enum Claim {
    /// The message may be written; when the key was claimed before, under the id and time of then.
    Write(Message<'static>),
    /// It was written and acknowledged before.
    Written(Message<'static>),
    /// The key was used for another message.
    Mismatch,
}

/// The keys of one board.
pub struct Keys<'a> {
    /// Where they are kept.
    pub redis: &'a Redis,
    /// Put before the names of keys.
    pub prefix: &'a str,
}

/// Reads a key.
///
/// # Errors
/// When it is empty, too long, or not visible ASCII.
pub fn check(key: &[u8]) -> Result<&str, Invalid> {
    let is_key = (1..=MAX_KEY).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(key).ok().filter(|_| is_key).ok_or_else(|| {
        Invalid::request(format!("Idempotency-Key must be 1 to {MAX_KEY} visible ASCII characters, such as a UUID"))
    })
}

impl Keys<'_> {
    /// Claims `key` for `message`.
    ///
    /// # Errors
    /// When Redis is away; then nothing may be written, since it could not be told from a repetition.
    pub async fn claim(&self, key: &str, message: Message<'static>) -> Result<Claim, RedisError> {
        let name = self.name(key);
        let expiry = Some(Expiration::EX(REMEMBERED_S));
        let client = self.redis.client();
        let claim = client.set(&name, record("pending", &message), expiry, Some(SetOptions::NX), false);
        let fresh: Option<String> = redis::run("request-claim", claim).await?;
        if fresh.is_some() {
            return Ok(Claim::Write(message));
        }
        let earlier: Option<String> = redis::run("request-read", client.get(&name)).await?;
        // Gone between the two: its day is over.
        let Some(earlier) = earlier else { return Ok(Claim::Write(message)) };
        Ok(match parse(&earlier) {
            Some((_, fingerprint, ..)) if fingerprint != self::fingerprint(&message) => Claim::Mismatch,
            Some((state, _, id, timestamp)) => {
                let message = Message { id: id.to_owned().into(), timestamp, ..message };
                if state == "written" { Claim::Written(message) } else { Claim::Write(message) }
            }
            None => Claim::Mismatch,
        })
    }

    /// Notes that the message was acknowledged. A failure is no harm: a retry writes the same id once more.
    pub async fn written(&self, key: &str, message: &Message<'_>) {
        let expiry = Some(Expiration::EX(REMEMBERED_S));
        let note = self.redis.client().set(self.name(key), record("written", message), expiry, None, false);
        let noted: Result<(), _> = redis::run("request-note", note).await;
        if let Err(error) = noted {
            tracing::debug!(%error, "can't note that a request was done");
        }
    }

    fn name(&self, key: &str) -> String {
        format!("{}kboard:message-board:request:{key}", self.prefix)
    }
}

fn record(state: &str, message: &Message<'_>) -> String {
    format!("{state} {} {} {}", fingerprint(message), message.id, message.timestamp)
}

fn parse(record: &str) -> Option<(&str, u64, &str, i64)> {
    let mut words = record.split(' ');
    Some((words.next()?, words.next()?.parse().ok()?, words.next()?, words.next()?.parse().ok()?))
}

/// Tells messages of the same key apart; not a secret, so a fast hash with fixed keys will do.
fn fingerprint(message: &Message<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&message.content, &message.author).hash(&mut hasher);
    hasher.finish()
}
