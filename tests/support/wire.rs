//! Kafka's protocol without a client between: a test that says itself what is sent, when, and when again.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer that takes longer never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a broker.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    correlation_id: i32,
}

impl Wire {
    /// Connects to `host:port`.
    pub async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, correlation_id: 0 })
    }

    /// Sends a request; [`receive`](Self::receive) gets the answers in the same order.
    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<()> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("wire")));
        let header_version = ApiKey::try_from(R::KEY).unwrap().request_header_version(version);
        let mut body = BytesMut::new();
        header.encode(&mut body, header_version).unwrap();
        request.encode(&mut body, version).unwrap();
        let mut frame = BytesMut::new();
        frame.put_u32(body.len() as u32);
        frame.extend_from_slice(&body);
        self.stream.write_all(&frame).await
    }

    /// The answer to the oldest request that has none yet, which was an `R` of this version.
    pub async fn receive<R: Request>(&mut self, version: i16) -> io::Result<R::Response> {
        let read = async {
            let length = self.stream.read_u32().await?;
            let mut frame = vec![0; length as usize];
            self.stream.read_exact(&mut frame).await?;
            Ok::<_, io::Error>(Bytes::from(frame))
        };
        let mut frame = tokio::time::timeout(PATIENCE, read).await.map_err(|_| ErrorKind::TimedOut)??;
        ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
        Ok(R::Response::decode(&mut frame, version).unwrap())
    }

    /// One request and its answer.
    pub async fn call<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        self.send(version, request).await?;
        self.receive::<R>(version).await
    }
}

/// Who writes a batch: an idempotent producer's id and the sequence of the first record.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    pub producer_id: i64,
    pub sequence: i32,
}

/// A record batch as a producer sends it: each record with this timestamp (ms) and one of these values.
pub fn batch(sender: Sender, timestamp: i64, values: &[String], compression: Compression) -> Bytes {
    let record = |(place, value): (usize, &String)| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: sender.producer_id,
        producer_epoch: 0,
        timestamp_type: TimestampType::Creation,
        offset: place as i64,
        sequence: sender.sequence + place as i32,
        timestamp,
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Default::default(),
    };
    let records: Vec<_> = values.iter().enumerate().map(record).collect();
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &RecordEncodeOptions { version: 2, compression }).unwrap();
    bytes.freeze()
}

/// The records of whole batches.
pub fn records(mut batches: Bytes) -> Vec<Record> {
    let sets = RecordBatchDecoder::decode_all(&mut batches).unwrap();
    sets.into_iter().flat_map(|set| set.records).collect()
}

/// A string of the protocol.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
