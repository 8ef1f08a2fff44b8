//! A projection of the newest messages of a log: a list of them, newest first, a channel that announces each, and the
//! offsets that they came from, kept together by atomic scripts.
//!
//! The keys of a window named `messages` of projection `message-board`:
//!
//! | key | type | what |
//! |---|---|---|
//! | `messages` | list | the newest messages as JSON, with the `seq` they got |
//! | `new-messages` | channel | each message as it is applied |
//! | `kboard:message-board` | hash | `epoch`, `seq`, and one field a partition: the next offset to apply |
//! | `kboard:message-board:positions` | list | where each message of the window stands in the log |
//! | `kboard:message-board:seen` | sorted set | idempotency keys of the last day |
//! | `kboard:message-board:fence` | string | exists while a replay rebuilds the projection |
//! | `kboard:message-board:control` | channel | the new epoch, when it changes |

use std::collections::BTreeMap;

use bytes::Bytes;
use fred::types::Value;
use uuid::Uuid;

use super::client::{Call, Redis, RedisError};

/// How long an idempotency key is remembered.
const SEEN_MS: i64 = 24 * 60 * 60 * 1000;
/// A batch with more messages than this is a backlog being drained: its messages are not announced one by one (no
/// viewer could follow), only that the window has moved.
const BULK: usize = 1_000;

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
    scripts: std::sync::Arc<Scripts>,
}

struct Scripts {
    apply: Call,
    snapshot: Call,
    position: Call,
    rewind: Call,
    fence: Call,
    swap: Call,
}

/// A message on its way into a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The message's JSON object without its closing brace: the script adds the `seq`.
    pub body: Bytes,
    /// What makes a repetition of the message known as one.
    pub once: Option<String>,
}

/// A run of messages of one partition.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The partition, as the state names it: `topic:partition`.
    pub partition: String,
    /// The offset at which the caller believes the state to stand.
    pub expected: Option<i64>,
    /// The offset after the run.
    pub next: i64,
    /// The messages, in order: offset, timestamp (ms), entry.
    pub entries: Vec<(i64, i64, &'a Entry)>,
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
    /// The state stands before what the caller expects, by index of the run, with the offset it stands at, if any.
    RolledBack(Vec<(usize, Option<i64>)>),
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
            scripts: std::sync::Arc::new(Scripts {
                apply: Call::new("apply", include_str!("scripts/apply.lua")),
                snapshot: Call::new("snapshot", include_str!("scripts/snapshot.lua")),
                position: Call::new("position", include_str!("scripts/position.lua")),
                rewind: Call::new("rewind", include_str!("scripts/rewind.lua")),
                fence: Call::new("fence", include_str!("scripts/fence.lua")),
                swap: Call::new("swap", include_str!("scripts/swap.lua")),
            }),
        }
    }

    /// The channel that announces each message.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The channel that announces a new epoch.
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
        let bulk = total > BULK;
        let mut args: Vec<Value> = Vec::with_capacity(7 + runs.len() * 3 + total * 4);
        args.push(self.token.clone().unwrap_or_default().into());
        args.push(if announce && !bulk { self.channel.clone() } else { String::new() }.into());
        args.push((self.length as i64).into());
        args.push(new_epoch().into());
        args.push(now_ms.into());
        args.push(SEEN_MS.into());
        args.push((runs.len() as i64).into());
        for run in runs {
            args.push(run.partition.clone().into());
            args.push(run.expected.map_or(Value::from(String::new()), Value::from));
            args.push(run.next.into());
        }
        for (index, (offset, entry)) in by_time(runs) {
            args.push((index as i64 + 1).into());
            args.push(offset.into());
            args.push(Value::Bytes(entry.body.clone()));
            args.push(entry.once.clone().unwrap_or_default().into());
        }
        let mut keys = self.keys.all();
        keys.push(self.fence.clone());
        let answer: Vec<Value> = self.scripts.apply.run(&self.redis, keys, args).await?;
        let applied = parse_applied(&answer)?;
        if announce && bulk && matches!(applied, Applied::Done { .. }) {
            self.announce_move().await?;
        }
        Ok(applied)
    }

    /// Tells viewers that the window has moved as a whole.
    async fn announce_move(&self) -> Result<(), RedisError> {
        use fred::interfaces::PubsubInterface;
        let published: Result<(), _> = self.redis.client().publish(self.control.as_str(), "").await;
        published.map_err(|source| RedisError::Command { operation: "publish", source })
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

    /// The next offset to apply of a partition, `None` when the state has seen nothing of it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn position(&self, partition: &str) -> Result<Option<i64>, RedisError> {
        let (keys, args) = (vec![self.keys.state.clone()], vec![Value::from(partition.to_owned())]);
        self.scripts.position.run(&self.redis, keys, args).await
    }

    /// Gives the state a new epoch and has it forget partitions; `false` while a replay holds it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn rewind(&self, forget: &[String]) -> Result<bool, RedisError> {
        let mut args: Vec<Value> = vec![self.control.clone().into(), new_epoch().into()];
        args.extend(forget.iter().map(|partition| Value::from(partition.clone())));
        let keys = vec![self.keys.state.clone(), self.fence.clone()];
        let answer: Vec<String> = self.scripts.rewind.run(&self.redis, keys, args).await?;
        Ok(answer.first().is_some_and(|word| word == "rewound"))
    }

    /// A window beside this one, for a replay to build.
    pub fn shadow(&self) -> Self {
        let token = Uuid::new_v4().simple().to_string();
        Self { keys: Keys::shadow(&self.keys, &token), token: Some(token), ..self.clone() }
    }

    /// Takes or renews the fence that holds all others off the live state; `false` when another replay has it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn hold(&self, lasting_ms: i64) -> Result<bool, RedisError> {
        let args = vec![self.token.clone().unwrap_or_default().into(), lasting_ms.into()];
        self.scripts.fence.run(&self.redis, vec![self.fence.clone()], args).await
    }

    /// Puts this shadow in the place of `live`, with a new epoch, and lifts the fence; `false` when the fence was lost.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn swap_into(&self, live: &Self) -> Result<bool, RedisError> {
        let mut keys = live.keys.all();
        keys.extend(self.keys.all());
        keys.push(self.fence.clone());
        let args = vec![self.token.clone().unwrap_or_default().into(), self.control.clone().into(), new_epoch().into()];
        self.scripts.swap.run(&self.redis, keys, args).await
    }

    /// Removes this shadow and lifts its fence.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn discard(&self) -> Result<(), RedisError> {
        use fred::interfaces::KeysInterface;
        let failed = |source| RedisError::Command { operation: "del", source };
        let _: u64 = self.redis.client().del(self.keys.all()).await.map_err(failed)?;
        let holder: Option<String> = self.redis.client().get(&self.fence).await.map_err(failed)?;
        if holder == self.token {
            let _: u64 = self.redis.client().del(&self.fence).await.map_err(failed)?;
        }
        Ok(())
    }
}

