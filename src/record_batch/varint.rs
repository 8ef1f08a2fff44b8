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

    /// A signed number: seven bits a byte, the lowest first, and the sign in the lowest bit.
    #[inline]
    pub fn varint(&mut self) -> Option<i64> {
        // Most are of one byte.
        if let [byte @ ..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Some(zigzag(u64::from(*byte)));
        }
        let mut number = 0_u64;
        for (place, &byte) in self.0.iter().enumerate().take(MAX_BYTES) {
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                self.0 = &self.0[place + 1..];
                return Some(zigzag(number));
            }
        }
        None
    }

    /// One that fits 32 bits.
    #[inline]
    pub fn varint32(&mut self) -> Option<i32> {
        i32::try_from(self.varint()?).ok()
    }
}

/// Bytes of the longest number: 64 bits in sevens.
const MAX_BYTES: usize = 10;

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
