//! A projection of the newest messages of a log: a list of them, newest first, a channel that announces each, and the
//! offsets that they came from, kept together by atomic scripts.
//!
//! The keys of a window named `messages` of projection `message-board`:
//!
//! | key | type | what |
//! |---|---|---|
//! | `messages` | list | the newest messages as JSON, with the `seq` they got |
//! | `new-messages` | channel | each message as it is applied, with its `traceparent` where its trace is recorded |
//! | `kboard:message-board` | hash | `epoch`, `seq`, the topic's id, and one field a partition: the next offset to apply |
//! | `kboard:message-board:positions` | list | where each message of the window stands in the log |
//! | `kboard:message-board:seen` | sorted set | ids of the last day's messages that may repeat |
//! | `kboard:message-board:fence` | string | which replay rebuilds the projection, and until when it may |
//! | `kboard:message-board:control` | channel | an empty message when the window has to be looked at as a whole |

mod merge;
pub(crate) mod push;
mod shadow;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use fred::interfaces::PubsubInterface;
use fred::types::Value;
use uuid::Uuid;

use super::client::{Call, Redis, RedisError, run};
use crate::clock::now_ms;
use merge::by_time;
pub use merge::{Entry, Logged, Run};
use push::Push;

/// How long an idempotency key is remembered, in the time of the messages.
const SEEN_MS: i64 = 24 * 60 * 60 * 1000;
/// Takes or renews a fence.
pub(crate) const FENCE: &str = include_str!("scripts/fence.lua");
/// How long a shadow lasts that nobody adds to: that of a replay that died.
const SHADOW_MS: i64 = 60_000;

/// Where a window keeps itself.
#[derive(Clone, Debug)]
struct Keys {
    list: String,
    state: String,
    positions: String,
    seen: String,
}

impl Keys {
    fn live(prefix: &str, projection: &str, list: &str) -> Self {
        Self::at(format!("{prefix}{list}"), format!("{prefix}kboard:{projection}"))
    }

    fn shadow(live: &Self, token: &str) -> Self {
        Self::at(format!("{}:shadow:{token}:window", live.state), format!("{}:shadow:{token}", live.state))
    }

    fn at(list: String, state: String) -> Self {
        Self { list, positions: format!("{state}:positions"), seen: format!("{state}:seen"), state }
    }

    fn all(&self) -> Vec<String> {
        vec![self.list.clone(), self.state.clone(), self.positions.clone(), self.seen.clone()]
    }
}

/// A window on one projection. Cheap to clone.
#[derive(Clone)]
pub struct Window {
    redis: Redis,
    keys: Keys,
    fence: String,
    control: String,
    channel: String,
    length: usize,
    /// The replay this window is built by; `None` for the live one.
    token: Option<String>,
    scripts: Arc<Scripts>,
    /// Whether what was applied by this process is published, too.
    published: Arc<AtomicBool>,
}

struct Scripts {
    apply: Call,
    snapshot: Call,
    position: Call,
    rewind: Call,
    restart: Call,
    fence: Call,
    swap: Call,
    discard: Call,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is in; the state's `seq` afterwards, and the length of the window.
    Done {
        /// Messages applied that the state had not seen.
        applied: u64,
        /// The `seq` of the last.
        seq: u64,
        /// Messages in the window.
        length: u64,
    },
    /// A replay holds the state.
    Fenced,
    /// The state stands before what the caller expects in these runs, by index.
    RolledBack(Vec<usize>),
}

/// A partition of a log, as the state names it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The topic's id.
    pub log: &'a str,
}

impl Place<'_> {
    /// The field of the partition's offset.
    pub(crate) fn field(&self) -> String {
        field(self.topic, self.partition)
    }

    /// The field of the topic's id; no offset's, which have a colon.
    pub(crate) fn log_field(&self) -> String {
        format!("topic-id/{}", self.topic)
    }
}

/// The field of a partition in the state.
pub fn field(topic: &str, partition: i32) -> String {
    format!("{topic}:{partition}")
}

/// Where the state stands in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It has seen nothing of it.
    Nowhere,
    /// The offset of the record to apply next.
    At(i64),
    /// It was built from another topic of the same name.
    OtherLog,
}

/// A projection at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Identifies this life of the state; empty before its first message.
    pub epoch: String,
    /// The `seq` of the newest message.
    pub seq: u64,
    /// The window, newest first: the members' JSON.
    pub members: Vec<Bytes>,
    /// Where each of them stands in the log: partition and offset.
    pub positions: Vec<(String, i64)>,
    /// The next offset of each partition.
    pub offsets: BTreeMap<String, i64>,
}

