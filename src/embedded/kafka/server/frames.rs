//! Requests as they come: each with its length before it, and no longer than it may be.
//!
//! Room is made as bytes arrive, never because a length was announced. A request of more than [`SMALL`] waits, with
//! that much of it here, until all of it fits into the memory that all connections share: who announces much and sends
//! little takes nothing from the others.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::embedded::kafka::memory::{Memory, Reserved};

/// Bytes before every request: its length.
const PREFIX: usize = 4;
/// Room for what comes first; enough for all but producers' requests.
const FIRST: usize = 8 * 1024;
/// Bytes of a request that are not counted: each connection may have so many.
const SMALL: usize = 64 * 1024;
/// Room that is made at once for a request that has shown that it is large.
const LARGE: usize = 1024 * 1024;
/// How long a request may stay unfinished without another byte of it.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no further request.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It is too long, or no request at all.
    #[error("a request of {announced} bytes was announced, 8 to {limit} (socket.request.max.bytes) are taken")]
    Length {
        /// What was announced.
        announced: i32,
        /// How long one may be.
        limit: usize,
    },
    /// Nothing came.
    #[error("nothing came for {0:?}")]
    Idle(Duration),
    /// The rest of a request doesn't come.
    #[error("only {arrived} of a request's {length} bytes came")]
    Unfinished {
        /// Bytes that came.
        arrived: usize,
        /// Bytes that were announced.
        length: usize,
    },
    /// The connection broke.
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// The requests of one connection.
pub struct Frames<R> {
    reader: R,
    buffer: BytesMut,
    limit: usize,
    idle: Duration,
    memory: Memory,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// Reads requests of at most `limit` bytes from `reader`, which may be silent for `idle`. What large ones need is
    /// taken from `memory`.
    pub fn new(reader: R, limit: usize, idle: Duration, memory: Memory) -> Self {
        Self { reader, buffer: BytesMut::new(), limit, idle, memory }
    }

    /// The next request, without its length, and the memory it takes; none if the client has left.
    ///
    /// Dropping this future loses nothing but its place in the line for memory.
    ///
    /// # Errors
    /// There can't be another one.
    pub async fn next(&mut self) -> Result<Option<(Bytes, Option<Reserved>)>, FrameError> {
        let mut reserved = None;
        loop {
            let length = self.announced()?;
            let arrived = self.buffer.len().saturating_sub(PREFIX);
            if let Some(length) = length.filter(|length| *length <= arrived) {
                return Ok(Some((self.take(length), reserved)));
            }
            if let Some(length) = length.filter(|_| arrived >= SMALL)
                && reserved.is_none()
            {
                reserved = Some(self.memory.reserve(length).await);
            }
            self.make_room(length, reserved.is_some());
            if self.read(length).await? == 0 {
                return match length {
                    None if self.buffer.is_empty() => Ok(None),
                    _ => Err(FrameError::Unfinished { arrived, length: length.unwrap_or(0) }),
                };
            }
        }
    }

