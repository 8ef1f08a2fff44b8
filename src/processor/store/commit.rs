//! What a batch changed, as the words of the script that writes it.

use std::collections::BTreeMap;

use bytes::Bytes;
use fred::types::Value;
use serde::Serialize;

use super::{Names, value};
use crate::processor::outbox::Kept;
use crate::processor::step::{Changes, Emission, Write};

/// How long a removed state's version is kept, in milliseconds: longer than a batch may take from reading it to writing it.
const REMOVED_MS: i64 = 60_000;
/// How much longer than it is in force a state is kept, in milliseconds: clocks are apart.
const MARGIN_MS: i64 = 60_000;
/// The same of what a rebuild writes: the log may go on about a state that has expired by the time of now, but not by that
/// of the log.
const REBUILD_MARGIN_MS: i64 = 60 * 60 * 1_000;
/// Words of a command at most; Lua has room for some thousands.
const WORDS: usize = 1_000;

/// Commands by what they begin with (`ZADD key`), each with the words to follow.
#[derive(Default)]
pub struct Commands {
    commands: BTreeMap<(&'static str, String), Vec<Value>>,
    grown: BTreeMap<String, Grown>,
}

/// An index that was given entries.
struct Grown {
    /// How many it keeps.
    limit: usize,
    /// How many it was given.
    added: i64,
}

impl Commands {
    fn add(&mut self, command: &'static str, key: String, words: impl IntoIterator<Item = Value>) {
        self.commands.entry((command, key)).or_default().extend(words);
    }

    /// Adds them to the arguments of the script: their number, and for each the number of its words and these; then the number
    /// of indexes, and for each how many entries it keeps, and how many of its last ones may go, if their states have expired: twice
    /// those that were added, so that they go faster than others come.
    pub fn write(self, args: &mut Vec<Value>) {
        let mut count = 0_i64;
        let at = args.len();
        args.push(count.into());
        for ((command, key), words) in self.commands {
            // Pairs stay together: the number is even.
            for words in words.chunks(WORDS) {
                count += 1;
                args.push((words.len() as i64 + 2).into());
                args.push(Value::from_static_str(command));
                args.push(key.clone().into());
                args.extend_from_slice(words);
            }
        }
        args[at] = count.into();
        args.push((self.grown.len() as i64).into());
        for (index, Grown { limit, added }) in self.grown {
            args.extend([index.into(), limit.to_string().into(), (added * 2).into()]);
        }
    }
}

/// The arguments that write the states of `changes` in `space`, and the commands for what depends on them.
///
/// # Errors
/// When a state can't be written as JSON.
pub fn states<S: Serialize + Default + PartialEq>(
    names: &Names,
    space: &str,
    changes: &Changes<S>,
    lives_from: i64,
    is_rebuild: bool,
    now_ms: i64,
    args: &mut Vec<Value>,
) -> serde_json::Result<Commands> {
    let mut commands = Commands::default();
    let margin = if is_rebuild { REBUILD_MARGIN_MS } else { MARGIN_MS };
    args.push((changes.writes.len() as i64).into());
    for write in &changes.writes {
        let Write { key, version, stored, woken, add, remove, lifetime, is_new: _, cause: _ } = write;
        let is_removed = stored.state == S::default() && stored.wake.is_none() && stored.waiting.is_empty();
        let lifetime = lifetime.map(|lifetime| lifetime.as_millis() as i64);
        let expires = lifetime.map(|lifetime| lives_from + lifetime).filter(|_| !is_removed);
        let lasts = match expires {
            _ if is_removed => Some(REMOVED_MS),
            Some(expires) => Some((expires - now_ms).max(0) + margin),
            None => None,
        };
        args.push(names.state(space, key).into());
        args.push(version.to_string().into());
        args.push(lasts.map_or(Value::from_static_str(""), |lasts| lasts.to_string().into()));
        args.push(Value::Bytes(Bytes::from(value::write(stored, expires)?)));

        let wake = stored.wake.as_ref();
        if let Some(woken) = woken
            && wake.is_none_or(|wake| wake.home != woken.home)
        {
            commands.add("ZREM", names.wakes(space, &woken.home), [key.clone().into()]);
        }
        if let Some(wake) = wake.filter(|wake| woken.as_ref() != Some(wake)) {
            commands.add("ZADD", names.wakes(space, &wake.home), [wake.at.to_string().into(), key.clone().into()]);
        }
        for index in remove {
            commands.add("ZREM", names.index(space, index), [key.clone().into()]);
        }
        for index in add {
            let name = names.index(space, &index.name);
            commands.grown.entry(name.clone()).or_insert(Grown { limit: index.limit, added: 0 }).added += 1;
            commands.add("ZADD", name, [index.score.to_string().into(), key.clone().into()]);
        }
    }
    for (key, home, at) in &changes.woken {
        match at {
            Some(at) => commands.add("ZADD", names.wakes(space, home), [at.to_string().into(), key.clone().into()]),
            // It has nothing more to do, or its state has expired.
            None => commands.add("ZREM", names.wakes(space, home), [key.clone().into()]),
        }
    }
    Ok(commands)
}

/// Adds the commands that put `emissions` into their outboxes.
///
/// # Errors
/// When a record can't be written as JSON.
pub fn outbox(names: &Names, emissions: &[Emission], commands: &mut Commands) -> serde_json::Result<()> {
    for Emission { home, id, record, step: _ } in emissions {
        let record = Bytes::from(serde_json::to_vec(&Kept::of(record))?);
        commands.add("HSET", names.outbox(home), [id.clone().into(), Value::Bytes(record)]);
    }
    Ok(())
}
