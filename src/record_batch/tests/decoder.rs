//! What a reader gets, whatever is in the bytes.

use bytes::{BufMut, Bytes, BytesMut};
use crc32c::crc32c;
use kafka_protocol::compression::{Compressor, Gzip, Lz4, Snappy, Zstd};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records;
use proptest::prelude::*;

use super::super::field::{ATTRIBUTES, CRC, LENGTH};
use super::super::{Aborted, Compression, Decoder, Entry, HEADER, OVERHEAD, Record, TimestampType, Unreadable};
use super::{encoded, placed, produced, record};

const LIMIT: usize = 1 << 20;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const LOG_APPEND_TIME: i16 = 1 << 3;

/// A batch by hand: what the codec can't write.
struct Batch {
    base_offset: i64,
    last_offset_delta: i32,
    attributes: i16,
    producer_id: i64,
    count: i32,
    records: Vec<u8>,
}

type Header<'a> = (&'a [u8], Option<&'a [u8]>);

impl Batch {
    fn new(base_offset: i64) -> Self {
        Self { base_offset, last_offset_delta: -1, attributes: 0, producer_id: -1, count: 0, records: Vec::new() }
    }

    fn record(mut self, delta: i32, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> Self {
        let mut record = vec![0];
        varint(&mut record, 5);
        varint(&mut record, delta.into());
        nullable(&mut record, key);
        nullable(&mut record, value);
        varint(&mut record, headers.len() as i64);
        for (name, value) in headers {
            nullable(&mut record, Some(name));
            nullable(&mut record, *value);
        }
        nullable(&mut self.records, Some(&record));
        self.count += 1;
        self.last_offset_delta = delta;
        self
    }

    fn bytes(&self) -> Bytes {
        let (mut bytes, mut records) = (BytesMut::new(), BytesMut::new());
        let write = |buffer: &mut BytesMut| {
            buffer.extend_from_slice(&self.records);
            Ok(())
        };
        match self.attributes & 7 {
            1 => Gzip::compress(&mut records, write).unwrap(),
            2 => Snappy::compress(&mut records, write).unwrap(),
            3 => Lz4::compress(&mut records, write).unwrap(),
            4 => Zstd::compress(&mut records, write).unwrap(),
            _ => write(&mut records).unwrap(),
        }
        bytes.put_i64(self.base_offset);
        bytes.put_i32((HEADER - OVERHEAD + records.len()) as i32);
        bytes.put_i32(3); // leader epoch
        bytes.put_u8(2);
        bytes.put_u32(0); // checksum
        bytes.put_i16(self.attributes);
        bytes.put_i32(self.last_offset_delta);
        bytes.put_i64(1_000); // base timestamp
        bytes.put_i64(2_000); // max timestamp
        bytes.put_i64(self.producer_id);
        bytes.put_i16(4);
        bytes.put_i32(9);
        bytes.put_i32(self.count);
        bytes.extend_from_slice(&records);
        seal(&mut bytes);
        bytes.freeze()
    }
}

fn seal(batch: &mut [u8]) {
    let crc = crc32c(&batch[ATTRIBUTES..]);
    batch[CRC..CRC + 4].copy_from_slice(&crc.to_be_bytes());
}

fn varint(buffer: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest >= 0x80 {
        buffer.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    buffer.push(rest as u8);
}

fn nullable(buffer: &mut Vec<u8>, bytes: Option<&[u8]>) {
    varint(buffer, bytes.map_or(-1, |bytes| bytes.len() as i64));
    buffer.extend_from_slice(bytes.unwrap_or_default());
}

/// A batch of a transaction with one record.
fn transactional(base_offset: i64, producer_id: i64) -> Batch {
    let batch = Batch::new(base_offset).record(0, None, Some(b"value"), &[]);
    Batch { attributes: TRANSACTIONAL, producer_id, ..batch }
}

/// What ends a transaction: 0 aborts, 1 commits.
fn marker(base_offset: i64, producer_id: i64, kind: u8) -> Batch {
    let batch = Batch::new(base_offset).record(0, Some(&[0, 0, 0, kind]), Some(&[0; 6]), &[]);
    Batch { attributes: TRANSACTIONAL | CONTROL, producer_id, ..batch }
}

fn decoder(bytes: &[u8], from: i64) -> Decoder {
    Decoder::new(Bytes::copy_from_slice(bytes), from, LIMIT)
}

/// Everything, and the offset at which it goes on. What holds for any bytes is checked.
fn drain(mut decoder: Decoder) -> (Vec<Record>, Vec<Unreadable>, i64) {
    let (mut found, mut spoiled, mut next) = (Vec::new(), Vec::new(), decoder.next_offset());
    let end_offset = decoder.end_offset();
    while let Some(entry) = decoder.next() {
        match entry {
            Entry::Record(record) => {
                assert!(record.offset >= next);
                assert_eq!(record.headers.iter().count(), record.headers.len());
                assert_eq!(decoder.next_offset(), record.offset + 1);
                found.push(record);
            }
            Entry::Unreadable(unreadable) => {
                assert!(unreadable.base_offset <= unreadable.last_offset);
                spoiled.push(unreadable);
            }
        }
        assert!(decoder.next_offset() >= next);
        next = decoder.next_offset();
    }
    let next = decoder.next_offset();
    assert!(end_offset.is_none_or(|end| end == next), "{end_offset:?} {next}");
    (found, spoiled, next)
}

fn offsets(records: &[Record]) -> Vec<i64> {
    records.iter().map(|record| record.offset).collect()
}

#[test]
fn a_record_is_what_was_written() {
    let headers: [Header<'_>; 5] =
        [(b"a", Some(b"1")), (b"a", Some(b"")), (b"", None), (b"\xff\xfe", Some(b"\x80")), (b"n", None)];
    for compression in 0..=4 {
        let mut batch = Batch::new(70).record(0, Some(b""), None, &[]).record(1, None, Some(b""), &headers).record(
            2,
            Some(b"key"),
            Some(b"value"),
            &[],
        );
        batch.attributes = compression;
        let bytes = batch.bytes();
        let (found, spoiled, next) = drain(decoder(&bytes, 0));
        assert_eq!((offsets(&found), spoiled, next), (vec![70, 71, 72], vec![], 73));
        assert_eq!((found[0].key.as_deref(), found[0].value.as_deref()), (Some(&b""[..]), None));
        assert_eq!((found[1].key.as_deref(), found[1].value.as_deref()), (None, Some(&b""[..])));
        assert_eq!((found[2].key.as_deref(), found[2].value.as_deref()), (Some(&b"key"[..]), Some(&b"value"[..])));
        assert_eq!(found[1].headers.iter().collect::<Vec<_>>(), headers);
        assert_eq!((found[1].headers.len(), found[0].headers.is_empty()), (5, true));
        let batch = &found[0].batch;
        assert_eq!(batch.compression, Compression::from_number(compression).unwrap());
        assert_eq!((batch.bytes, batch.records, batch.base_offset), (bytes.len(), 3, 70));
        assert_eq!((batch.leader_epoch, batch.producer_id, batch.producer_epoch), (3, -1, 4));
        assert_eq!((batch.base_sequence, batch.timestamp_type, batch.transactional), (9, TimestampType::Create, false));
        assert_eq!((found[0].timestamp, found[0].aborted), (1_005, false));
        assert_eq!(found[1].detached(), found[1]);
    }
}

#[test]
fn log_append_time_is_that_of_the_batch() {
    let batch = Batch::new(0).record(0, None, None, &[]);
    let (found, ..) = drain(decoder(&Batch { attributes: LOG_APPEND_TIME, ..batch }.bytes(), 0));
    assert_eq!((found[0].timestamp, found[0].timestamp_type()), (2_000, TimestampType::LogAppend));
}

#[test]
fn what_is_before_the_first_offset_is_passed_over() {
    let bytes = [Batch::new(0).record(0, None, None, &[]).bytes(), produced(&[(1, "a"), (2, "b"), (3, "c")], 3)];
    let bytes = [&bytes[0][..], &placed(&bytes[1], 1)].concat();
    for from in 0..=4 {
        assert_eq!(offsets(&drain(decoder(&bytes, from)).0), (from..4).collect::<Vec<_>>());
    }
    assert_eq!(drain(decoder(&bytes, 9)).2, 9);
}

#[test]
fn holes_are_no_records_and_no_faults() {
    let mut first = Batch::new(10).record(2, None, None, &[]).record(7, None, None, &[]);
    first.last_offset_delta = 9;
    let empty = Batch { last_offset_delta: 4, ..Batch::new(20) };
    let bytes = [first.bytes(), empty.bytes()].concat();
    assert_eq!(drain(decoder(&bytes, 0)), (drain(decoder(&bytes, 11)).0, vec![], 25));
    assert_eq!(offsets(&drain(decoder(&bytes, 0)).0), [12, 17]);
}

#[test]
fn aborted_transactions_are_marked_or_left_out() {
    let bytes = [
        transactional(0, 1),
        transactional(1, 2),
        marker(2, 1, 0),
        transactional(3, 1),
        transactional(4, 2),
        marker(5, 2, 1),
        marker(6, 1, 1),
        transactional(7, 3),
        marker(8, 3, 0),
    ];
    let bytes = bytes.map(|batch| batch.bytes()).concat();
    // Producer 1 was aborted once, then committed; 3 was aborted; 2 never.
    let aborted = vec![Aborted { producer_id: 3, first_offset: 7 }, Aborted { producer_id: 1, first_offset: 0 }];
    let (found, spoiled, next) = drain(decoder(&bytes, 0).with_aborted(aborted.clone(), false));
    let marks: Vec<_> = found.iter().map(|record| (record.offset, record.aborted)).collect();
    assert_eq!(marks, [(0, true), (1, false), (3, false), (4, false), (7, true)]);
    assert_eq!((spoiled, next), (vec![], 9));
    assert!(found[0].batch.transactional);
    let (found, _, next) = drain(decoder(&bytes, 0).with_aborted(aborted, true));
    assert_eq!((offsets(&found), next), (vec![1, 3, 4], 9));
}

#[test]
fn older_formats_are_told_by_their_offsets() {
    for format in [0, 1] {
        let mut bytes = BytesMut::new();
        for offset in 0..2 {
            let message = [&[0; 4][..], &[format, 0], &[0; 8][..8 * usize::from(format)], &[0xff; 4], &[0; 4]].concat();
            bytes.put_i64(offset);
            bytes.put_i32(message.len() as i32);
            bytes.extend_from_slice(&message);
        }
        bytes.extend_from_slice(&placed(&produced(&[(3, "c")], 0), 2));
        let (found, spoiled, next) = drain(decoder(&bytes, 0));
        assert_eq!((offsets(&found), next), (vec![2], 3));
        let told: Vec<_> = spoiled.iter().map(|found| (found.base_offset, found.last_offset)).collect();
        assert_eq!(told, [(0, 0), (1, 1)]);
        assert!(spoiled[0].reason.contains(&format!("message format {format}")), "{}", spoiled[0].reason);
    }
}

#[test]
fn a_batch_that_cannot_be_read_is_told_and_the_next_is_read() {
    let good = produced(&[(1, "a"), (2, "b"), (3, "c")], 0);
    let told = |bad: &[u8], reason: &str, read: usize| {
        let bytes = [&placed(&good, 0)[..], bad, &placed(&good, 6)].concat();
        let (found, spoiled, next) = drain(decoder(&bytes, 0));
        assert_eq!((found.len(), spoiled.len(), next), (6 + read, 1, 9), "{reason}: {spoiled:?}");
        assert_eq!((spoiled[0].base_offset, spoiled[0].last_offset), (3 + read as i64, 5));
        assert!(spoiled[0].reason.contains(reason), "{:?} is not {reason:?}", spoiled[0].reason);
    };
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = placed(&good, 3).to_vec();
        change(&mut bytes);
        bytes
    };
    let resealed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = changed(change);
        let length = (bytes.len() - OVERHEAD) as i32;
        bytes[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
        seal(&mut bytes);
        bytes
    };
    told(&changed(&|bytes| bytes[HEADER + 3] ^= 1), "checksum", 0);
    told(&resealed(&|bytes| bytes[ATTRIBUTES + 1] = 7), "doesn't know", 0);
    told(&resealed(&|bytes| bytes[ATTRIBUTES + 1] = 4), "zstd", 0);
    // The second record's length, and how far it is from the first.
    let second = HEADER + 1 + usize::from(good[HEADER] >> 1);
    told(&resealed(&|bytes| bytes[second] = 100), "record", 1);
    told(&resealed(&|bytes| bytes[second + 3] = 0), "record", 1);
    told(&resealed(&|bytes| bytes.truncate(second)), "record", 1);
}

#[test]
fn what_is_behind_the_records_is_told() {
    let mut bytes = produced(&[(1, "a")], 0).to_vec();
    bytes.push(0);
    let length = (bytes.len() - OVERHEAD) as i32;
    bytes[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    seal(&mut bytes);
    let (found, spoiled, next) = drain(decoder(&bytes, 0));
    assert_eq!((found.len(), spoiled.len(), next), (1, 1, 1));
}

#[test]
fn what_decompresses_to_too_much_is_told() {
    for compression in 1..=4 {
        let value = vec![b'x'; LIMIT];
        let mut bomb = Batch::new(5).record(0, None, Some(&value), &[]);
        bomb.attributes = compression;
        let (found, spoiled, next) = drain(decoder(&bomb.bytes(), 0));
        assert_eq!((found.len(), spoiled.len(), next), (0, 1, 6));
        assert!(spoiled[0].reason.contains("more than"), "{}", spoiled[0].reason);
    }
}

#[test]
fn numbers_of_headers_that_are_lies_cost_nothing() {
    let mut record = vec![0, 0, 0, 1, 1];
    varint(&mut record, i32::MAX.into());
    let mut batch = Batch { count: 1, last_offset_delta: 0, ..Batch::new(0) };
    nullable(&mut batch.records, Some(&record));
    let (found, spoiled, _) = drain(decoder(&batch.bytes(), 0));
    assert_eq!((found.len(), spoiled.len()), (0, 1));
}

#[test]
fn every_truncation_leaves_the_whole_batches() {
    let batches = [placed(&produced(&[(1, "a"), (2, "b")], 0), 0), placed(&produced(&[(1, "c")], 1), 2)];
    let bytes = batches.concat();
    for length in 0..=bytes.len() {
        let (found, spoiled, next) = drain(decoder(&bytes[..length], 0));
        let whole = if length == bytes.len() {
            3
        } else if length >= batches[0].len() {
            2
        } else {
            0
        };
        assert_eq!((found.len(), spoiled, next), (whole, vec![], whole as i64), "{length} bytes");
    }
}

fn text() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..300))
}

