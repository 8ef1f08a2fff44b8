//! The offsets and timestamps of a batch's records.
//!
//! The codec's decoder of records allocates what their fields claim, and its sums may overflow; a producer's bytes must
//! not bring the broker down. So only its decompressors are used, and what is needed of a record is read here.

use std::ops::ControlFlow;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes};
use kafka_protocol::compression::{Decompressor, Gzip, Lz4, Snappy, Zstd};

use super::batch::Header;

/// Calls `each` with the offset and the timestamp (ms) of one record after the other, until it breaks.
///
/// # Errors
/// When the records can't be decompressed or aren't records.
pub fn each(header: &Header, mut records: Bytes, each: impl FnMut(i64, i64) -> ControlFlow<()>) -> Result<()> {
    let walk = |records: &mut Bytes| walk(header, records, each);
    match header.compression() {
        1 => Gzip::decompress(&mut records, walk),
        2 => Snappy::decompress(&mut records, walk),
        3 => Lz4::decompress(&mut records, walk),
        4 => Zstd::decompress(&mut records, walk),
        _ => walk(&mut records),
    }
}

fn walk(header: &Header, records: &mut Bytes, mut each: impl FnMut(i64, i64) -> ControlFlow<()>) -> Result<()> {
    for _ in 0..header.count() {
        let length = usize::try_from(varint(records)?)?;
        ensure!(length <= records.remaining(), "a record of {length} bytes is cut off");
        let mut record = records.split_to(length);
        let _attributes = record.try_get_u8().context("an empty record")?;
        let timestamp_delta = varint(&mut record)?;
        let offset_delta = varint(&mut record)?;
        ensure!((0..i64::from(header.count())).contains(&offset_delta), "offset delta {offset_delta} is out of range");
        let offset = header.base_offset() + offset_delta;
        if each(offset, header.base_timestamp().saturating_add(timestamp_delta)).is_break() {
            break;
        }
    }
    Ok(())
}

/// Reads a signed number of variable length: seven bits a byte, the lowest first, and the sign in the lowest bit.
fn varint(bytes: &mut Bytes) -> Result<i64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = bytes.try_get_u8().context("a number is cut off")?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
        }
    }
    bail!("a number is too long")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::batch::{HEADER, check};
    use super::super::tests::{placed, produced};
    use super::*;

    fn all(batch: &Bytes) -> Result<Vec<(i64, i64)>> {
        let header = Header::read(batch).unwrap();
        let mut found = Vec::new();
        each(&header, batch.slice(HEADER..), |offset, timestamp| {
            found.push((offset, timestamp));
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    #[test]
    fn they_are_found_under_every_compression() {
        for compression in 0..=4 {
            let batch = placed(&produced(&[(50, "a"), (20, "b"), (90, "c")], compression, None), 7);
            assert_eq!(all(&batch).unwrap(), [(7, 50), (8, 20), (9, 90)], "{compression}");
        }
    }

    proptest! {
        #[test]
        fn garbage_does_no_harm(
            compression in 0..=4_i16,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        ) {
            let mut batch = produced(&[(1, "some value"), (2, "another"), (3, "a third")], compression, None).to_vec();
            let good = batch.clone();
            for (place, value) in changes {
                let place = HEADER + place.index(batch.len() - HEADER);
                batch[place] = value;
            }
            prop_assert_eq!(check(&batch, batch.len()).is_ok(), batch == good);
            if let Ok(found) = all(&batch.into()) {
                prop_assert!(found.len() <= 3);
            }
        }
    }
}
