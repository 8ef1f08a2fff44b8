//! The states in Redis.
//!
//! Every state of a group is in a *space*: one is live, a rebuild fills another and puts it in its place. [`Names`] lists
//! the keys.

mod commit;
mod names;
mod spaces;
mod sweep;
pub mod value;
mod wakes;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fred::interfaces::{HashesInterface, KeysInterface};
use fred::types::{FromValue, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::step::{Announcement, Changes, Stored};
use crate::clock::now_ms;
use crate::redis::client::Call;
use crate::redis::window::push::{self, Push};
use crate::redis::window::{self, Place};
use crate::redis::{self, Redis, RedisError, Window};

pub use names::Names;

/// Keys that are read at once.
const KEYS: usize = 1_000;

/// The states of one group. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    redis: Redis,
    names: Names,
    window: Option<Window>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    position: Call,
    commit: Call,
    drop: Call,
    fence: Call,
    swap: Call,
    lift: Call,
}

/// Where the live space stands in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// There is no live space.
    Lost,
    /// It has seen nothing of the partition.
    Nowhere(String),
    /// The offset of the record to apply next.
    At(String, i64),
    /// It was built from another topic of the same name.
    OtherLog(String),
}

/// In whose name a batch is written.
#[derive(Clone, Copy, Debug)]
pub enum Hand<'a> {
    /// A member's, into the live space, which must be this.
    Live(&'a str),
    /// A rebuild's, into the space that it fills.
    Rebuild(&'a str),
}

/// A partition that a batch moves on.
#[derive(Clone, Debug)]
pub struct Move {
    /// The partition (`topic:number`).
    pub partition: String,
    /// Where it must stand; `None` where it must have seen nothing. A rebuild is alone, and does not ask.
    pub from: Option<i64>,
    /// Where it stands afterwards.
    pub to: i64,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is written.
    Done,
    /// A rebuild holds the states.
    Fenced,
    /// Another space is the live one.
    Moved,
    /// The partitions stand here.
    Stands(Vec<Option<i64>>),
    /// These states have changed, by index.
    Conflict(Vec<usize>),
}

impl Store {
    /// The states named `names`; what is announced is shown in `window`.
    pub fn new(redis: Redis, names: Names, window: Option<Window>) -> Self {
        let commit = [push::SCRIPT, include_str!("scripts/commit.lua")].concat();
        let scripts = Scripts {
            position: Call::new("processor-position", include_str!("scripts/position.lua")),
            commit: window::fenced("processor-commit", &commit),
            drop: window::fenced("processor-drop", include_str!("scripts/drop.lua")),
            fence: window::fenced("processor-fence", window::FENCE),
            swap: window::fenced("processor-swap", include_str!("scripts/swap.lua")),
            lift: window::fenced("processor-lift", include_str!("scripts/lift.lua")),
        };
        Self { redis, names, window, scripts: Arc::new(scripts) }
    }

    /// The window in which announcements are shown.
    pub fn window(&self) -> Option<&Window> {
        self.window.as_ref()
    }

    /// Where the live space stands in a partition; from the first time on, it knows the topic's id.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn position(&self, place: Place<'_>) -> Result<Stands, RedisError> {
        let args = vec![place.field().into(), place.log_field().into(), place.log.to_owned().into()];
        let keys = vec![self.names.root().to_owned()];
        let answer: Vec<String> = self.scripts.position.run(&self.redis, keys, args).await?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["lost"] => Ok(Stands::Lost),
            ["nowhere", space] => Ok(Stands::Nowhere(space.to_owned())),
            ["other-log", space] => Ok(Stands::OtherLog(space.to_owned())),
            ["at", space, offset] if let Ok(offset) = offset.parse() => Ok(Stands::At(space.to_owned(), offset)),
            _ => Err(unexpected("processor-position", &answer)),
        }
    }

    /// The live space.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn live(&self) -> Result<Option<String>, RedisError> {
        redis::run("processor-live", self.redis.client().hget(self.names.root(), "space")).await
    }

    /// Where `space` stands, by partition.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn offsets(&self, space: &str) -> Result<BTreeMap<String, i64>, RedisError> {
        let read = self.redis.client().hgetall(self.names.offsets(space));
        let fields: Vec<(String, String)> = redis::run("processor-offsets", read).await?;
        let offset = |(field, offset): (String, String)| Some((field, offset.parse().ok()?));
        Ok(fields.into_iter().filter(|(field, _)| field.contains(':')).filter_map(offset).collect())
    }

    /// Reads what `space` knows under `keys`, into `stored`.
    ///
    /// # Errors
    /// When Redis is away, or a state can't be read.
    pub async fn load<S: DeserializeOwned + Default>(
        &self,
        space: &str,
        keys: &[&String],
        now_ms: i64,
        stored: &mut BTreeMap<String, Stored<S>>,
    ) -> Result<(), RedisError> {
        if keys.is_empty() {
            return Ok(());
        }
        let asked = async {
            let pipeline = self.redis.client().pipeline();
            for keys in keys.chunks(KEYS) {
                let names: Vec<_> = keys.iter().map(|key| self.names.state(space, key)).collect();
                let () = pipeline.mget(names).await?;
            }
            all(&pipeline, keys.len().div_ceil(KEYS)).await
        };
        let answers: Vec<Vec<Option<Bytes>>> = redis::run("processor-load", asked).await?;
        for (key, value) in keys.iter().zip(answers.into_iter().flatten()) {
            let read = value.map(|value| value::read(&value, now_ms)).transpose();
            let read = read.map_err(|reason| unexpected("processor-load", &format!("{key}: {reason}")))?;
            stored.insert((*key).clone(), read.unwrap_or_default());
        }
        Ok(())
    }

    /// Writes `changes` and moves partitions on. States live from the time `lives_from` (ms) on.
    ///
    /// # Errors
    /// When Redis is away; then it may or may not be written.
    pub async fn commit<S: Serialize + Default + PartialEq>(
        &self,
        hand: Hand<'_>,
        moves: &[Move],
        changes: &Changes<S>,
        lives_from: i64,
    ) -> Result<Committed, RedisError> {
        let now = now_ms();
        let (space, token) = match hand {
            Hand::Live(space) => (space, ""),
            Hand::Rebuild(space) => (space, space),
        };
        let is_rebuild = matches!(hand, Hand::Rebuild(_));
        let mut args: Vec<Value> = Vec::with_capacity(16 + moves.len() * 3 + changes.writes.len() * 10);
        args.extend([token.to_owned().into(), space.to_owned().into(), now.into()]);
        args.push((moves.len() as i64).into());
        for Move { partition, from, to } in moves {
            let from = match hand {
                Hand::Live(_) => from.map_or_else(String::new, |from| from.to_string()),
                Hand::Rebuild(_) => "any".to_owned(),
            };
            args.extend([partition.clone().into(), from.into(), to.to_string().into()]);
        }
        let json = |error: serde_json::Error| unexpected("processor-commit", &error.to_string());
        let mut commands =
            commit::states(&self.names, space, changes, lives_from, is_rebuild, now, &mut args).map_err(json)?;
        commit::outbox(&self.names, &changes.emissions, &mut commands).map_err(json)?;
        commands.write(&mut args);
        args.push(self.names.state(space, "").into());
        let mut keys = vec![self.names.root().to_owned(), self.names.fence(), self.names.offsets(space)];
        let window = self.window.as_ref().filter(|_| !changes.announcements.is_empty());
        let push = window.map_or_else(Push::silent, |window| window.begin_push(changes.announcements.len()));
        args.push(push.channel.clone().into());
        args.push((window.map_or(0, Window::length) as i64).into());
        args.push(window::new_epoch().into());
        if let Some(window) = window {
            keys.push(window.list().to_owned());
            for Announcement { json, trace } in &changes.announcements {
                let Some(body) = json.strip_suffix('}') else { continue };
                args.extend([body.to_owned().into(), push::trace(*trace)]);
            }
        }
        let answer: Vec<Value> = self.scripts.commit.run(&self.redis, keys, args).await?;
        let committed = parse_committed(&answer)?;
        match window {
            Some(window) if committed == Committed::Done => {
                // It is written: whatever becomes of the announcement, viewers look by themselves before long.
                if let Err(error) = window.end_push(push, answer.last()).await {
                    tracing::debug!(%error, "not announced");
                }
            }
            Some(window) => window.no_push(push),
            None => {}
        }
        Ok(committed)
    }
}