proptest! {
    #[test]
    fn it_reads_what_the_codec_writes(
        compression in 0..=4_i16,
        written in prop::collection::vec(
            (text(), text(), prop::collection::btree_map("[a-z]{0,4}", text(), 0..4), 0..9_000_i64), 1..20),
    ) {
        let records: Vec<_> = written.iter().enumerate().map(|(place, (key, value, headers, timestamp))| {
            let headers: IndexMap<_, _> = headers.iter().map(|(name, value)| {
                (StrBytes::from_string(name.clone()), value.clone().map(Bytes::from))
            }).collect();
            records::Record {
                key: key.clone().map(Bytes::from),
                value: value.clone().map(Bytes::from),
                headers,
                ..record(place, *timestamp, "")
            }
        }).collect();
        let (found, spoiled, next) = drain(decoder(&encoded(&records, compression), 0));
        prop_assert_eq!((found.len(), spoiled, next), (records.len(), vec![], records.len() as i64));
        for (found, written) in found.iter().zip(&records) {
            prop_assert_eq!(&found.key, &written.key);
            prop_assert_eq!(&found.value, &written.value);
            prop_assert_eq!((found.offset, found.timestamp), (written.offset, written.timestamp));
            let headers: Vec<_> = found.headers.iter().map(|(name, value)| (name.to_vec(), value)).collect();
            let expected: Vec<_> =
                written.headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_deref())).collect();
            prop_assert_eq!(headers, expected);
        }
    }

    #[test]
    fn damage_does_no_harm(
        compression in 0..=4_i16,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        sealed: bool,
        from in 0..6_i64,
    ) {
        let batch = produced(&[(1, "some value"), (2, "another"), (3, "a third")], compression);
        let mut bytes = [&batch[..], &placed(&batch, 3)].concat();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if sealed {
            seal(&mut bytes[..batch.len()]);
        }
        let aborted = vec![Aborted { producer_id: 0, first_offset: 0 }];
        drain(decoder(&bytes, from).with_aborted(aborted, false));
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..500), from in any::<i64>()) {
        drain(decoder(&bytes, from));
    }
}
