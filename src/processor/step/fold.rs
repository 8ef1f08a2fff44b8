//! States from the log alone: events change them, and nothing is decided.

use std::collections::{BTreeMap, BTreeSet};

use super::work::Work;
use super::{Cause, Changes, Input, Stored, Wake};
use crate::processor::contract::{Moment, Processor};

/// What events change without anything being decided: how a state is rebuilt from what came in and what was emitted. Told
/// besides are the keys about which something is left to decide.
pub fn fold<P: Processor>(
    processor: &P,
    inputs: &[&Input<P::Event>],
    stored: &BTreeMap<String, Stored<P::State>>,
    now_ms: i64,
) -> (Changes<P::State>, BTreeMap<String, bool>) {
    let mut work = Work::new(stored);
    let mut concerned = BTreeSet::new();
    for Input { event, keys, .. } in inputs {
        processor.evolve(event, &mut work.states);
        concerned.extend(keys.first().cloned());
        work.touch(keys.iter().cloned(), &Cause::default());
    }
    let moment = Moment { now_ms, attempt: 1, woken: false };
    let is_open = |key: &String| match processor.decide(key, &work.states, &moment) {
        Ok(decision) => !decision.events.is_empty() || decision.wake.is_some(),
        Err(_) => true,
    };
    let open = concerned.into_iter().map(|key| (is_open(&key), key)).map(|(open, key)| (key, open)).collect();
    let (writes, _) = work.finish(processor, stored);
    (Changes { writes, ..Changes::default() }, open)
}

/// Sees to it that what is left to decide about rebuilt states is decided once they are the live ones: at the times that
/// they ask for, or at once where something is to be emitted. `open` are the keys, each with the partition that sees to it.
/// Told besides are those about which nothing can be decided now: a record waits, or is a dead letter.
pub fn reopen<P: Processor>(
    processor: &P,
    open: &BTreeMap<String, String>,
    stored: &BTreeMap<String, Stored<P::State>>,
    now_ms: i64,
) -> (Changes<P::State>, Vec<String>) {
    let (mut work, mut failing) = (Work::new(stored), Vec::new());
    let moment = Moment { now_ms, attempt: 1, woken: false };
    for (key, home) in open {
        let at = match processor.decide(key, &work.states, &moment) {
            Ok(decision) if decision.events.is_empty() => decision.wake,
            Ok(_) => Some(now_ms),
            Err(_) => {
                failing.push(key.clone());
                None
            }
        };
        work.touch([key.clone()], &Cause::default());
        work.wakes.insert(key.clone(), at.map(|at| Wake { at, home: home.clone() }));
    }
    let (writes, _) = work.finish(processor, stored);
    (Changes { writes, ..Changes::default() }, failing)
}
