//! Decoding without trusting lengths.
//!
//! kafka-protocol makes room for as many items as an array says it has before it looks for the first, so that twenty
//! bytes could ask for hundreds of gigabytes, which ends the process. The guard stands between the bytes and the
//! decoder and never hands out a count above [`MAX_ITEMS`]. It doesn't know the schema, but it need not:
//!
//! - A number of four bytes may be a count, the length of a byte string, or any other number. One too large to be
//!   either is handed out as [`NOT_A_COUNT`], at which arrays and byte strings fail and nothing else looks. The request
//!   is then decoded once more, without the guard: there are no counts among its large numbers any more.
//! - One that could be a byte string's length is handed out as [`MARK`]. Of a byte string, exactly that many bytes are
//!   asked for next, and gets all of them. If anything else comes next, it was a number or a count: the request is
//!   decoded once more, with this one as above.
//! - A variable-length number is a count, a length or a tag, so that one that is too large can be nothing else but the
//!   length of a byte string; it is handed out as [`MARK`], too, and anything else next is an error.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::protocol::buf::{ByteBuf, NotEnoughBytesError};

/// Items of one array at most; also the largest number that is handed out as it is.
const MAX_ITEMS: usize = 100_000;
/// Numbers and strings of one request at most, so that one of many tiny items doesn't grow a hundredfold in memory.
const MAX_READS: usize = 1_000_000;
/// Times that a request is looked through at most: once, and once more for each large number that isn't a length.
const MAX_PASSES: usize = 8;
/// What arrays and byte strings refuse as a length; -1 would be "none".
const NOT_A_COUNT: i32 = -2;
/// What stands for the length of a byte string.
const MARK: u8 = 1;

/// Decodes a `T` from the front of `bytes`, and takes it off. There is no count among the first `no_counts` bytes.
///
/// # Errors
/// There is no `T`, or one with more items than any request has; `bytes` are undefined then.
pub fn decode<T: Decodable>(bytes: &mut Bytes, version: i16, no_counts: usize) -> Result<T, String> {
    let mut numbers = Vec::new();
    for _ in 0..MAX_PASSES {
        let mut guard = Guard::new(bytes.clone(), no_counts, &numbers);
        let decoded = T::decode(&mut guard, version);
        match guard.finding() {
            Some(Finding::Refused(reason)) => return Err(reason.to_owned()),
            Some(Finding::Number(position)) => numbers.push(position),
            None => {
                let decoded = decoded.map_err(|error| error.to_string())?;
                if guard.altered {
                    return T::decode(bytes, version).map_err(|error| error.to_string());
                }
                *bytes = guard.bytes;
                return Ok(decoded);
            }
        }
    }
    Err("it has more large numbers than any request".to_owned())
}

/// The bytes that are left, and what is known of them.
struct Guard<'a> {
    bytes: Bytes,
    length: usize,
    /// Up to this position, numbers are just numbers.
    no_counts: usize,
    /// Positions of large numbers that are known to be no byte string's length.
    numbers: &'a [usize],
    reads: usize,
    /// Bytes still to come of the variable-length number that is being handed out.
    varint: usize,
    marked: Option<Marked>,
    /// Whether a number was handed out as something else than it is.
    altered: bool,
    finding: Option<Finding>,
}

/// A length that was handed out as [`MARK`].
struct Marked {
    length: usize,
    /// Where it stands, if it could have been any other number.
    position: Option<usize>,
}

/// Why what was decoded can't be used.
#[derive(Clone, Copy)]
enum Finding {
    Refused(&'static str),
    /// The number at this position is no byte string's length.
    Number(usize),
}

const TOO_MANY: Finding = Finding::Refused("an array has more items than any request");

impl<'a> Guard<'a> {
    fn new(bytes: Bytes, no_counts: usize, numbers: &'a [usize]) -> Self {
        let length = bytes.len();
        Self { bytes, length, no_counts, numbers, reads: 0, varint: 0, marked: None, altered: false, finding: None }
    }

    /// What was found, at the end.
    fn finding(&mut self) -> Option<Finding> {
        self.expect_anything();
        self.finding
    }

    /// Ends the pass: there are no more bytes, so that everything from here on fails.
    fn end(&mut self, finding: Finding) {
        self.finding.get_or_insert(finding);
        self.bytes.clear();
    }

    /// Whatever comes now, it is not the byte string that a marked length promised.
    fn expect_anything(&mut self) {
        if let Some(marked) = self.marked.take() {
            self.end(marked.position.map_or(TOO_MANY, Finding::Number));
        }
    }

    /// Counts what is read.
    fn count(&mut self) {
        self.reads += 1;
        if self.reads > MAX_READS {
            self.end(Finding::Refused("it has more fields than any request"));
        }
    }

    /// Something else than a variable-length number is read.
    fn leave_varint(&mut self) {
        if self.varint > 0 {
            self.end(Finding::Refused("a flag is neither 0 nor 1"));
        }
    }
}

/// The variable-length number that `bytes` begin with, and its length.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.iter().take(5).position(|byte| *byte < 0x80)?;
    let value = bytes[..=end].iter().rev().fold(0_u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
    u32::try_from(value).ok().map(|value| (value as usize, end + 1))
}

impl Buf for Guard<'_> {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    /// Every number that has no method of its own below is read through this.
    fn advance(&mut self, count: usize) {
        self.count();
        self.leave_varint();
        self.expect_anything();
        // All bytes are gone if one of these ended the pass.
        self.bytes.advance(count.min(self.bytes.len()));
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        self.count();
        self.expect_anything();
        if self.varint > 0 {
            self.varint -= 1;
            return self.bytes.try_get_u8();
        }
        if self.bytes.first().is_none_or(|byte| *byte < 0x80) {
            return self.bytes.try_get_u8();
        }
        let Some((value, length)) = varint(&self.bytes) else {
            self.end(Finding::Refused("a variable-length number has no end"));
            return self.bytes.try_get_u8();
        };
        if value <= MAX_ITEMS {
            self.varint = length - 1;
            return self.bytes.try_get_u8();
        }
        // The length of a compact byte string is one less than the number, that of a tagged field is the number.
        self.bytes.advance(length);
        self.marked = Some(Marked { length: value, position: None });
        Ok(MARK)
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        self.count();
        self.leave_varint();
        self.expect_anything();
        let position = self.length - self.bytes.len();
        let value = self.bytes.try_get_i32()?;
        let Ok(length) = usize::try_from(value) else { return Ok(value) };
        if length <= MAX_ITEMS || position < self.no_counts {
            return Ok(value);
        }
        if length <= self.bytes.len() && !self.numbers.contains(&position) {
            self.marked = Some(Marked { length, position: Some(position) });
            return Ok(i32::from(MARK));
        }
        self.altered = true;
        Ok(NOT_A_COUNT)
    }
}

impl ByteBuf for Guard<'_> {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range.start.min(self.bytes.len())..range.end.min(self.bytes.len()))
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.try_get_bytes(size).unwrap_or_default()
    }

    fn try_get_bytes(&mut self, size: usize) -> Result<Bytes, NotEnoughBytesError> {
        self.count();
        self.leave_varint();
        let size = match self.marked.take() {
            // Off by as much as what was asked for is from what was handed out.
            Some(marked) => marked.length - (usize::from(MARK) - size.min(usize::from(MARK))),
            None => size,
        };
        self.bytes.try_get_bytes(size)
    }
}
