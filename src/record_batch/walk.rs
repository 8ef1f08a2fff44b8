//! The records inside a batch: whether they are what the header says, and their offsets and timestamps.
//!
//! The codec's decoder of records allocates what their fields claim, and its sums may overflow; a producer's bytes must
//! not bring the broker down. So what is needed of a record is read here, one after the other, and nothing is kept: a few
//! bytes that decompress to gigabytes cost no memory, and time only up to [`MAX_DECOMPRESSED`].

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::ops::ControlFlow;

use super::varint::{self, Input};
use super::{Compression, Header, MAX_DECOMPRESSED, compression::invalid};

/// Calls `each` with the offset and the timestamp (ms) of one record after the other, until it breaks.
///
/// # Errors
/// When the records can't be decompressed, aren't records, or are more than anybody writes into one batch.
pub fn each(header: &Header, records: &[u8], each: impl FnMut(i64, i64) -> ControlFlow<()>) -> io::Result<()> {
    match header.compression() {
        Some(Compression::None) => walk(header, records, each),
        Some(compression) => {
            let decompressed = compression.reader(records)?.take(MAX_DECOMPRESSED as u64);
            walk(header, BufReader::new(decompressed), each)
        }
        None => Err(invalid("compressed in an unknown way")),
    }
}

/// Whether the records of an uncompressed batch are as many as its header says, with offsets that follow each other, and
/// nothing behind them. What is in them is their reader's business: to look at all of it takes three times as long.
pub fn are_complete(header: &Header, records: &[u8]) -> bool {
    let mut records = Input::new(records);
    (0..header.count()).all(|place| next_offset_delta(&mut records) == Some(i64::from(place)))
        && records.rest().is_empty()
}

/// Takes a record off the front.
fn next_offset_delta(records: &mut Input<'_>) -> Option<i64> {
    let length = usize::try_from(records.varint()?).ok()?;
    let mut record = Input::new(records.take(length)?);
    let _attributes = record.byte()?;
    let _timestamp_delta = record.varint()?;
    record.varint()
}

fn walk(
    header: &Header,
    mut records: impl BufRead,
    mut each: impl FnMut(i64, i64) -> ControlFlow<()>,
) -> io::Result<()> {
    for _ in 0..header.count() {
        let length = u64::try_from(varint(&mut records)?).map_err(invalid)?;
        let mut record = records.by_ref().take(length);
        let _attributes = byte(&mut record)?;
        let timestamp_delta = varint(&mut record)?;
        let offset_delta = varint(&mut record)?;
        if !(0..i64::from(header.count())).contains(&offset_delta) {
            return Err(invalid(format!("offset delta {offset_delta} is out of range")));
        }
        let offset = header.base_offset() + offset_delta;
        if each(offset, header.base_timestamp().saturating_add(timestamp_delta)).is_break() {
            break;
        }
        skip(record)?;
    }
    Ok(())
}

/// Reads what is left of a record.
fn skip(mut record: io::Take<impl BufRead>) -> io::Result<()> {
    while record.limit() > 0 {
        let there = record.fill_buf()?.len();
        if there == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        record.consume(there);
    }
    Ok(())
}

fn byte(input: &mut impl BufRead) -> io::Result<u8> {
    let byte = *input.fill_buf()?.first().ok_or(ErrorKind::UnexpectedEof)?;
    input.consume(1);
    Ok(byte)
}

fn varint(input: &mut impl BufRead) -> io::Result<i64> {
    varint::decode(|| byte(input))?.ok_or_else(|| invalid("a number is too long"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{placed, produced};
    use super::super::{HEADER, compression::SNAPPY_BLOCKS, compression::Snappy};
    use super::*;

    fn all(batch: &[u8]) -> io::Result<Vec<(i64, i64)>> {
        let header = Header::first_of(batch).unwrap();
        let mut found = Vec::new();
        each(&header, &batch[HEADER..], |offset, timestamp| {
            found.push((offset, timestamp));
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    #[test]
    fn they_are_found_under_every_compression() {
        for compression in 0..=4 {
            let batch = placed(&produced(&[(50, "a"), (20, "b"), (90, "c")], compression), 7);
            assert_eq!(all(&batch).unwrap(), [(7, 50), (8, 20), (9, 90)], "{compression}");
        }
    }

    #[test]
    fn what_decompresses_to_gigabytes_costs_no_memory() {
        let header = Header::first_of(&placed(&produced(&[(1, "a"), (2, "b")], 4), 0)).unwrap();
        // A record of 10 GB, all of it zeros.
        let length = [0x80, 0x90, 0xdf, 0xc0, 0x4a];
        let bomb = zstd::encode_all(length.chain(io::repeat(0).take(3 * MAX_DECOMPRESSED as u64)), 1).unwrap();
        assert!(bomb.len() < 100_000);
        let mut found = 0;
        let read = each(&header, &bomb, |_, _| {
            found += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((found, read.unwrap_err().kind()), (1, ErrorKind::UnexpectedEof));
        // A block that says it is 4 GB, by itself and in a frame.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
        let framed = [&SNAPPY_BLOCKS[..], &7_u32.to_be_bytes(), &lie].concat();
        for bomb in [&lie[..], &framed] {
            let refused = Snappy::new(bomb).read(&mut [0; 10]).unwrap_err();
            assert!(refused.to_string().contains("can't be as large"), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn garbage_does_no_harm(
            compression in 0..=4_i16,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        ) {
            let mut batch = produced(&[(1, "some value"), (2, "another"), (3, "a third")], compression).to_vec();
            for (place, value) in changes {
                let place = HEADER + place.index(batch.len() - HEADER);
                batch[place] = value;
            }
            if let Ok(found) = all(&batch) {
                prop_assert!(found.len() <= 3);
            }
        }
    }
}
