//! What a batch must be to be taken.

use crc32c::crc32c;

use super::super::tests::{Producer, batch, produced};
use super::*;
use crate::record_batch::OVERHEAD;
use crate::record_batch::field::{
    ATTRIBUTES, BASE_OFFSET, BASE_SEQUENCE, COUNT, CRC, LAST_OFFSET_DELTA, LENGTH, MAGIC, MAX_TIMESTAMP, PRODUCER_ID,
};

const CONTROL_BIT: i16 = 1 << 5;
const TRANSACTIONAL_BIT: i16 = 1 << 4;
const LOG_APPEND_TIME_BIT: i16 = 1 << 3;

/// A batch with `change` made to its header, and the checksum it then needs.
fn changed(change: impl FnOnce(&mut Header)) -> Vec<u8> {
    resealed(batch(&[(5, "a"), (6, "b")]).to_vec(), |bytes| {
        let mut header = Header::first_of(bytes).unwrap();
        change(&mut header);
        bytes[..HEADER].copy_from_slice(header.bytes());
    })
}

/// The batch with `change` made to its bytes, and the length and checksum it then needs.
fn resealed(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut bytes);
    let length = (bytes.len() - OVERHEAD) as i32;
    bytes[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c(&bytes[ATTRIBUTES..]);
    bytes[CRC..CRC + 4].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn refused(bytes: &[u8]) -> ResponseError {
    check(bytes, 1 << 20).unwrap_err()
}

#[test]
fn the_fields_are_what_the_codec_wrote() {
    let producer = Producer { id: 7, epoch: 3, sequence: 11 };
    let batch = produced(&[(50, "a"), (70, "b"), (60, "c")], 2, Some(producer));
    let header = check(&batch, batch.len()).unwrap();
    assert_eq!((header.size(), header.count(), header.compression()), (batch.len(), 3, Some(Compression::Snappy)));
    assert_eq!((header.base_timestamp(), header.max_timestamp()), (50, 70));
    assert_eq!((header.producer_id(), header.producer_epoch()), (Some(7), 3));
    assert_eq!((header.base_sequence(), header.last_sequence()), (11, 13));
}

#[test]
fn sequences_wrap() {
    let header = changed(|header| header.set(BASE_SEQUENCE, i32::MAX.to_be_bytes()));
    assert_eq!(check(&header, 1 << 20).unwrap().last_sequence(), 0);
}

#[test]
fn what_is_damaged_is_corrupt() {
    let good = batch(&[(5, "a")]);
    for bit in ATTRIBUTES * 8..good.len() * 8 {
        let mut bytes = good.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(refused(&bytes), ResponseError::CorruptMessage, "bit {bit}");
    }
    for length in 0..good.len() {
        assert_eq!(refused(&good[..length]), ResponseError::CorruptMessage, "{length} bytes");
    }
}

#[test]
fn a_batch_has_the_records_that_it_says() {
    let ends = [(-1, 0), (1, -2), (0, 2), (2, 2), (i32::MIN, i32::MIN), (0, 1), (2, 3), (9_999, 10_000)];
    for (delta, count) in ends {
        let bytes = changed(|header| {
            header.set(LAST_OFFSET_DELTA, i32::to_be_bytes(delta));
            header.set(COUNT, i32::to_be_bytes(count));
        });
        assert_eq!(refused(&bytes), ResponseError::InvalidRecord, "{count} records, last delta {delta}");
    }
    // The second record's offset; a byte of the second record in none; a byte behind them.
    let good = batch(&[(5, "a"), (6, "b")]);
    for (place, value) in [(72, 4), (HEADER + 8, 10)] {
        assert_eq!(refused(&resealed(good.to_vec(), |bytes| bytes[place] = value)), ResponseError::InvalidRecord);
    }
    assert_eq!(refused(&resealed(good.to_vec(), |bytes| bytes.push(0))), ResponseError::InvalidRecord);
    assert_eq!(refused(&changed(|header| header.set(BASE_OFFSET, 1_i64.to_be_bytes()))), ResponseError::InvalidRecord);
}

#[test]
fn what_a_client_may_not_write_is_refused() {
    let good = batch(&[(5, "a")]);
    assert_eq!(refused(&[&good[..], &good].concat()), ResponseError::InvalidRecord);
    assert_eq!(check(&good, good.len() - 1), Err(ResponseError::MessageTooLarge));
    assert_eq!(refused(&changed(|header| header.set(MAGIC, [1]))), ResponseError::InvalidRecord);
    let with_attributes = |bits: i16| changed(|header| header.set(ATTRIBUTES, bits.to_be_bytes()));
    assert_eq!(refused(&with_attributes(CONTROL_BIT)), ResponseError::InvalidRecord);
    assert_eq!(refused(&with_attributes(TRANSACTIONAL_BIT)), ResponseError::InvalidTxnState);
    assert_eq!(refused(&with_attributes(5)), ResponseError::UnsupportedCompressionType);
    assert_eq!(refused(&with_attributes(LOG_APPEND_TIME_BIT)), ResponseError::InvalidTimestamp);
    let nameless = changed(|header| header.set(PRODUCER_ID, 4_i64.to_be_bytes()));
    assert_eq!(refused(&nameless), ResponseError::InvalidRecord);
}

#[test]
fn timestamps_are_at_most_an_hour_ahead() {
    let is_timely = |time: i64| {
        let bytes = changed(|header| header.set(MAX_TIMESTAMP, time.to_be_bytes()));
        check(&bytes, 1 << 20).unwrap().is_timely(1_000)
    };
    assert_eq!([-2, -1, 0, 3_601_000, 3_601_001].map(is_timely), [false, true, true, true, false]);
}

#[test]
fn a_stamped_batch_has_a_right_checksum() {
    let batch = batch(&[(5, "a"), (6, "b")]);
    let mut header = check(&batch, batch.len()).unwrap();
    header.place(77);
    header.stamp(123, &batch[HEADER..]);
    let stamped = [header.bytes(), &batch[HEADER..]].concat();
    let header = Header::read(&stamped).unwrap();
    assert_eq!((header.base_offset(), header.next_offset(), header.max_timestamp()), (77, 79, 123));
    assert!(header.has_log_append_time());
    assert_eq!(header.crc(), crc32c(&stamped[ATTRIBUTES..]));
    // No producer may send it like that, wherever it is placed.
    let unplaced = resealed(stamped, |bytes| bytes[..LENGTH].fill(0));
    assert_eq!(refused(&unplaced), ResponseError::InvalidTimestamp);
}
