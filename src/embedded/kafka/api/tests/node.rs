//! A node on a port of its own, and a client of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Answered;
use crate::embedded::kafka::broker::{Advertised, Broker, Limits};
use crate::embedded::kafka::groups::{Coordinator, GroupSettings};
use crate::embedded::kafka::producer_ids::ProducerIds;
use crate::embedded::kafka::server::serve;
use crate::embedded::kafka::topics::{Options, Registry};

/// A node that listens.
pub struct Node {
    pub broker: Arc<Broker>,
    address: SocketAddr,
    serving: JoinHandle<()>,
    folder: TempDir,
}

impl Node {
    pub async fn start() -> Self {
        Self::start_with(tempfile::tempdir().expect("a folder"), |_, _| {}).await
    }

    pub async fn start_with(folder: TempDir, adapt: impl FnOnce(&mut Options, &mut Limits)) -> Self {
        let (mut options, mut limits) = (Options::new(folder.path()), Limits::default());
        adapt(&mut options, &mut limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let advertised = Advertised { host: "127.0.0.1".to_owned(), port: address.port() };
        let topics = Registry::open(options).expect("the folder opens");
        let producer_ids = ProducerIds::open(folder.path()).expect("the folder opens");
        let groups = folder.path().join("groups");
        std::fs::create_dir_all(&groups).expect("a folder");
        let groups = Coordinator::open(&groups, GroupSettings::default()).expect("the journal opens");
        let broker = Arc::new(Broker::new(advertised, limits, topics, groups, producer_ids));
        let serving = tokio::spawn(serve(listener, Arc::clone(&broker)));
        Self { broker, address, serving, folder }
    }

    /// Ends it in order; its data stays.
    pub async fn stop(self) -> TempDir {
        self.broker.stopping.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.serving).await.expect("it ends").expect("no panic");
        self.broker.topics.close().expect("the logs close");
        self.folder
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// One request on a connection of its own.
    pub async fn call<R: Request>(&self, version: i16, request: R) -> Answered<R> {
        self.client().await.call(version, request).await
    }
}

/// A connection to a node.
pub struct Client {
    pub stream: TcpStream,
    correlation_id: i32,
    sent: Vec<i32>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, correlation_id: 0, sent: Vec::new() }
    }

    pub async fn call<R: Request>(&mut self, version: i16, request: R) -> Answered<R> {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).expect("a request");
        self.send(R::KEY, version, &body).await;
        let mut answer = self.receive(R::KEY, version).await.expect("an answer");
        let response = Answered::<R>::decode(&mut answer, version).expect("a response");
        assert!(answer.is_empty(), "{} bytes too many", answer.len());
        response
    }

    /// A request that wants no answer.
    pub async fn send_only<R: Request>(&mut self, version: i16, request: R) {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).expect("a request");
        self.send(R::KEY, version, &body).await;
        self.sent.pop();
    }

    pub async fn send(&mut self, key: i16, version: i16, body: &[u8]) {
        self.correlation_id += 1;
        self.sent.push(self.correlation_id);
        self.write(&framed(&request(key, version, self.correlation_id, body))).await;
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("written");
    }

    /// The body of the next answer, which must be one to what was sent, in order; none if the node closes.
    pub async fn receive(&mut self, key: i16, version: i16) -> Option<Bytes> {
        let mut frame = self.frame().await?;
        let header_version = ApiKey::try_from(key).expect("a key").response_header_version(version);
        let header = ResponseHeader::decode(&mut frame, header_version).expect("a header");
        assert_eq!(header.correlation_id, self.sent.remove(0));
        Some(frame)
    }

    pub async fn frame(&mut self) -> Option<Bytes> {
        let read = async {
            let mut length = [0; 4];
            self.stream.read_exact(&mut length).await.ok()?;
            let mut frame = vec![0; (&length[..]).get_u32() as usize];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("an answer or the end in time")
    }

    /// Whether the node answers here.
    pub async fn is_served(&mut self) -> bool {
        self.send(18, 0, &[]).await;
        self.receive(18, 0).await.is_some()
    }
}

/// A request without its length.
pub fn request(key: i16, version: i16, correlation_id: i32, body: &[u8]) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("test")));
    let header_version = ApiKey::try_from(key).map_or(1, |key| key.request_header_version(version));
    let mut bytes = BytesMut::new();
    header.encode(&mut bytes, header_version).expect("a header");
    bytes.extend_from_slice(body);
    bytes.freeze()
}

pub fn framed(request: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i32(request.len() as i32);
    bytes.extend_from_slice(request);
    bytes.freeze()
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
