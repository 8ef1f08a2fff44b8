//! The records inside a batch: whether they are what the header says, and their offsets and timestamps.
//!
//! The codec's decoder of records allocates what their fields claim, and its sums may overflow; a producer's bytes must
//! not bring the broker down. So what is needed of a record is read here, one after the other, and nothing is kept: a few
//! bytes that decompress to gigabytes cost no memory, and time only up to [`DECOMPRESSED`].

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::ops::ControlFlow;

use flate2::bufread::MultiGzDecoder;
use snap::raw;

use super::batch::Header;

/// Bytes of one batch that are decompressed at most: as many as a request may have uncompressed.
const DECOMPRESSED: u64 = 100 * 1_024 * 1_024;
/// Bytes that one byte of Snappy's makes at most: a copy of 64 takes three.
const SNAPPY_RATIO: usize = 22;
/// What comes before blocks of Snappy's; without it, there is one block and nothing else.
const SNAPPY_BLOCKS: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// Calls `each` with the offset and the timestamp (ms) of one record after the other, until it breaks.
///
/// # Errors
/// When the records can't be decompressed, aren't records, or are more than anybody writes into one batch.
pub fn each(header: &Header, records: &[u8], each: impl FnMut(i64, i64) -> ControlFlow<()>) -> io::Result<()> {
    match header.compression() {
        1 => walk(header, limited(MultiGzDecoder::new(records)), each),
        2 => walk(header, limited(Snappy::new(records)), each),
        3 => walk(header, limited(lz4::Decoder::new(records)?), each),
        4 => walk(header, limited(zstd::Decoder::with_buffer(records)?), each),
        _ => walk(header, records, each),
    }
}

/// Whether the records of an uncompressed batch are as many as its header says, with offsets that follow each other, and
/// nothing behind them. What is in them is their reader's business: to look at all of it takes three times as long.
pub fn are_complete(header: &Header, mut records: &[u8]) -> bool {
    (0..header.count()).all(|place| next_offset_delta(&mut records).is_ok_and(|delta| delta == i64::from(place)))
        && records.is_empty()
}

/// Takes a record off the front.
fn next_offset_delta(records: &mut &[u8]) -> io::Result<i64> {
    let length = usize::try_from(varint(records)?).map_err(invalid)?;
    let (mut record, rest) = records.split_at_checked(length).ok_or(ErrorKind::UnexpectedEof)?;
    *records = rest;
    let _attributes = byte(&mut record)?;
    let _timestamp_delta = varint(&mut record)?;
    varint(&mut record)
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

fn limited(decompressed: impl Read) -> impl BufRead {
    BufReader::new(decompressed.take(DECOMPRESSED))
}

fn byte(input: &mut impl BufRead) -> io::Result<u8> {
    let byte = *input.fill_buf()?.first().ok_or(ErrorKind::UnexpectedEof)?;
    input.consume(1);
    Ok(byte)
}

/// Reads a signed number of variable length: seven bits a byte, the lowest first, and the sign in the lowest bit.
fn varint(input: &mut impl BufRead) -> io::Result<i64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = byte(input)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
        }
    }
    Err(invalid("a number is too long"))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// Snappy's blocks as Java's library frames them, or a single one without a frame.
struct Snappy<'a> {
    compressed: &'a [u8],
    framed: bool,
    block: io::Cursor<Vec<u8>>,
}

impl<'a> Snappy<'a> {
    fn new(compressed: &'a [u8]) -> Self {
        let blocks = compressed.strip_prefix(SNAPPY_BLOCKS);
        Self { compressed: blocks.unwrap_or(compressed), framed: blocks.is_some(), block: io::Cursor::default() }
    }

    fn next_block(&mut self) -> io::Result<Vec<u8>> {
        let block = match self.framed {
            true => {
                let (length, rest) = self.compressed.split_first_chunk().ok_or(ErrorKind::UnexpectedEof)?;
                let block = usize::try_from(u32::from_be_bytes(*length)).ok().and_then(|l| rest.split_at_checked(l));
                let (block, rest) = block.ok_or(ErrorKind::UnexpectedEof)?;
                self.compressed = rest;
                block
            }
            false => std::mem::take(&mut self.compressed),
        };
        // Room is made for what the block says of itself.
        if raw::decompress_len(block).map_err(invalid)? > block.len().saturating_mul(SNAPPY_RATIO) {
            return Err(invalid("a block that can't be as large as it says"));
        }
        raw::Decoder::new().decompress_vec(block).map_err(invalid)
    }
}

impl Read for Snappy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.block.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.compressed.is_empty() {
                return Ok(read);
            }
            self.block = io::Cursor::new(self.next_block()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::batch::{HEADER, check};
    use super::super::tests::{placed, produced};
    use super::*;

    fn all(batch: &[u8]) -> io::Result<Vec<(i64, i64)>> {
        let header = Header::read(batch).unwrap();
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
            let batch = placed(&produced(&[(50, "a"), (20, "b"), (90, "c")], compression, None), 7);
            assert_eq!(all(&batch).unwrap(), [(7, 50), (8, 20), (9, 90)], "{compression}");
        }
    }

    #[test]
    fn what_decompresses_to_gigabytes_costs_no_memory() {
        let header = Header::read(&placed(&produced(&[(1, "a"), (2, "b")], 4, None), 0)).unwrap();
        // A record of 10 GB, all of it zeros.
        let length = [0x80, 0x90, 0xdf, 0xc0, 0x4a];
        let bomb = zstd::encode_all(length.chain(io::repeat(0).take(3 * DECOMPRESSED)), 1).unwrap();
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
            let mut batch = produced(&[(1, "some value"), (2, "another"), (3, "a third")], compression, None).to_vec();
            let good = batch.clone();
            for (place, value) in changes {
                let place = HEADER + place.index(batch.len() - HEADER);
                batch[place] = value;
            }
            prop_assert_eq!(check(&batch, batch.len()).is_ok(), batch == good);
            if let Ok(found) = all(&batch) {
                prop_assert!(found.len() <= 3);
            }
        }
    }
}
