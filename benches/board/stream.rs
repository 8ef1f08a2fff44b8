//! One viewer's side of a stream: from bytes as they arrive to the stamps in them.

use std::io;

use memchr::memmem::{self, Finder};

use crate::stamp;

/// Where in the answer a viewer is.
enum Place {
    /// In the head, until its empty line.
    Head,
    /// In a body that ends with the connection.
    Plain,
    /// In a chunk's size line, of which the digits so far make this.
    Size(usize),
    /// In a chunk, with this many bytes to come, its line end included.
    Chunk(usize),
}

/// The state of one viewer. An idle one owns no buffer: ten thousand of them must fit beside the server.
pub struct Stream {
    place: Place,
    /// A head, size line or event line of which the end has not come yet.
    partial: Vec<u8>,
    opened: bool,
}

impl Stream {
    pub fn new() -> Self {
        Self { place: Place::Head, partial: Vec::new(), opened: false }
    }

    /// Whether the server has accepted the viewer: answered 200 and sent its first bytes.
    pub fn is_open(&self) -> bool {
        self.opened
    }

    /// Takes what arrived and calls `found` with number and time of each of the run's messages in it.
    pub fn take(&mut self, mut input: &[u8], run: &Finder, found: &mut impl FnMut(u64, u64)) -> io::Result<()> {
        while !input.is_empty() {
            match self.place {
                Place::Head => {
                    self.partial.extend_from_slice(input);
                    let Some(end) = memmem::find(&self.partial, b"\r\n\r\n") else { return Ok(()) };
                    let rest = self.partial.split_off(end + 4);
                    self.accept_head()?;
                    self.partial = Vec::new();
                    return self.take(&rest, run, found);
                }
                Place::Plain => {
                    self.lines(input, run, found);
                    return Ok(());
                }
                Place::Size(size) => {
                    self.place = after_size_byte(size, input[0])?;
                    input = &input[1..];
                }
                Place::Chunk(left) => {
                    let here = left.min(input.len());
                    // The last two bytes of a chunk are its line end, not the stream's.
                    let body = here.min(left.saturating_sub(2));
                    self.lines(&input[..body], run, found);
                    input = &input[here..];
                    self.place = if left == here { Place::Size(0) } else { Place::Chunk(left - here) };
                }
            }
        }
        Ok(())
    }

    fn accept_head(&mut self) -> io::Result<()> {
        let head = String::from_utf8_lossy(&self.partial).to_lowercase();
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status != "200" {
            return Err(io::Error::other(format!("a viewer was answered {status}")));
        }
        self.opened = true;
        self.place = if head.contains("transfer-encoding: chunked") { Place::Size(0) } else { Place::Plain };
        Ok(())
    }

    /// An event's data is one line, so whole lines are searched and the rest kept.
    fn lines(&mut self, input: &[u8], run: &Finder, found: &mut impl FnMut(u64, u64)) {
        let Some(end) = memchr::memrchr(b'\n', input) else { return self.partial.extend_from_slice(input) };
        if self.partial.is_empty() {
            search(&input[..end], run, found);
        } else {
            self.partial.extend_from_slice(&input[..end]);
            search(&self.partial, run, found);
            self.partial = Vec::new();
        }
        self.partial.extend_from_slice(&input[end + 1..]);
    }
}

/// A size line may be cut anywhere by a segment's end, so it is read a byte at a time.
fn after_size_byte(size: usize, byte: u8) -> io::Result<Place> {
    match byte {
        b'\n' if size == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
        // The chunk's own line end counts as part of it.
        b'\n' => Ok(Place::Chunk(size + 2)),
        b'\r' => Ok(Place::Size(size)),
        _ => match char::from(byte).to_digit(16) {
            Some(digit) => Ok(Place::Size(size * 16 + digit as usize)),
            None => Err(io::Error::other("a chunk's size is no number")),
        },
    }
}

fn search(mut lines: &[u8], run: &Finder, found: &mut impl FnMut(u64, u64)) {
    while let Some(at) = run.find(lines) {
        lines = &lines[at + run.needle().len()..];
        if let Some((number, sent)) = stamp::parse(lines) {
            found(number, sent);
        }
    }
}
