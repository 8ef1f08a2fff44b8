//! Connections against a broker that does what the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerId, MetadataRequest, MetadataResponse, TopicName,
};
use kafka_protocol::protocol::{Encodable, Request, StrBytes, VersionRange};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::connection::Answer;
use super::{Brokers, Connection, WireError};
use crate::config::KafkaSettings;
use crate::kafka::cluster::MAX_RESPONSE_BYTES;

const PATIENCE: Duration = Duration::from_secs(5);
const VERSIONS: VersionRange = VersionRange { min: 0, max: 20 };

/// A request as the broker sees it.
#[derive(Debug)]
struct Asked {
    key: i16,
    version: i16,
    correlation_id: i32,
}

/// The broker's end.
struct Broker<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Broker<S> {
    /// The next request; none when the client has gone.
    async fn asked(&mut self) -> Option<Asked> {
        let length = self.0.read_u32().await.ok()?;
        let mut frame = vec![0; length as usize];
        self.0.read_exact(&mut frame).await.ok()?;
        let number = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
        let correlation_id = i32::from_be_bytes(*frame[4..].first_chunk().unwrap());
        Some(Asked { key: number(0), version: number(2), correlation_id })
    }

    async fn answer(&mut self, correlation_id: i32, body: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_u32(4 + body.len() as u32);
        frame.put_i32(correlation_id);
        frame.put_slice(body);
        // The client may have gone.
        let _ = self.0.write_all(&frame).await;
    }

    /// An ApiVersions answer of version 0, known by its error code.
    async fn answer_number(&mut self, correlation_id: i32, number: i16) {
        self.answer(correlation_id, &[&number.to_be_bytes()[..], &[0; 4]].concat()).await;
    }
}

fn pair() -> (Connection, Broker<tokio::io::DuplexStream>) {
    let (near, far) = tokio::io::duplex(1 << 16);
    (Connection::over(near, "far:9092".into()), Broker(far))
}

fn send(connection: &Connection) -> Answer<ApiVersionsRequest> {
    connection.send(0, &ApiVersionsRequest::default()).unwrap()
}

async fn number(answer: Answer<ApiVersionsRequest>) -> Result<i16, WireError> {
    answer.receive(PATIENCE).await.map(|response| response.error_code)
}

#[tokio::test]
async fn answers_come_to_those_who_asked_and_who_goes_away_leaves_it_in_order() {
    let (connection, mut broker) = pair();
    let (first, second, third) = (send(&connection), send(&connection), send(&connection));
    drop(second);
    for answer in 1..=3 {
        let asked = broker.asked().await.unwrap();
        assert!(!connection.is_free());
        broker.answer_number(asked.correlation_id, answer).await;
    }
    assert_eq!((number(first).await.unwrap(), number(third).await.unwrap()), (1, 3));
    assert!(connection.is_free());
}

