//! How the records of a batch are compressed.

use std::io::{self, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;
use snap::raw;

/// Bytes that one batch is decompressed to at most: as many as a request may have uncompressed.
pub const MAX_DECOMPRESSED: usize = 100 * 1_024 * 1_024;
/// Bytes that one byte of Snappy's makes at most: a copy of 64 takes three.
const SNAPPY_RATIO: usize = 22;
/// What comes before blocks of Snappy's; without it, there is one block and nothing else.
pub const SNAPPY_BLOCKS: &[u8; 16] = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// A way to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Snappy, in the frames of Java's library or without.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// The one that Kafka has this number for.
    pub fn from_number(number: i16) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd].get(usize::try_from(number).ok()?).copied()
    }

    /// Its name in Kafka's settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// What `compressed` decompresses to, bit by bit.
    ///
    /// # Errors
    /// When it doesn't begin as such bytes do; reading fails where it doesn't go on so.
    pub fn reader(self, compressed: &[u8]) -> io::Result<Reader<'_>> {
        Ok(match self {
            Self::None => Reader::None(compressed),
            Self::Gzip => Reader::Gzip(MultiGzDecoder::new(compressed)),
            Self::Snappy => Reader::Snappy(Snappy::new(compressed)),
            Self::Lz4 => Reader::Lz4(lz4::Decoder::new(compressed)?),
            Self::Zstd => Reader::Zstd(zstd::Decoder::with_buffer(compressed)?),
        })
    }

    /// All that `compressed` decompresses to.
    ///
    /// # Errors
    /// When it can't be decompressed, or is more than `limit` bytes.
    pub fn decompress(self, compressed: &[u8], limit: usize) -> io::Result<Vec<u8>> {
        // What a batch is compressed to is often a quarter of it; more is made room for as it comes.
        let mut decompressed = Vec::with_capacity(compressed.len().saturating_mul(4).min(limit));
        self.reader(compressed)?.take(limit as u64 + 1).read_to_end(&mut decompressed)?;
        if decompressed.len() > limit {
            return Err(invalid(format!("it decompresses to more than {limit} bytes")));
        }
        Ok(decompressed)
    }
}

/// Decompresses what it reads.
pub enum Reader<'a> {
    /// Nothing to do.
    None(&'a [u8]),
    /// gzip.
    Gzip(MultiGzDecoder<&'a [u8]>),
    /// Snappy.
    Snappy(Snappy<'a>),
    /// LZ4.
    Lz4(lz4::Decoder<&'a [u8]>),
    /// Zstandard.
    Zstd(zstd::Decoder<'static, &'a [u8]>),
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::None(bytes) => bytes.read(buffer),
            Self::Gzip(bytes) => bytes.read(buffer),
            Self::Snappy(bytes) => bytes.read(buffer),
            Self::Lz4(bytes) => bytes.read(buffer),
            Self::Zstd(bytes) => bytes.read(buffer),
        }
    }
}

/// An error about the bytes.
pub fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// Snappy's blocks as Java's library frames them, or a single one without a frame.
pub struct Snappy<'a> {
    compressed: &'a [u8],
    framed: bool,
    block: io::Cursor<Vec<u8>>,
}

impl<'a> Snappy<'a> {
    /// Decompresses these blocks.
    pub fn new(compressed: &'a [u8]) -> Self {
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