    /// How long the next request is to be, once that is here.
    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let Some(mut prefix) = self.buffer.get(..PREFIX) else { return Ok(None) };
        let announced = prefix.get_i32();
        match usize::try_from(announced) {
            Ok(length) if (8..=self.limit).contains(&length) => Ok(Some(length)),
            _ => Err(FrameError::Length { announced, limit: self.limit }),
        }
    }

    fn make_room(&mut self, length: Option<usize>, reserved: bool) {
        let have = self.buffer.len();
        let missing = length.map_or(FIRST, |length| PREFIX + length - have);
        let at_once = if reserved { LARGE.max(have) } else { have.clamp(FIRST, SMALL) };
        self.buffer.reserve(missing.min(at_once));
    }

    async fn read(&mut self, length: Option<usize>) -> Result<usize, FrameError> {
        let nothing = self.buffer.is_empty();
        let patience = if nothing { self.idle } else { self.idle.min(STALL_TIMEOUT) };
        match tokio::time::timeout(patience, self.reader.read_buf(&mut self.buffer)).await {
            Ok(read) => Ok(read?),
            Err(_) if nothing => Err(FrameError::Idle(self.idle)),
            Err(_) => {
                let arrived = self.buffer.len().saturating_sub(PREFIX);
                Err(FrameError::Unfinished { arrived, length: length.unwrap_or(0) })
            }
        }
    }

    fn take(&mut self, length: usize) -> Bytes {
        self.buffer.advance(PREFIX);
        let frame = self.buffer.split_to(length).freeze();
        if length > SMALL {
            // The room that a large request took goes with it, or every connection would keep as much.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn frame(body: &[u8]) -> Vec<u8> {
        [&(body.len() as i32).to_be_bytes(), body].concat()
    }

    fn frames<R: AsyncRead + Unpin>(reader: R) -> Frames<R> {
        Frames::new(reader, LIMIT, Duration::from_secs(600), Memory::new(LIMIT))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn requests_come_out_as_they_went_in_however_they_are_cut(
            lengths in prop::collection::vec(prop_oneof![8_usize..100, 8_usize..200_000], 1..8),
            chunk in 1_usize..70_000,
        ) {
            let bodies: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(n, length)| vec![n as u8; *length]).collect();
            let bytes: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (mut client, server) = tokio::io::duplex(chunk);
                let write = tokio::spawn(async move { client.write_all(&bytes).await });
                let mut frames = frames(server);
                for body in &bodies {
                    let (frame, _memory) = frames.next().await.expect("no error").expect("a request");
                    assert_eq!(&frame[..], &body[..]);
                }
                assert!(frames.next().await.expect("no error").is_none());
                write.await.expect("no panic").expect("written");
            });
        }
    }

    #[tokio::test]
    async fn lengths_out_of_range_are_refused_before_anything_else_is_read() {
        for announced in [-1_i32, 0, 7, LIMIT as i32 + 1, i32::MAX, i32::MIN] {
            let bytes = announced.to_be_bytes();
            let mut frames = frames(&bytes[..]);
            let refused = frames.next().await.expect_err("refused");
            assert!(matches!(refused, FrameError::Length { announced: said, .. } if said == announced));
            assert!(frames.buffer.capacity() <= FIRST);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_announces_much_and_sends_little_gets_little_and_not_for_long() {
        let (mut client, server) = tokio::io::duplex(LIMIT);
        let memory = Memory::new(LIMIT);
        let mut frames = Frames::new(server, LIMIT, Duration::from_secs(600), memory.clone());
        client.write_all(&frame(&vec![0; LIMIT])[..1_000]).await.expect("written");
        let ended = frames.next().await.expect_err("unfinished");
        assert!(matches!(ended, FrameError::Unfinished { arrived: 996, length: LIMIT }), "{ended}");
        assert!(frames.buffer.capacity() <= 2 * FIRST);
        assert_eq!(memory.free(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_request_waits_for_memory_and_holds_it() {
        let memory = Memory::new(LIMIT);
        let half = memory.reserve(LIMIT / 2).await;
        let bytes = frame(&vec![0; LIMIT]);
        let mut frames = Frames::new(&bytes[..], LIMIT, Duration::from_secs(600), memory.clone());
        assert!(tokio::time::timeout(Duration::from_secs(5), frames.next()).await.is_err());
        assert!(frames.buffer.len() <= 2 * SMALL);
        drop(half);
        let (frame, held) = frames.next().await.expect("no error").expect("a request");
        assert_eq!((frame.len(), memory.free()), (LIMIT, 0));
        drop(held);
        assert_eq!(memory.free(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_connection() {
        let (_client, server) = tokio::io::duplex(100);
        assert!(matches!(frames(server).next().await, Err(FrameError::Idle(_))));
    }
}