impl Window {
    /// The window of `projection` whose list is `list` and whose channel is `channel`, all under `prefix`, holding
    /// the newest `length` messages.
    pub fn new(redis: Redis, prefix: &str, projection: &str, list: &str, channel: &str, length: usize) -> Self {
        let keys = Keys::live(prefix, projection, list);
        Self {
            redis,
            fence: format!("{}:fence", keys.state),
            control: format!("{}:control", keys.state),
            keys,
            channel: format!("{prefix}{channel}"),
            length,
            token: None,
            published: Arc::new(AtomicBool::new(true)),
            scripts: Arc::new(Scripts {
                apply: fenced("apply", &[push::SCRIPT, include_str!("scripts/apply.lua")].concat()),
                snapshot: Call::new("snapshot", include_str!("scripts/snapshot.lua")),
                position: Call::new("position", include_str!("scripts/position.lua")),
                rewind: fenced("rewind", include_str!("scripts/rewind.lua")),
                restart: fenced("restart", include_str!("scripts/restart.lua")),
                fence: fenced("fence", FENCE),
                swap: fenced("swap", include_str!("scripts/swap.lua")),
                discard: fenced("discard", include_str!("scripts/discard.lua")),
            }),
        }
    }

    /// The channel that announces each message.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The channel that tells to look at the window as a whole.
    pub fn control(&self) -> &str {
        &self.control
    }

    /// Applies runs of one or more partitions in one atomic step. Messages of different partitions are put in the
    /// order of their timestamps, so that a backlog reads as it was written.
    ///
    /// # Errors
    /// When Redis is away; then it may or may not have been applied, and may be sent again.
    pub async fn apply(&self, runs: &[Run<'_>], now_ms: i64) -> Result<Applied, RedisError> {
        let total: usize = runs.iter().map(|run| run.entries.len()).sum();
        let announce = self.token.is_none();
        let push = if announce { self.begin_push(total) } else { Push::silent() };
        // Not the time of now: a replay forgets ids as the board did, and doesn't keep those of all times for a day.
        let newest = runs.iter().flat_map(|run| &run.entries).map(|logged| logged.timestamp).max().unwrap_or(now_ms);
        let mut args: Vec<Value> = Vec::with_capacity(9 + runs.len() * 3 + total * 5);
        args.push(self.token.clone().unwrap_or_default().into());
        args.push(push.channel.clone().into());
        args.push((self.length as i64).into());
        args.push(new_epoch().into());
        args.push(newest.min(now_ms).into());
        args.push(SEEN_MS.into());
        args.push(SHADOW_MS.into());
        args.push(now_ms.into());
        args.push((runs.len() as i64).into());
        for run in runs {
            args.push(run.partition.clone().into());
            args.push(run.expected.map_or(Value::from(String::new()), Value::from));
            args.push(run.next.into());
        }
        for (index, Logged { offset, entry, trace, .. }) in by_time(runs) {
            args.push((index as i64 + 1).into());
            args.push(offset.into());
            args.push(Value::Bytes(entry.body.clone()));
            args.push(entry.once.clone().unwrap_or_default().into());
            args.push(push::trace(trace));
        }
        let mut keys = self.keys.all();
        keys.push(self.fence.clone());
        let answer: Vec<Value> = self.scripts.apply.run(&self.redis, keys, args).await?;
        let applied = parse_applied(&answer)?;
        match &applied {
            Applied::Done { .. } => self.end_push(push, answer.last()).await?,
            Applied::Fenced | Applied::RolledBack(_) => self.no_push(push),
        }
        Ok(applied)
    }

    /// Tells viewers to look at the window as a whole: it has moved, begun anew, or may have changed unannounced.
    ///
    /// # Errors
    /// When Redis is away; viewers look now and then by themselves, too.
    pub async fn announce(&self) -> Result<(), RedisError> {
        run("publish", self.redis.client().publish(self.control.as_str(), "")).await
    }

    /// Reads the projection.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn snapshot(&self) -> Result<Snapshot, RedisError> {
        let keys = vec![self.keys.list.clone(), self.keys.state.clone(), self.keys.positions.clone()];
        type Answer = (String, u64, Vec<Bytes>, Vec<String>, Vec<(String, String)>);
        let (epoch, seq, members, positions, state): Answer =
            self.scripts.snapshot.run(&self.redis, keys, Vec::new()).await?;
        let positions = positions.iter().filter_map(|position| {
            let (partition, offset) = position.rsplit_once(':')?;
            Some((partition.to_owned(), offset.parse().ok()?))
        });
        let offsets = state.into_iter().filter(|(field, _)| field.contains(':'));
        Ok(Snapshot {
            epoch,
            seq,
            members,
            positions: positions.collect(),
            offsets: offsets.filter_map(|(field, offset)| Some((field, offset.parse().ok()?))).collect(),
        })
    }

