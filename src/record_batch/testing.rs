//! Records for the tests of those who read them.

use std::sync::Arc;

use bytes::Bytes;

use super::{Batch, Compression, Headers, Record, TimestampType};

/// The first record of its partition, in a batch of its own; a test says what matters to it.
pub fn record(value: Option<&[u8]>, headers: Headers) -> Record {
    let batch = Batch {
        compression: Compression::None,
        timestamp_type: TimestampType::Create,
        transactional: false,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        leader_epoch: 0,
        base_offset: 0,
        bytes: 0,
        records: 1,
    };
    Record {
        offset: 0,
        timestamp: 0,
        key: None,
        value: value.map(Bytes::copy_from_slice),
        headers,
        aborted: false,
        batch: Arc::new(batch),
    }
}
