//! Any number of viewers of one server, on one thread.
//!
//! One epoll loop with one read buffer for all: at 10,000 viewers and 20 messages a second the generator takes 200,000
//! events a second, and a task and a buffer for each would take the server's cores from it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use memchr::memmem::Finder;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::report::histogram;
use crate::server::Server;
use crate::stamp::{self, Run};
use crate::stream::Stream;

/// How many viewers share a loopback source address: far below the number of ports an address has, even with those of
/// the last round still in TIME_WAIT.
const PER_SOURCE: usize = 2_500;
/// How long all of them may take to be accepted.
const OPENING: Duration = Duration::from_secs(60);

/// How long they are left alone once accepted.
const SETTLING: Duration = Duration::from_millis(500);

/// Viewers that are connected and count.
pub struct Viewers {
    thread: JoinHandle<Outcome>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    delivered: AtomicU64,
    stop: AtomicBool,
}

/// What the viewers saw.
pub struct Outcome {
    /// Different messages, summed over the viewers.
    pub delivered: u64,
    /// Messages that a viewer saw again.
    pub repeated: u64,
    /// Viewers whose stream ended.
    pub ended: u64,
    /// From sending to seeing, in microseconds.
    pub latency: Histogram<u64>,
}

impl Viewers {
    /// Connects `count` viewers for a run of up to `messages`; returns when the server has accepted each.
    pub fn connect(server: &Server, count: usize, run: &Run, messages: u64) -> anyhow::Result<Self> {
        let mut watch = Watch::open(server, count, run, messages)?;
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().name("viewers".into()).spawn({
            let shared = shared.clone();
            move || watch.run(&shared)
        })?;
        Ok(Self { thread, shared })
    }

    /// Waits until `expected` deliveries, or for as long as any arrives within `patience`; then hangs up.
    pub fn finish(self, expected: u64, patience: Duration) -> anyhow::Result<Outcome> {
        let (mut last, mut since) = (0, Instant::now());
        while last < expected && since.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(20));
            let delivered = self.shared.delivered.load(Ordering::Relaxed);
            if delivered != last {
                (last, since) = (delivered, Instant::now());
            }
        }
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the viewers' thread panicked"))
    }
}

struct Viewer {
    socket: TcpStream,
    stream: Stream,
    /// One bit a message, so that a lost one and a repeated one are told apart.
    seen: Box<[u64]>,
    ended: bool,
}

struct Watch {
    poll: Poll,
    viewers: Vec<Viewer>,
    finder: Finder<'static>,
    buffer: Box<[u8]>,
    outcome: Outcome,
}

impl Watch {
    fn open(server: &Server, count: usize, run: &Run, messages: u64) -> anyhow::Result<Self> {
        let words = usize::try_from(messages.div_ceil(64))?;
        let mut watch = Self {
            poll: Poll::new()?,
            viewers: Vec::with_capacity(count),
            finder: run.finder(),
            buffer: vec![0; 64 * 1024].into_boxed_slice(),
            outcome: Outcome { delivered: 0, repeated: 0, ended: 0, latency: histogram()? },
        };
        let request = server.view();
        let deadline = Instant::now() + OPENING;
        let mut events = Events::with_capacity(1024);
        for index in 0..count {
            let mut socket = connect(server.address, index).with_context(|| format!("connect viewer {index}"))?;
            watch.poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
            let seen = vec![0; words].into_boxed_slice();
            watch.viewers.push(Viewer { socket, stream: Stream::new(), seen, ended: false });
            // The request fits any socket buffer, so it is written at once.
            watch.viewers[index].socket.write_all(&request)?;
            // Reading along keeps a server's greetings from piling up while the rest connects.
            if index % 64 == 0 {
                watch.turn(&mut events, Duration::ZERO)?;
            }
        }
        while !watch.viewers.iter().all(|viewer| viewer.stream.is_open()) {
            if Instant::now() > deadline {
                let open = watch.viewers.iter().filter(|viewer| viewer.stream.is_open()).count();
                bail!("{}: {open} of {count} viewers were accepted within {OPENING:?}", server.name);
            }
            watch.turn(&mut events, Duration::from_millis(50))?;
            if watch.outcome.ended > 0 {
                bail!("{}: refused {} of {count} viewers", server.name, watch.outcome.ended);
            }
        }
        // A server may answer before its subscription stands at the far end of Redis.
        let settled = Instant::now() + SETTLING;
        while Instant::now() < settled {
            watch.turn(&mut events, Duration::from_millis(50))?;
        }
        Ok(watch)
    }

    fn run(&mut self, shared: &Shared) -> Outcome {
        let mut events = Events::with_capacity(1024);
        while !shared.stop.load(Ordering::Relaxed) {
            if let Err(error) = self.turn(&mut events, Duration::from_millis(100)) {
                eprintln!("viewers: {error}");
                break;
            }
            shared.delivered.store(self.outcome.delivered, Ordering::Relaxed);
        }
        let empty =
            Outcome { delivered: 0, repeated: 0, ended: 0, latency: Histogram::new_from(&self.outcome.latency) };
        std::mem::replace(&mut self.outcome, empty)
    }

    /// Takes what has arrived, waiting up to `wait` for something to.
    fn turn(&mut self, events: &mut Events, wait: Duration) -> anyhow::Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in events.iter() {
            self.read(event.token().0);
        }
        Ok(())
    }

    fn read(&mut self, index: usize) {
        let Self { viewers, finder, buffer, outcome, .. } = self;
        let Viewer { socket, stream, seen, ended } = &mut viewers[index];
        let mut found = |number: u64, sent: u64| {
            let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
            match seen.get_mut(word) {
                Some(seen) if *seen & bit == 0 => {
                    *seen |= bit;
                    outcome.delivered += 1;
                    outcome.latency.saturating_record(stamp::now_us().saturating_sub(sent));
                }
                _ => outcome.repeated += 1,
            }
        };
        while !*ended {
            let over = match socket.read(buffer) {
                Ok(0) => true,
                Ok(length) => match stream.take(&buffer[..length], finder, &mut found) {
                    Ok(()) if length < buffer.len() => return,
                    taken => taken.is_err(),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => false,
                Err(_) => true,
            };
            if over {
                *ended = true;
                outcome.ended += 1;
            }
        }
    }
}

/// Connects from one of several loopback addresses, so that no address runs out of ports.
fn connect(to: SocketAddr, index: usize) -> anyhow::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    if let SocketAddr::V4(v4) = to
        && v4.ip().is_loopback()
    {
        let source = Ipv4Addr::new(127, 0, 1, 1 + u8::try_from(index / PER_SOURCE)?);
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    socket.connect(&to.into())?;
    socket.set_nonblocking(true)?;
    Ok(TcpStream::from_std(socket.into()))
}