#[tokio::test]
async fn a_connection_that_ends_is_told_to_all_who_wait_and_to_who_comes_later() {
    let (connection, mut broker) = pair();
    let answers = [send(&connection), send(&connection)];
    broker.asked().await.unwrap();
    drop(broker);
    for answer in answers {
        let error = number(answer).await.unwrap_err();
        assert!(matches!(error, WireError::Lost { .. }) && error.is_retriable(), "{error}");
    }
    assert!(!connection.is_free());
    let error = number(send(&connection)).await.unwrap_err();
    assert!(matches!(error, WireError::Lost { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_to_something_else_ends_it() {
    let (connection, mut broker) = pair();
    let answers = [send(&connection), send(&connection)];
    let asked = broker.asked().await.unwrap();
    broker.answer_number(asked.correlation_id + 1, 1).await;
    for answer in answers {
        let error = number(answer).await.unwrap_err();
        assert!(error.to_string().contains("another request"), "{error}");
    }
    let (connection, mut broker) = pair();
    let answer = send(&connection);
    let asked = broker.asked().await.unwrap();
    broker.answer_number(asked.correlation_id, 1).await;
    assert_eq!(number(answer).await.unwrap(), 1);
    broker.answer_number(asked.correlation_id, 1).await;
    // Whether it is noticed before the next request is sent or after.
    let error = number(send(&connection)).await.unwrap_err();
    assert!(matches!(error, WireError::Malformed { .. } | WireError::Lost { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_taken() {
    let (connection, mut broker) = pair();
    let answer = send(&connection);
    broker.asked().await.unwrap();
    broker.0.write_u32(MAX_RESPONSE_BYTES as u32 + 1).await.unwrap();
    let error = number(answer).await.unwrap_err();
    assert!(matches!(error, WireError::TooLarge { .. }) && !error.is_retriable(), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_or_nonsense_is_an_error() {
    let (connection, mut broker) = pair();
    let answer = send(&connection);
    let asked = broker.asked().await.unwrap();
    broker.answer(asked.correlation_id, &[0]).await;
    let error = number(answer).await.unwrap_err();
    assert!(matches!(error, WireError::Malformed { .. }), "{error}");
    let answer = send(&connection);
    broker.asked().await.unwrap();
    broker.0.write_all(&[0, 0, 1, 0, 9]).await.unwrap();
    drop(broker);
    let error = number(answer).await.unwrap_err();
    assert!(matches!(error, WireError::Lost { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_says_nothing_is_not_waited_for_for_ever() {
    let (connection, mut broker) = pair();
    let answer = send(&connection);
    broker.asked().await.unwrap();
    let error = number(answer).await.unwrap_err();
    assert!(matches!(error, WireError::TimedOut { .. }), "{error}");
    assert!(!connection.is_free(), "its answer is still to come");
}

/// A broker that listens, and how often it was connected to and asked for metadata.
struct Listening {
    brokers: Arc<Brokers>,
    address: Arc<str>,
    connections: Arc<AtomicUsize>,
    questions: Arc<AtomicUsize>,
}

/// Has one listen: it answers Metadata with itself and one topic without partitions. An `old` one knows no version 3 of ApiVersions.
async fn listen(old: bool) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (connections, questions) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&connections), Arc::clone(&questions));
    tokio::spawn(accept(listener, told(&[port], 0), old, counts));
    let brokers = brokers(port);
    let address = Arc::from(format!("127.0.0.1:{port}").as_str());
    Listening { brokers, address, connections, questions }
}

/// The brokers of the cluster that the one at `port` belongs to.
fn brokers(port: u16) -> Arc<Brokers> {
    Arc::new(Brokers::new(KafkaSettings {
        // The first one is away.
        bootstrap: vec!["127.0.0.1:1".to_owned(), format!("127.0.0.1:{port}")],
        tls: None,
        sasl: None,
        session_timeout: PATIENCE,
    }))
}

/// What a broker tells of a cluster at `ports` and of a topic without partitions, or with an error.
fn told(ports: &[u16], error: i16) -> MetadataResponse {
    let broker = |(id, port): (i32, &u16)| {
        let host = StrBytes::from_static_str("127.0.0.1");
        MetadataResponseBroker::default().with_host(host).with_port((*port).into()).with_node_id(BrokerId(id))
    };
    let name = TopicName(StrBytes::from_static_str("topic"));
    let topic = MetadataResponseTopic::default().with_name(Some(name)).with_error_code(error);
    MetadataResponse::default().with_brokers((1..).zip(ports).map(broker).collect()).with_topics(vec![topic])
}

async fn accept(
    listener: TcpListener,
    told: MetadataResponse,
    old: bool,
    (connections, questions): (Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(serve(Broker(stream), told.clone(), old, Arc::clone(&questions)));
    }
}

async fn serve(
    mut broker: Broker<tokio::net::TcpStream>,
    told: MetadataResponse,
    old: bool,
    questions: Arc<AtomicUsize>,
) {
    while let Some(asked) = broker.asked().await {
        let mut body = BytesMut::new();
        if asked.key == ApiVersionsRequest::KEY {
            let offered = ApiVersion::default().with_api_key(MetadataRequest::KEY).with_max_version(12);
            let refused = old && asked.version > 0;
            let response = ApiVersionsResponse::default().with_error_code(if refused { 35 } else { 0 });
            let version = if refused { 0 } else { asked.version };
            response.with_api_keys(vec![offered]).encode(&mut body, version).unwrap();
        } else {
            assert_eq!((asked.key, asked.version), (MetadataRequest::KEY, 12));
            questions.fetch_add(1, Ordering::Relaxed);
            body.put_u8(0); // a header without tags
            told.encode(&mut body, 12).unwrap();
        }
        broker.answer(asked.correlation_id, &body).await;
    }
}

#[tokio::test]
async fn one_asks_for_all_and_what_was_told_is_believed_for_a_while() {
    for old in [false, true] {
        let Listening { brokers, connections, questions, .. } = listen(old).await;
        let asks = (0..10).map(|_| async {
            let layouts = brokers.layouts(&["topic"]).await.unwrap();
            assert!(layouts["topic"].as_ref().unwrap().is_empty());
        });
        futures::future::join_all(asks).await;
        assert_eq!(questions.load(Ordering::Relaxed), 1);
        brokers.forget("topic");
        brokers.layouts(&["topic"]).await.unwrap();
        assert_eq!((questions.load(Ordering::Relaxed), connections.load(Ordering::Relaxed)), (2, 1));
        let missing = brokers.layouts(&["other"]).await.unwrap();
        assert!(missing.is_empty());
    }
}

#[tokio::test]
async fn each_broker_is_asked_and_those_that_are_away_say_nothing() {
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let [first, second] = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
    for (listener, error) in listeners.into_iter().zip([0, 3]) {
        tokio::spawn(accept(listener, told(&[first, 1, second], error), false, Default::default()));
    }
    let told = brokers(first).layouts_by_each(&["topic".to_owned()]).await.unwrap();
    let told: Vec<_> = told.iter().map(|told| &told["topic"]).collect();
    // Whoever is asked for the brokers is asked again with them.
    assert!(matches!(told[..], [Ok(_), Ok(_), Err(ResponseError::UnknownTopicOrPartition)]), "{told:?}");
}

#[tokio::test]
async fn a_connection_is_used_again_when_all_is_answered_and_only_then() {
    let Listening { brokers, address, connections, .. } = listen(false).await;
    drop(brokers.lease(&address).await.unwrap());
    let lease = brokers.lease(&address).await.unwrap();
    assert!(lease.is_used());
    let other = brokers.lease(&address).await.unwrap();
    assert!(!other.is_used());
    let unanswered = lease.send(12, &MetadataRequest::default()).unwrap();
    drop(lease);
    let error = unanswered.receive(PATIENCE).await.unwrap_err();
    assert!(matches!(error, WireError::Lost { .. }), "{error}");
    drop(other);
    assert!(brokers.lease(&address).await.unwrap().is_used());
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_request_that_the_broker_does_not_know_is_named() {
    let Listening { brokers, address, .. } = listen(false).await;
    let lease = brokers.lease(&address).await.unwrap();
    assert_eq!(lease.version::<MetadataRequest>(VERSIONS).unwrap(), 12);
    let error = lease.version::<kafka_protocol::messages::FetchRequest>(VERSIONS).unwrap_err();
    assert!(error.to_string().contains("Fetch"), "{error}");
}
