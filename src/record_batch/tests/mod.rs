//! Batches as the codec of the protocol writes them.

mod decoder;

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};

/// A record of a batch without a producer.
pub fn record(place: usize, timestamp: i64, value: &str) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: place as i64,
        // The encoder begins another batch where sequences and offsets do not grow together.
        sequence: NO_SEQUENCE.wrapping_add(place as i32),
        timestamp,
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Default::default(),
    }
}

/// These records, compressed by Kafka's number.
pub fn encoded(records: &[Record], compression: i16) -> Bytes {
    let compression = match compression {
        0 => Compression::None,
        1 => Compression::Gzip,
        2 => Compression::Snappy,
        3 => Compression::Lz4,
        4 => Compression::Zstd,
        other => panic!("no compression {other}"),
    };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, records, &RecordEncodeOptions { version: 2, compression }).unwrap();
    bytes.freeze()
}

/// A batch of records (timestamp, value), compressed by Kafka's number.
pub fn produced(records: &[(i64, &str)], compression: i16) -> Bytes {
    let record = |(place, (timestamp, value)): (usize, &(i64, &str))| record(place, *timestamp, value);
    encoded(&records.iter().enumerate().map(record).collect::<Vec<_>>(), compression)
}

/// The batch as the log has it at an offset.
pub fn placed(batch: &Bytes, base_offset: i64) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes.into()
}