/// The answers of a pipeline of so many commands: fred gives that of a single one bare.
async fn all<T: FromValue>(
    pipeline: &fred::clients::Pipeline<fred::clients::Client>,
    commands: usize,
) -> Result<Vec<T>, fred::error::Error> {
    match commands {
        0 => Ok(Vec::new()),
        1 => Ok(vec![pipeline.last().await?]),
        _ => pipeline.all().await,
    }
}

fn unexpected(operation: &'static str, answer: &(impl std::fmt::Debug + ?Sized)) -> RedisError {
    RedisError::Answer { operation, answer: format!("{answer:?}") }
}

fn parse_committed(answer: &[Value]) -> Result<Committed, RedisError> {
    let unknown = || unexpected("processor-commit", answer);
    let word = answer.first().and_then(Value::as_string).ok_or_else(unknown)?;
    match word.as_str() {
        "done" => Ok(Committed::Done),
        "fenced" => Ok(Committed::Fenced),
        "moved" => Ok(Committed::Moved),
        "stands" => (answer[1..].iter())
            .map(|offset| match offset.as_string().as_deref() {
                Some("") => Ok(None),
                Some(offset) => offset.parse().map(Some).map_err(|_| unknown()),
                None => Err(unknown()),
            })
            .collect::<Result<_, _>>()
            .map(Committed::Stands),
        "conflict" => (answer[1..].iter())
            .map(|number| number.as_usize().and_then(|number| number.checked_sub(1)).ok_or_else(unknown))
            .collect::<Result<_, _>>()
            .map(Committed::Conflict),
        _ => Err(unknown()),
    }
}
