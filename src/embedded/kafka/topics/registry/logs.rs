//! Opening and making many logs at once.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use uuid::Uuid;

use super::super::folder::{Catalog, Folder, Listed, OpenError};
use super::super::settings::{Defaults, Effective, checked};
use super::super::{Partition, name};
use super::{Topic, Topics};
use crate::embedded::kafka::log::Log;

/// Threads that open logs: they wait for the disk more than they compute.
const THREADS: usize = 8;

/// Opens every partition of `catalog`. Topics that were being deleted are left out, and directories of no topic are
/// moved aside.
///
/// # Errors
/// The catalog makes no sense, or a log can't be opened.
pub fn open_all(folder: &Folder, defaults: &Defaults, catalog: &Catalog, clean: bool) -> Result<Topics, OpenError> {
    let deleted = folder.deleted()?;
    let mut topics = Vec::new();
    let mut work = Vec::new();
    for listed in &catalog.topics {
        let topic = read(folder, listed)?;
        if deleted.contains(&topic.id) {
            finish_deleting(folder, &topic, listed.partitions)?;
            continue;
        }
        work.extend((0..listed.partitions).map(|index| (listed.name.as_str(), index, defaults.with(&topic.settings))));
        topics.push((topic, listed.partitions as usize));
    }
    set_strays_aside(folder, &work)?;
    let opened = in_parallel(&work, |(topic, index, effective)| open(folder, topic, *index, effective, clean));
    let mut opened = opened.into_iter();
    let mut registered = Topics::default();
    for (mut topic, partitions) in topics {
        topic.partitions = opened.by_ref().take(partitions).collect::<Result<_, _>>()?;
        registered.put(topic);
    }
    Ok(registered)
}

/// Makes the partitions `indexes` of a topic that doesn't have them yet.
///
/// # Errors
/// A log can't be made; none of them is left.
pub fn make(
    folder: &Folder,
    topic: &str,
    indexes: Range<i32>,
    effective: &Effective,
) -> io::Result<Vec<Arc<Partition>>> {
    let indexes: Vec<i32> = indexes.collect();
    let made = in_parallel(&indexes, |index| {
        let path = folder.partition(topic, *index);
        // Nothing that was there before may become part of a new topic.
        std::fs::create_dir(&path)?;
        let opened = Log::open(path, effective.log(), true)?;
        Ok(Arc::new(Partition::new(topic, *index, opened.log, effective.flush)))
    });
    let made: io::Result<Vec<_>> = made.into_iter().collect();
    let made = made.and_then(|made| folder.sync_partitions().map(|()| made));
    if made.is_err() {
        let nobody = Uuid::new_v4();
        indexes.iter().for_each(|index| drop(folder.set_deleted(topic, nobody, *index)));
        folder.remove_deleted();
    }
    made
}

/// Does `work` on all of `items` on several threads; what it returns is in their order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..THREADS.min(items.len()) {
            scope.spawn(|| {
                while let Some((index, item)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    items.get(index).map(|item| (index, item))
                } {
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn open(
    folder: &Folder,
    topic: &str,
    index: i32,
    effective: &Effective,
    clean: bool,
) -> Result<Arc<Partition>, OpenError> {
    let path = folder.partition(topic, index);
    let opened = Log::open(path.clone(), effective.log(), clean);
    let opened = opened.map_err(|source| OpenError::File { what: "open the log in", path, source })?;
    if opened.cut > 0 {
        tracing::warn!(
            topic,
            partition = index,
            bytes = opened.cut,
            "cut what was not wholly written when the last process ended"
        );
    }
    Ok(Arc::new(Partition::new(topic, index, opened.log, effective.flush)))
}

/// A topic of the list, without its partitions.
fn read(folder: &Folder, listed: &Listed) -> Result<Topic, OpenError> {
    let unusable = |reason: String| OpenError::Topics {
        path: folder.path().join("topics.json"),
        reason: format!("topic {:?}: {reason}", listed.name),
    };
    name::check(&listed.name).map_err(|refused| unusable(refused.message))?;
    let id = Uuid::try_parse(&listed.id).map_err(|error| unusable(error.to_string()))?;
    let settings = listed.settings.iter().map(|(name, value)| (name.as_str(), Some(value.as_str())));
    let settings = checked(settings).map_err(|refused| unusable(refused.message))?;
    Ok(Topic { name: listed.name.clone(), id, partitions: Vec::new(), settings })
}

fn finish_deleting(folder: &Folder, topic: &Topic, partitions: i32) -> Result<(), OpenError> {
    let moved = (0..partitions).try_for_each(|index| folder.set_deleted(&topic.name, topic.id, index));
    moved.map_err(|source| OpenError::File {
        what: "remove a deleted topic from",
        path: folder.path().to_owned(),
        source,
    })
}

fn set_strays_aside(folder: &Folder, known: &[(&str, i32, Effective)]) -> Result<(), OpenError> {
    let known: HashSet<String> = known.iter().map(|(topic, index, _)| format!("{topic}-{index}")).collect();
    for stray in folder.partitions()?.into_iter().filter(|name| !known.contains(name)) {
        match folder.set_aside(&stray) {
            Ok(to) => tracing::warn!(partition = stray, moved_to = %to.display(), "a partition belongs to no topic"),
            Err(source) => {
                return Err(OpenError::File {
                    what: "move aside the partition",
                    path: folder.path().join("topics").join(stray),
                    source,
                });
            }
        }
    }
    Ok(())
}
