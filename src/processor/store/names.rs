//! The names of a group's keys.

/// Of the group named `orders`, in the space `S`:
///
/// | key | type | what |
/// |---|---|---|
/// | `kboard:orders` | hash | `space`: the one that is live; `old/S`: spaces that are to be removed; what its window keeps |
/// | `kboard:orders:fence` | string | which rebuild holds the states, and until when it may |
/// | `kboard:orders:outbox:T:P` | hash | records to send, by their ids, of what the partition `P` of `T` brought |
/// | `kboard:orders:S` | hash | the next offset of each partition, and the id of each topic |
/// | `kboard:orders:S:s:KEY` | string | a state, as [`value`](super::value) writes it |
/// | `kboard:orders:S:wakes:T:P` | sorted set | keys by the time at which they are decided about again |
/// | `kboard:orders:S:i:NAME` | sorted set | an index: keys by their scores |
#[derive(Clone, Debug)]
pub struct Names {
    root: String,
}

impl Names {
    /// Of `group`, with `prefix` before everything.
    pub fn new(prefix: &str, group: &str) -> Self {
        Self { root: format!("{prefix}kboard:{group}") }
    }

    /// What tells the live space.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The fence.
    pub fn fence(&self) -> String {
        format!("{}:fence", self.root)
    }

    /// The outbox of a partition.
    pub fn outbox(&self, home: &str) -> String {
        format!("{}:outbox:{home}", self.root)
    }

    /// Where a space stands.
    pub fn offsets(&self, space: &str) -> String {
        format!("{}:{space}", self.root)
    }

    /// A state.
    pub fn state(&self, space: &str, key: &str) -> String {
        format!("{}:{space}:s:{key}", self.root)
    }

    /// The wake-ups that a partition's reader sees to.
    pub fn wakes(&self, space: &str, home: &str) -> String {
        format!("{}:{space}:wakes:{home}", self.root)
    }

    /// An index.
    pub fn index(&self, space: &str, name: &str) -> String {
        format!("{}:{space}:i:{name}", self.root)
    }
}
