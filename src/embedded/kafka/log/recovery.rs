//! What of a segment survived: the batches up to the first that isn't whole.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use crc32c::crc32c_append;

use super::batch::{HEADER, Header};

/// Read at a time. Nothing is allocated by what the bytes say.
const BUFFER: usize = 256 * 1_024;

/// Reads batches from `input`, the first of which must have `base_offset`, and calls `each` with the header of each one
/// that is whole: its fields, its length, its checksum, and the offset that follows the one before it. Returns how many
/// bytes they have.
///
/// # Errors
/// When reading fails.
pub fn scan(input: impl Read, base_offset: i64, mut each: impl FnMut(&Header)) -> io::Result<u64> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let (mut whole, mut next_offset) = (0, base_offset);
    while let Some(header) = next_header(&mut input)? {
        if header.base_offset() != next_offset || records_crc(&mut input, &header)? != Some(header.crc()) {
            break;
        }
        each(&header);
        whole += header.size() as u64;
        next_offset = header.next_offset();
    }
    Ok(whole)
}

/// How many bytes of `segment` are whole batches: [`scan`] for arbitrary bytes, for fuzzing.
pub fn whole_prefix(segment: &[u8]) -> usize {
    let base_offset = segment.first_chunk().map_or(0, |offset| i64::from_be_bytes(*offset));
    // Reading from memory can't fail, and a slice's length fits.
    scan(segment, base_offset, |_| {}).map_or(0, |whole| whole as usize)
}

fn next_header(input: &mut impl Read) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER];
    match input.read_exact(&mut bytes) {
        Ok(()) => Ok(Header::read(&bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The checksum of the batch with this header, whose records come next; none when they aren't all there.
fn records_crc(input: &mut impl BufRead, header: &Header) -> io::Result<Option<u32>> {
    let mut crc = header.start_crc();
    let mut left = header.size() - HEADER;
    while left > 0 {
        let part = input.fill_buf()?;
        let taken = part.len().min(left);
        if taken == 0 {
            return Ok(None);
        }
        crc = crc32c_append(crc, &part[..taken]);
        input.consume(taken);
        left -= taken;
    }
    Ok(Some(crc))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{batch, placed};
    use super::*;

    /// Three batches, and where each of them ends.
    fn segment() -> (Vec<u8>, [usize; 3]) {
        let batches = [(9, "a"), (10, "bb"), (11, "ccc")].map(|(offset, value)| placed(&batch(&[(1, value)]), offset));
        let ends = [1, 2, 3].map(|count| batches[..count].iter().map(|batch| batch.len()).sum());
        (batches.concat(), ends)
    }

    #[test]
    fn a_hole_in_the_offsets_ends_it() {
        let batches = [placed(&batch(&[(1, "a")]), 0), placed(&batch(&[(1, "b")]), 2)];
        assert_eq!(whole_prefix(&batches.concat()), batches[0].len());
    }

    #[test]
    fn a_segment_starts_with_its_own_offset() {
        let batch = placed(&batch(&[(1, "a")]), 4);
        assert_eq!(scan(&batch[..], 4, |_| {}).unwrap(), batch.len() as u64);
        assert_eq!(scan(&batch[..], 0, |_| {}).unwrap(), 0);
    }

    #[test]
    fn a_length_that_is_a_lie_costs_no_memory() {
        let mut bytes = placed(&batch(&[(1, "a")]), 0).to_vec();
        bytes[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(whole_prefix(&bytes), 0);
    }

    #[test]
    fn every_truncation_leaves_the_batches_before_it() {
        let (bytes, ends) = segment();
        for length in 0..=bytes.len() {
            let whole = ends.iter().copied().take_while(|&end| end <= length).last().unwrap_or(0);
            assert_eq!(whole_prefix(&bytes[..length]), whole, "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_are_no_batches(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            // A checksum that fits by chance would take 4 billion cases.
            prop_assert_eq!(whole_prefix(&bytes), 0);
        }

        #[test]
        fn random_headers_do_no_harm(
            mut bytes in prop::collection::vec(any::<u8>(), HEADER..500), count in any::<i32>(), length in any::<i32>(),
        ) {
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = 2;
            bytes[23..27].copy_from_slice(&count.wrapping_sub(1).to_be_bytes());
            bytes[57..61].copy_from_slice(&count.to_be_bytes());
            prop_assert_eq!(whole_prefix(&bytes), 0);
        }

        #[test]
        fn damage_leaves_a_prefix(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
            let (mut bytes, ends) = segment();
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            let whole = whole_prefix(&bytes);
            prop_assert!(whole == 0 || ends.contains(&whole));
            prop_assert_eq!(whole_prefix(&bytes[..whole]), whole);
        }
    }
}