    /// Where the state stands in a partition; from the first time on, it knows the topic's id.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn position(&self, place: Place<'_>) -> Result<Stands, RedisError> {
        let args = vec![place.field().into(), place.log_field().into(), place.log.to_owned().into()];
        let answer: Vec<String> = self.scripts.position.run(&self.redis, vec![self.keys.state.clone()], args).await?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["nowhere"] => Ok(Stands::Nowhere),
            ["other-log"] => Ok(Stands::OtherLog),
            ["at", offset] if let Ok(offset) = offset.parse() => Ok(Stands::At(offset)),
            _ => Err(RedisError::Answer { operation: "position", answer: format!("{answer:?}") }),
        }
    }

    /// Gives the state a new epoch; `false` while a replay holds it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn rewind(&self) -> Result<bool, RedisError> {
        let keys = vec![self.keys.state.clone(), self.fence.clone()];
        let answer: Vec<String> =
            self.scripts.rewind.run(&self.redis, keys, vec![new_epoch().into(), now_ms().into()]).await?;
        let rewound = answer.first().is_some_and(|word| word == "rewound");
        if rewound {
            self.announce().await?;
        }
        Ok(rewound)
    }

    /// Empties a window whose state stands beyond `end` in the partition, or was built from another topic; `false` while
    /// a replay holds it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn restart(&self, place: Place<'_>, end: i64) -> Result<bool, RedisError> {
        let args = vec![
            new_epoch().into(),
            place.field().into(),
            end.into(),
            place.log_field().into(),
            place.log.to_owned().into(),
            now_ms().into(),
        ];
        let mut keys = self.keys.all();
        keys.push(self.fence.clone());
        let answer: Vec<String> = self.scripts.restart.run(&self.redis, keys, args).await?;
        let restarted = answer.first().is_some_and(|word| word != "fenced");
        if restarted {
            self.announce().await?;
        }
        Ok(restarted)
    }
}

/// A script that asks for a fence.
pub(crate) fn fenced(operation: &'static str, source: &str) -> Call {
    Call::new(operation, &[include_str!("scripts/fence_holder.lua"), source].concat())
}

/// A new epoch: the time, so that people can tell them apart, and chance, so that no two are the same.
pub(crate) fn new_epoch() -> String {
    let id = Uuid::now_v7().simple().to_string();
    format!("{}{}", &id[..12], &id[26..])
}

fn parse_applied(answer: &[Value]) -> Result<Applied, RedisError> {
    let unexpected = || RedisError::Answer { operation: "apply", answer: format!("{answer:?}") };
    let word = answer.first().and_then(Value::as_string).ok_or_else(unexpected)?;
    let number = |index: usize| answer.get(index).and_then(Value::as_u64).ok_or_else(unexpected);
    match word.as_str() {
        "applied" => Ok(Applied::Done { seq: number(2)?, applied: number(3)?, length: number(4)? }),
        "fenced" => Ok(Applied::Fenced),
        "rolled-back" => (answer[1..].iter())
            .map(|number| number.as_usize().and_then(|number| number.checked_sub(1)).ok_or_else(unexpected))
            .collect::<Result<_, _>>()
            .map(Applied::RolledBack),
        _ => Err(unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_script_are_understood() {
        let text = |text: &str| Value::from(text.to_owned());
        let applied = [text("applied"), text("e"), Value::from(7), Value::from(3), Value::from(100)];
        assert_eq!(parse_applied(&applied).unwrap(), Applied::Done { applied: 3, seq: 7, length: 100 });
        assert_eq!(parse_applied(&[text("fenced")]).unwrap(), Applied::Fenced);
        let behind = [text("rolled-back"), text("2"), text("1")];
        assert_eq!(parse_applied(&behind).unwrap(), Applied::RolledBack(vec![1, 0]));
        assert!(parse_applied(&[text("what")]).is_err());
    }
}
