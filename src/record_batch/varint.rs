//! Numbers of variable length, and what is measured by them, off the front of some bytes.

/// Bytes that are read from the front. Everything answers `None` when they end too early or make no sense.
#[derive(Clone)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Begins at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What hasn't been read.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Bytes behind their length, or null: a length of -1.
    pub fn nullable(&mut self) -> Option<Option<&'a [u8]>> {
        match self.varint32()? {
            -1 => Some(None),
            length => self.take(usize::try_from(length).ok()?).map(Some),
        }
    }

    /// A signed number of variable length.
    #[inline]
    pub fn varint(&mut self) -> Option<i64> {
        // Most are of one byte.
        if let [byte @ ..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Some(zigzag(u64::from(*byte)));
        }
        let mut input = self.clone();
        let number = decode(|| input.byte().ok_or(())).ok().flatten()?;
        *self = input;
        Some(number)
    }

    /// One that fits 32 bits.
    #[inline]
    pub fn varint32(&mut self) -> Option<i32> {
        i32::try_from(self.varint()?).ok()
    }
}

/// A signed number of variable length: seven bits a byte, the lowest first, and the sign in the lowest bit. `None` if it
/// is too long for one.
///
/// # Errors
/// Those of `next`, which gives the bytes.
#[inline]
pub fn decode<E>(mut next: impl FnMut() -> Result<u8, E>) -> Result<Option<i64>, E> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(Some(zigzag(number)));
        }
    }
    Ok(None)
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
