//! What the APIs act on.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::embedded::kafka::api::Instruments;
use crate::embedded::kafka::groups::Coordinator;
use crate::embedded::kafka::memory::Memory;
use crate::embedded::kafka::producer_ids::ProducerIds;
use crate::embedded::kafka::topics::Registry;

/// The node's number in the cluster that is itself alone.
pub const NODE_ID: i32 = 1;

/// Where clients are told to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Limits that every connection is held to.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// Bytes of one request.
    pub request_bytes: usize,
    /// Bytes that large requests and answers may take in all; at least `request_bytes`.
    pub memory_bytes: usize,
    /// How long a connection may be idle.
    pub idle: Duration,
}

impl Default for Limits {
    /// Kafka's, where Kafka has them.
    fn default() -> Self {
        Self {
            connections: 10_000,
            request_bytes: 100 * 1024 * 1024,
            memory_bytes: 256 * 1024 * 1024,
            idle: Duration::from_secs(600),
        }
    }
}

/// The node: what the APIs answer from and act on.
pub struct Broker {
    /// Where clients are told to connect.
    pub advertised: Advertised,
    /// The limits in force.
    pub limits: Limits,
    /// Whether asking for a topic makes it.
    pub create_topics: bool,
    /// The topics.
    pub topics: Registry,
    /// The groups.
    pub groups: Coordinator,
    /// Numbers for idempotent producers.
    pub producer_ids: ProducerIds,
    /// What large requests and answers take.
    pub memory: Memory,
    /// Cancelled when the broker is to end: whoever waits answers at once.
    pub stopping: CancellationToken,
    /// Counts and latencies by API.
    pub instruments: Instruments,
}

impl Broker {
    /// A broker with `topics` and `groups`, not listening yet. Its metrics go to the recorder that is installed by now.
    pub fn new(
        advertised: Advertised,
        limits: Limits,
        topics: Registry,
        groups: Coordinator,
        producer_ids: ProducerIds,
    ) -> Self {
        Self {
            advertised,
            memory: Memory::new(limits.memory_bytes.max(limits.request_bytes)),
            limits,
            create_topics: false,
            topics,
            groups,
            producer_ids,
            stopping: CancellationToken::new(),
            instruments: Instruments::new(),
        }
    }
}
