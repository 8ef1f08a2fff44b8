//! The least HTTP/1.1 that a load generator needs: it shares the machine with the server, so its CPU time is the
//! server's loss.

use std::io;
use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A keep-alive connection that carries one request at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What a server answered; the body lies in the connection's buffer until the next exchange.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(1024) })
    }

    /// Sends one request and reads its answer to the end.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        let head = loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break Head::parse(&self.buffer[..end], end + 4)?;
            }
            self.fill().await?;
        };
        match head.length {
            Some(length) => {
                while self.buffer.len() < head.end + length {
                    self.fill().await?;
                }
            }
            // Chunked: the zero chunk ends the answer, and nothing follows it before the next request.
            None => {
                while !self.buffer[head.end..].ends_with(b"0\r\n\r\n") {
                    self.fill().await?;
                }
                dechunk(&mut self.buffer, head.end)?;
            }
        }
        Ok(Answer { status: head.status, body: &self.buffer[head.end..] })
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            _ => Ok(()),
        }
    }
}

struct Head {
    status: u16,
    /// Where the body starts.
    end: usize,
    /// `None` when the body is chunked.
    length: Option<usize>,
}

impl Head {
    fn parse(head: &[u8], end: usize) -> io::Result<Self> {
        let text = std::str::from_utf8(head).map_err(|_| malformed("a head that is no text"))?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| malformed("no status"))?;
        let mut length = Some(0);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse().map_err(|_| malformed("Content-Length"))?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                length = None;
            }
        }
        Ok(Self { status, end, length })
    }
}

/// Joins the chunks that start at `start`, in place.
fn dechunk(buffer: &mut Vec<u8>, start: usize) -> io::Result<()> {
    let (mut from, mut to) = (start, start);
    loop {
        let line = memmem::find(&buffer[from..], b"\r\n").ok_or_else(|| malformed("a chunk without size"))?;
        let size = chunk_size(&buffer[from..from + line])?;
        from += line + 2;
        if size == 0 {
            buffer.truncate(to);
            return Ok(());
        }
        if from + size + 2 > buffer.len() {
            return Err(malformed("a chunk beyond the end"));
        }
        buffer.copy_within(from..from + size, to);
        from += size + 2;
        to += size;
    }
}

/// The size that a chunk's first line names.
fn chunk_size(line: &[u8]) -> io::Result<usize> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok())
        .ok_or_else(|| malformed("a chunk's size"))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed answer: {what}"))
}
