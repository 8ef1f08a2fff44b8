//! An address in front of a broker where connections break while records are under way.
//!
//! Where a broker tells its own address, the proxy's is put in its place: both have the same length, so nothing else
//! of the protocol needs to be understood but frames, and which of them are Produce requests.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The number of Produce.
const PRODUCE: [u8; 2] = [0, 0];
/// Connections break at every third Produce request, until they broke in each way twice.
const CUT_EVERY: usize = 3;
/// How often connections break.
pub const CUTS: usize = 6;
/// No correlation id that clients use.
const NO_ANSWER: i64 = -1;

/// How a connection breaks.
#[derive(Clone, Copy)]
enum Cut {
    /// The records are written, but the client isn't told.
    AnswerLost,
    /// The records never arrive.
    RequestLost,
    /// A part of them does.
    RequestTorn,
}

/// The proxy; it ends when it is dropped.
pub struct Cutting {
    address: String,
    requests: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Cutting {
    /// One in front of `broker`, which is called `127.0.0.1:PORT`.
    pub async fn before(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let broker: u16 = broker.strip_prefix("127.0.0.1:").unwrap().parse().unwrap();
        let counted = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(("127.0.0.1", broker)).await.unwrap();
                tokio::spawn(connection(client, server, Arc::clone(&counted), Addresses { broker, proxy: port }));
            }
        });
        Self { address: format!("127.0.0.1:{port}"), requests, accepting }
    }

    /// Where clients connect.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How often a connection broke.
    pub fn cuts(&self) -> usize {
        (self.requests.load(Ordering::Relaxed) / CUT_EVERY).min(CUTS)
    }
}

impl Drop for Cutting {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The ports that stand for each other.
#[derive(Clone, Copy)]
struct Addresses {
    broker: u16,
    proxy: u16,
}

async fn connection(client: TcpStream, server: TcpStream, requests: Arc<AtomicUsize>, addresses: Addresses) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let withheld = Arc::new(AtomicI64::new(NO_ANSWER));
    // The first to end ends both: what is dropped closes its connection.
    tokio::select! {
        _ = forward(from_client, to_server, &requests, &withheld) => {}
        _ = answer(from_server, to_client, &withheld, addresses) => {}
    }
}

/// From the client to the broker, until a request is lost.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    requests: &AtomicUsize,
    withheld: &AtomicI64,
) -> io::Result<()> {
    loop {
        let frame = read(&mut from).await?;
        let cut = if frame[4..6] == PRODUCE { cut(requests) } else { None };
        match cut {
            None => to.write_all(&frame).await?,
            Some(Cut::RequestLost) => return Ok(()),
            Some(Cut::RequestTorn) => return to.write_all(&frame[..frame.len() - 20]).await,
            Some(Cut::AnswerLost) => {
                withheld.store(correlation_id(&frame[8..]), Ordering::Relaxed);
                to.write_all(&frame).await?;
            }
        }
    }
}

/// From the broker to the client, until an answer is withheld.
async fn answer(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    withheld: &AtomicI64,
    addresses: Addresses,
) -> io::Result<()> {
    let [told, instead] = [addresses.broker, addresses.proxy]
        .map(|port| [b"127.0.0.1".as_slice(), &i32::from(port).to_be_bytes()].concat());
    loop {
        let mut frame = read(&mut from).await?;
        if correlation_id(&frame[4..]) == withheld.load(Ordering::Relaxed) {
            return Ok(());
        }
        let places: Vec<usize> =
            frame.windows(told.len()).enumerate().filter(|(_, bytes)| *bytes == told).map(|(at, _)| at).collect();
        for at in places {
            frame[at..at + told.len()].copy_from_slice(&instead);
        }
        to.write_all(&frame).await?;
    }
}

/// What becomes of the next Produce request.
fn cut(requests: &AtomicUsize) -> Option<Cut> {
    let number = requests.fetch_add(1, Ordering::Relaxed) + 1;
    let cuts = [Cut::AnswerLost, Cut::RequestLost, Cut::RequestTorn];
    (number.is_multiple_of(CUT_EVERY) && number / CUT_EVERY <= CUTS).then(|| cuts[number / CUT_EVERY % cuts.len()])
}

/// A frame, with its length.
async fn read(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).await?;
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    frame.resize(4 + length, 0);
    from.read_exact(&mut frame[4..]).await?;
    Ok(frame)
}

fn correlation_id(bytes: &[u8]) -> i64 {
    i64::from(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}
