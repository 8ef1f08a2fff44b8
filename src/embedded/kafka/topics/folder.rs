//! The data folder.
//!
//! ```text
//! lock            held by the process that uses the folder; holds its number
//! topics.json     the cluster's id, and the topics: name, id, number of partitions, settings
//! clean           there if the last process ended in order
//! topics/name-0   one directory a partition
//! deleted/        directories of deleted topics, by id, until they are removed
//! stray/          directories of no topic that is known, moved aside at start; nothing removes them
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::embedded::lock::{Lock, LockError};
use crate::embedded::replace::{replace_durably, sync_directory};

/// The format of `topics.json`.
const FORMAT: u32 = 1;

/// The data folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It belongs to another process, or can't be had at all.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file in it can't be read or written.
    #[error("can't {what} {}: {source}", path.display())]
    File {
        /// What was to be done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it can't be.
        #[source]
        source: io::Error,
    },
    /// The list of topics makes no sense.
    #[error("{} can't be used: {reason}", path.display())]
    Topics {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// What `topics.json` holds.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub struct Catalog {
    format: u32,
    /// The cluster's id.
    pub cluster_id: String,
    /// The topics.
    pub topics: Vec<Listed>,
}

/// A topic in the list.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// What is set on it.
    pub settings: BTreeMap<String, String>,
}

impl Catalog {
    /// The list of `topics` in the cluster `cluster_id`.
    pub fn new(cluster_id: String, topics: Vec<Listed>) -> Self {
        Self { format: FORMAT, cluster_id, topics }
    }
}

/// A data folder that this process alone uses.
pub struct Folder {
    path: PathBuf,
    _lock: Lock,
}

impl Folder {
    /// Takes `path` into use, and makes it if it isn't there.
    ///
    /// # Errors
    /// Another process uses it, or it can't be written to.
    pub fn take(path: &Path) -> Result<Self, OpenError> {
        let lock = Lock::take(path)?;
        for directory in ["topics", "deleted"] {
            let path = path.join(directory);
            fs::create_dir_all(&path).map_err(|source| OpenError::File { what: "make", path, source })?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a partition's log is.
    pub fn partition(&self, topic: &str, index: i32) -> PathBuf {
        self.path.join("topics").join(format!("{topic}-{index}"))
    }

    /// Reads the list of topics; there is none in a new folder.
    ///
    /// # Errors
    /// It can't be read, or it is missing although there are partitions.
    pub fn read_catalog(&self) -> Result<Option<Catalog>, OpenError> {
        let path = self.path.join("topics.json");
        let unusable = |reason| OpenError::Topics { path: path.clone(), reason };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match self.partitions()?.len() {
                    0 => Ok(None),
                    some => Err(unusable(format!("it is missing, although there are {some} partitions"))),
                };
            }
            Err(source) => return Err(OpenError::File { what: "read", path, source }),
        };
        let catalog: Catalog = serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
        if catalog.format != FORMAT {
            return Err(unusable(format!("its format is {}, this kboard knows {FORMAT}", catalog.format)));
        }
        Ok(Some(catalog))
    }

    /// Replaces the list of topics, all of it or nothing, whenever the machine stops.
    ///
    /// # Errors
    /// It can't be written; the old one is in force.
    pub fn write_catalog(&self, catalog: &Catalog) -> io::Result<()> {
        replace_durably(&self.path.join("topics.json"), &serde_json::to_vec_pretty(catalog)?)?;
        sync_directory(&self.path)
    }

    /// Makes new partitions' directories outlive a crash.
    ///
    /// # Errors
    /// The disk doesn't say that it has them.
    pub fn sync_partitions(&self) -> io::Result<()> {
        sync_directory(&self.path.join("topics"))
    }

    /// Whether the last process ended in order. What this one does is not in order until it has ended.
    ///
    /// # Errors
    /// The mark can't be removed.
    pub fn take_clean_mark(&self) -> io::Result<bool> {
        match fs::remove_file(self.path.join("clean")) {
            Ok(()) => sync_directory(&self.path).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Says that this process ended in order.
    ///
    /// # Errors
    /// The mark can't be written.
    pub fn leave_clean_mark(&self) -> io::Result<()> {
        File::create(self.path.join("clean"))?.sync_all()?;
        sync_directory(&self.path)
    }

    /// The names of the partitions' directories.
    ///
    /// # Errors
    /// They can't be listed.
    pub fn partitions(&self) -> Result<Vec<String>, OpenError> {
        self.names_in("topics")
    }

    /// The ids of the topics that were being deleted.
    ///
    /// # Errors
    /// They can't be listed.
    pub fn deleted(&self) -> Result<Vec<Uuid>, OpenError> {
        let id = |name: String| Uuid::try_parse(name.get(..36)?).ok();
        Ok(self.names_in("deleted")?.into_iter().filter_map(id).collect())
    }

    /// Takes a partition's directory away from its topic; [`remove_deleted`](Self::remove_deleted) removes it.
    ///
    /// # Errors
    /// It can't be moved.
    pub fn set_deleted(&self, topic: &str, id: Uuid, index: i32) -> io::Result<()> {
        match fs::rename(self.partition(topic, index), self.path.join("deleted").join(format!("{id}-{index}"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            moved => moved,
        }
    }

    /// Removes what was deleted. What can't be removed is tried again at the next start.
    pub fn remove_deleted(&self) {
        let names = self.names_in("deleted").unwrap_or_default();
        for path in names.into_iter().map(|name| self.path.join("deleted").join(name)) {
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!(path = %path.display(), %error, "can't remove a deleted partition");
            }
        }
    }

    /// Moves the directory `name` aside, which belongs to no topic.
    ///
    /// # Errors
    /// It can't be moved.
    pub fn set_aside(&self, name: &str) -> io::Result<PathBuf> {
        let aside = self.path.join("stray").join(Uuid::now_v7().to_string());
        fs::create_dir_all(&aside)?;
        let to = aside.join(name);
        fs::rename(self.path.join("topics").join(name), &to)?;
        Ok(to)
    }

    fn names_in(&self, directory: &str) -> Result<Vec<String>, OpenError> {
        let path = self.path.join(directory);
        let names = || {
            let entries = fs::read_dir(&path)?.collect::<io::Result<Vec<_>>>()?;
            Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
        };
        names().map_err(|source| OpenError::File { what: "list", path: path.clone(), source })
    }
}