/// A new epoch: the time, so that people can tell them apart, and chance, so that no two are the same.
fn new_epoch() -> String {
    let id = Uuid::now_v7().simple().to_string();
    format!("{}{}", &id[..12], &id[26..])
}

/// The messages of all runs, merged by timestamp; those of one run keep their order. Messages of one millisecond are
/// told apart by their ids, with which they begin: those that one server gives out grow.
fn by_time<'a>(runs: &'a [Run<'a>]) -> impl Iterator<Item = (usize, (i64, &'a Entry))> {
    let mut heads = vec![0_usize; runs.len()];
    std::iter::from_fn(move || {
        let (index, ..) = (runs.iter().enumerate())
            .filter_map(|(index, run)| run.entries.get(heads[index]).map(|entry| (index, entry.1, &entry.2.body)))
            .min_by(|(_, time, body), (_, other_time, other)| time.cmp(other_time).then_with(|| body.cmp(other)))?;
        let (offset, _, entry) = runs[index].entries[heads[index]];
        heads[index] += 1;
        Some((index, (offset, entry)))
    })
}

fn parse_applied(answer: &[Value]) -> Result<Applied, RedisError> {
    let unexpected = || RedisError::Answer { operation: "apply", answer: format!("{answer:?}") };
    let word = answer.first().and_then(Value::as_string).ok_or_else(unexpected)?;
    let number = |index: usize| answer.get(index).and_then(Value::as_u64).ok_or_else(unexpected);
    match word.as_str() {
        "applied" => Ok(Applied::Done { seq: number(2)?, applied: number(3)?, length: number(4)? }),
        "fenced" => Ok(Applied::Fenced),
        "rolled-back" => answer[1..]
            .chunks(2)
            .map(|pair| {
                let index =
                    pair.first().and_then(Value::as_usize).and_then(|n| n.checked_sub(1)).ok_or_else(unexpected)?;
                Ok((index, pair.get(1).and_then(Value::as_i64)))
            })
            .collect::<Result<_, _>>()
            .map(Applied::RolledBack),
        _ => Err(unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry { body: Bytes::from_static(b"{"), once: None }
    }

    #[test]
    fn runs_merge_by_time_and_keep_their_own_order() {
        let entry = entry();
        let run = |partition: &str, times: &[i64]| Run {
            partition: partition.to_owned(),
            expected: None,
            next: times.len() as i64,
            entries: times.iter().enumerate().map(|(offset, &time)| (offset as i64, time, &entry)).collect(),
        };
        // The second run's clock steps back: its own order wins.
        let runs = [run("t:0", &[10, 30]), run("t:1", &[20, 5, 40])];
        let order: Vec<_> = by_time(&runs).map(|(index, (offset, _))| (index, offset)).collect();
        assert_eq!(order, [(0, 0), (1, 0), (1, 1), (0, 1), (1, 2)]);
    }

    #[test]
    fn messages_of_one_millisecond_are_in_the_order_of_their_ids() {
        let entries = ["c", "a", "b"].map(|id| Entry { body: Bytes::from(format!("{{\"id\":\"{id}\"")), once: None });
        let runs: Vec<_> = (entries.iter())
            .map(|entry| Run { partition: String::new(), expected: None, next: 1, entries: vec![(0, 10, entry)] })
            .collect();
        assert_eq!(by_time(&runs).map(|(index, _)| index).collect::<Vec<_>>(), [1, 2, 0]);
    }

    #[test]
    fn answers_of_the_script_are_understood() {
        let text = |text: &str| Value::from(text.to_owned());
        let applied = [text("applied"), text("e"), Value::from(7), Value::from(3), Value::from(100)];
        assert_eq!(parse_applied(&applied).unwrap(), Applied::Done { applied: 3, seq: 7, length: 100 });
        assert_eq!(parse_applied(&[text("fenced")]).unwrap(), Applied::Fenced);
        let behind = [text("rolled-back"), text("2"), text("41"), text("1"), text("")];
        assert_eq!(parse_applied(&behind).unwrap(), Applied::RolledBack(vec![(1, Some(41)), (0, None)]));
        assert!(parse_applied(&[text("what")]).is_err());
    }
}
