//! Topics by name and id. They are made, changed and deleted one at a time, and looked up without waiting for that.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::Partition;
use super::folder::{Catalog, Folder, Listed, OpenError};
use super::settings::{Defaults, Settings};

mod change;
mod logs;

pub use change::{Created, NewTopic};

/// How topics are kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder.
    pub folder: PathBuf,
    /// What is in force where a topic has no setting of its own.
    pub defaults: Defaults,
    /// Topics at most.
    pub max_topics: usize,
    /// Partitions of all topics at most.
    pub max_partitions: usize,
}

impl Options {
    /// Kafka's defaults in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), defaults: Defaults::default(), max_topics: 10_000, max_partitions: 20_000 }
    }
}

/// A topic, as it is at one time.
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id, which another topic of this name doesn't have.
    pub id: Uuid,
    /// Its partitions, from 0 on.
    pub partitions: Vec<Arc<Partition>>,
    /// What is set on it.
    pub settings: Settings,
}

/// The topics. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    folder: Folder,
    options: Options,
    cluster_id: String,
    topics: RwLock<Topics>,
    /// Held by who changes anything: between looking and changing nobody else does. True once nothing may change.
    changing: Mutex<bool>,
}

#[derive(Default)]
struct Topics {
    by_name: BTreeMap<String, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

impl Topics {
    fn put(&mut self, topic: Topic) {
        let topic = Arc::new(topic);
        self.by_id.insert(topic.id, Arc::clone(&topic));
        self.by_name.insert(topic.name.clone(), topic);
    }
}

/// A new id. Written as Kafka does it, none begins with a dash, which tools would take for an option.
fn new_id() -> Uuid {
    loop {
        let id = Uuid::new_v4();
        // The first of the characters with six bits each; 62 is the dash.
        if id.as_bytes()[0] >> 2 != 62 {
            return id;
        }
    }
}

impl Registry {
    /// Takes the data folder into use, and opens the logs of all partitions in it, several at once.
    ///
    /// # Errors
    /// Another process uses the folder, or something in it can't be read.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let folder = Folder::take(&options.folder)?;
        let (catalog, new) = match folder.read_catalog()? {
            Some(catalog) => (catalog, false),
            None => (Catalog::new(URL_SAFE_NO_PAD.encode(new_id()), Vec::new()), true),
        };
        let failed = |what, source| OpenError::File { what, path: options.folder.clone(), source };
        let clean = folder.take_clean_mark();
        let clean = clean.map_err(|source| failed("remove the mark of a clean end in", source))?;
        let topics = logs::open_all(&folder, &options.defaults, &catalog, clean)?;
        let half_deleted = topics.by_name.len() != catalog.topics.len();
        let shared = Shared {
            options: options.clone(),
            cluster_id: catalog.cluster_id,
            topics: RwLock::new(topics),
            changing: Mutex::default(),
            folder,
        };
        if new || half_deleted {
            shared.save(|_| {}).map_err(|source| failed("write the list of topics in", source))?;
        }
        shared.folder.remove_deleted();
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The cluster's id, which the data folder keeps.
    pub fn cluster_id(&self) -> &str {
        &self.shared.cluster_id
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.shared.folder.path()
    }

    /// The broker's defaults.
    pub fn defaults(&self) -> &Defaults {
        &self.shared.options.defaults
    }

    /// The topic `name`.
    pub fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.shared.read().by_name.get(name).cloned()
    }

    /// The topic with this id.
    pub fn get_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.shared.read().by_id.get(&id).cloned()
    }

    /// Every topic, by name.
    pub fn all(&self) -> Vec<Arc<Topic>> {
        self.shared.read().by_name.values().cloned().collect()
    }

    /// A partition.
    ///
    /// # Errors
    /// `UnknownTopicOrPartition`.
    pub fn partition(&self, topic: &str, index: i32) -> Result<Arc<Partition>, ResponseError> {
        let topics = self.shared.read();
        topics.by_name.get(topic).and_then(|topic| topic.partition(index)).ok_or(ResponseError::UnknownTopicOrPartition)
    }

    /// Writes to the disk what has waited long enough, in all partitions; `now_ms` is the time in milliseconds.
    pub fn flush_due(&self, now_ms: i64) {
        self.each(|partition| partition.flush_if_due(now_ms));
    }

    /// Removes segments by age and size, in all partitions.
    pub fn retain(&self, now_ms: i64) {
        self.each(|partition| partition.retain(now_ms));
    }

    /// Closes all logs, several at once, so that the next start is quick. Nothing can be used or changed any more.
    ///
    /// # Errors
    /// A log can't be closed; the next start looks through all of them.
    pub fn close(&self) -> io::Result<()> {
        let mut closed = self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *closed, true) {
            return Ok(());
        }
        let partitions: Vec<_> = self.all().iter().flat_map(|topic| topic.partitions.clone()).collect();
        logs::in_parallel(&partitions, |partition| partition.close()).into_iter().collect::<io::Result<()>>()?;
        self.shared.folder.leave_clean_mark()
    }

    fn each(&self, act: impl Fn(&Partition)) {
        self.all().iter().flat_map(|topic| &topic.partitions).for_each(|partition| act(partition));
    }
}

impl Topic {
    /// The partition `index`.
    pub fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        usize::try_from(index).ok().and_then(|index| self.partitions.get(index)).cloned()
    }

    fn listed(&self) -> Listed {
        Listed {
            name: self.name.clone(),
            id: self.id.to_string(),
            partitions: self.partitions.len() as i32,
            settings: self.settings.clone(),
        }
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, Topics> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: impl FnOnce(&mut Topics)) {
        change(&mut self.topics.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Writes the list of topics as it is, but for `change`.
    fn save(&self, change: impl FnOnce(&mut Vec<Listed>)) -> io::Result<()> {
        let mut listed = self.read().by_name.values().map(|topic| topic.listed()).collect();
        change(&mut listed);
        self.folder.write_catalog(&Catalog::new(self.cluster_id.clone(), listed))
    }
}

#[cfg(test)]
mod tests;
