//! Lua scripts, kept in files.
//!
//! kevy writes a call by hash into its append-only file as it came, and has forgotten the script when it reads that file
//! again: all that the call had written would be gone without a word. So each script is in a file of its own before it
//! is called for the first time, and known again before the append-only file is read.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kevy::Argv;
use kevy_lua::sha1::{parse_hex, sha1};
use kevy_rt::Store;
use uuid::Uuid;

use crate::embedded::replace::{replace_durably, sync_directory};

/// Scripts that are kept at most: who puts values into the text of scripts makes a new one of each call.
const MAX_SCRIPTS: usize = 10_000;

/// The scripts of a server. Cheap to clone.
#[derive(Clone)]
pub struct Scripts {
    folder: Arc<Path>,
    state: Arc<Mutex<State>>,
}

/// What a script is called by: its SHA-1.
type Hash = [u8; 20];

#[derive(Default)]
struct State {
    /// Those that have a file.
    kept: HashMap<Vec<u8>, Hash>,
    /// Those that kevy knows.
    known: HashSet<Hash>,
}

impl Scripts {
    /// Makes the scripts in `folder` known to kevy.
    ///
    /// # Errors
    /// They can't be read.
    pub fn load(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut state = State::default();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "lua") {
                continue;
            }
            let source = fs::read(path)?;
            let mut load = Argv::default();
            [b"SCRIPT".as_slice(), b"LOAD", &source].into_iter().for_each(|arg| load.push(arg));
            // The cache is the process's; the store is only asked for.
            kevy::dispatch(&mut Store::new(), &load);
            let hash = sha1(&source);
            state.known.insert(hash);
            state.kept.insert(source, hash);
        }
        Ok(Self { folder: folder.into(), state: Arc::new(Mutex::new(state)) })
    }

    /// Keeps `source`, if it isn't kept yet. When that can't be, it is said, and what the script writes may be lost with
    /// the process.
    pub fn keep(&self, source: &[u8]) {
        let mut state = self.state();
        if let Some(hash) = state.kept.get(source).copied() {
            state.known.insert(hash);
            return;
        }
        let hash = sha1(source);
        state.known.insert(hash);
        if state.kept.len() >= MAX_SCRIPTS {
            return;
        }
        match self.write(source) {
            Ok(()) => drop(state.kept.insert(source.to_vec(), hash)),
            Err(error) => tracing::error!(%error, "the embedded Redis can't keep a script"),
        }
        if state.kept.len() == MAX_SCRIPTS {
            tracing::warn!(
                "the embedded Redis keeps no more scripts than these {MAX_SCRIPTS}; give them values as arguments, not as text"
            );
        }
    }

    /// kevy has been told to forget them all; the files stay, for the calls that were.
    pub fn forget(&self) {
        self.state().known.clear();
    }

    /// Whether kevy knows the script with this hash (in hexadecimal).
    pub fn knows(&self, hash: &[u8]) -> bool {
        parse_hex(hash).is_some_and(|hash| self.state().known.contains(&hash))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, source: &[u8]) -> io::Result<()> {
        let name = format!("{}.lua", Uuid::now_v7().simple());
        replace_durably(&self.folder.join(name), source)?;
        sync_directory(&self.folder)
    }
}
