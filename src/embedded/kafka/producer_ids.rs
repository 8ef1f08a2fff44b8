//! Numbers for idempotent producers: none is given out twice, whatever is killed.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use kafka_protocol::error::ResponseError;

use crate::embedded::replace::{replace_durably, sync_directory};

/// Numbers that are reserved on disk at a time: a killed process loses at most so many, which are plenty.
const BLOCK: i64 = 1_000;
/// The file that holds the first number that is not reserved.
const FILE: &str = "producer-ids";

/// Gives the numbers out. Cheap to clone.
#[derive(Clone)]
pub struct ProducerIds {
    dir: Arc<Path>,
    state: Arc<Mutex<State>>,
}

struct State {
    next: i64,
    reserved: i64,
}

impl ProducerIds {
    /// Goes on after the numbers that were reserved in `dir`.
    ///
    /// # Errors
    /// The file can't be read, or is not a number.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let reserved = match std::fs::read_to_string(dir.join(FILE)) {
            Ok(text) => text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { dir: dir.into(), state: Arc::new(Mutex::new(State { next: reserved, reserved })) })
    }

    /// The next number.
    ///
    /// # Errors
    /// `KafkaStorageError`: no more can be reserved.
    pub fn next(&self) -> Result<i64, ResponseError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.next == state.reserved {
            let reserved = state.reserved + BLOCK;
            self.reserve(reserved).map_err(|error| {
                tracing::error!(%error, "can't reserve producer ids");
                ResponseError::KafkaStorageError
            })?;
            state.reserved = reserved;
        }
        state.next += 1;
        Ok(state.next - 1)
    }

    fn reserve(&self, below: i64) -> io::Result<()> {
        replace_durably(&self.dir.join(FILE), below.to_string().as_bytes())?;
        sync_directory(&self.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_given_out_twice_however_often_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let mut last = -1;
        for _ in 0..3 {
            let ids = ProducerIds::open(dir.path()).unwrap();
            for _ in 0..BLOCK + 1 {
                let next = ids.next().unwrap();
                assert!(next > last);
                last = next;
            }
        }
    }
}
