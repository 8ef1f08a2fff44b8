//! What the journal is made of, and how an entry lies in the file.
//!
//! An entry is the length of its payload and the payload's CRC-32C (both 4 bytes, big-endian), then the payload: the
//! entry as JSON, with bytes as base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::embedded::kafka::groups::types::Commit;

/// Bytes before the payload of an entry.
const HEADER: usize = 8;

/// A change that has to survive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A group got its assignments, or lost its last member.
    Group(GroupRecord),
    /// Offsets were committed.
    Offsets {
        /// The group.
        group: String,
        /// The offsets.
        offsets: Vec<Commit>,
    },
    /// Offsets were deleted.
    DeletedOffsets {
        /// The group.
        group: String,
        /// Topic and partition of each.
        partitions: Vec<(String, i32)>,
    },
    /// A group is gone, with its offsets.
    DeletedGroup {
        /// The group.
        group: String,
    },
    /// A topic is gone, and what any group had committed for it.
    DeletedTopic {
        /// The topic.
        topic: String,
    },
}

/// A group between two rebalances: stable if it has members, else empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// The group's id.
    pub group: String,
    /// Its generation.
    pub generation: i32,
    /// The kind of group.
    pub protocol_type: Option<String>,
    /// The chosen protocol.
    pub protocol: Option<String>,
    /// Its leader's member id.
    pub leader: Option<String>,
    /// Its members.
    pub members: Vec<MemberRecord>,
}

/// A member of a stable group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// Its id.
    pub member_id: String,
    /// Its `group.instance.id`, if it is static.
    pub instance_id: Option<String>,
    /// Its client id.
    pub client_id: String,
    /// Where it is.
    pub client_host: String,
    /// How long it may be silent.
    pub session_timeout_ms: u64,
    /// How long it may take to rejoin.
    pub rebalance_timeout_ms: u64,
    /// What it supports, the best first, each with its metadata.
    pub protocols: Vec<(String, Blob)>,
    /// What the leader gave it.
    pub assignment: Blob,
}

/// Bytes that are base64 in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(|bytes| Self(bytes.into())).map_err(D::Error::custom)
    }
}

/// Writes an entry behind what is in `buffer`.
///
/// # Errors
/// When it is longer than a length can say.
pub fn encode(entry: &Entry, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    let start = buffer.len();
    buffer.resize(start + HEADER, 0);
    serde_json::to_writer(&mut *buffer, entry)?;
    let (header, payload) = buffer[start..].split_at_mut(HEADER);
    let length = u32::try_from(payload.len()).map_err(|_| std::io::Error::other("a journal entry beyond 4 GiB"))?;
    header[..4].copy_from_slice(&length.to_be_bytes());
    header[4..].copy_from_slice(&crc32c::crc32c(payload).to_be_bytes());
    Ok(())
}

/// Reads the entry that `bytes` begin with, and the bytes it takes; `None` when it isn't whole.
///
/// # Errors
/// When it is whole, but nothing that this version of kboard knows.
pub fn decode(bytes: &[u8]) -> serde_json::Result<Option<(Entry, usize)>> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
    let [a, b, c, d, crc @ ..] = *header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    match rest.get(..length) {
        Some(payload) if crc32c::crc32c(payload) == u32::from_be_bytes(crc) => {
            serde_json::from_slice(payload).map(|entry| Some((entry, HEADER + length)))
        }
        _ => Ok(None),
    }
}
