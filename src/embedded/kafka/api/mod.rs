//! The APIs: one file an API or a family, each with the versions it speaks and one function from request to answer.
//!
//! # Adding one
//! A file with a type that is an [`Api`], its `mod` line, and one line in [`APIS`]. Dispatch, advertised versions,
//! metrics and the tests of every API come from that table.
//!
//! # What can't be answered
//! Clients learn the versions from ApiVersions and use no others; for those that do:
//! - ApiVersions itself, in a version that isn't known, is answered in version 0 with UNSUPPORTED_VERSION and the list,
//!   as Kafka does.
//! - Another API in a version that isn't supported gets UNSUPPORTED_VERSION where its answer has room for an error as a
//!   whole ([`Api::refuse`]), in the version asked for if the codec knows it, else in the nearest one. Kafka closes the
//!   connection instead.
//! - An API whose answers have no such room, an unknown API, and bytes that are no request at all: nothing that could
//!   be sent would be understood, so the connection is closed, as Kafka does, with a line in the log.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, ResponseHeader};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange};
use tokio::runtime::{Handle, RuntimeFlavor};

pub use request::{Call, Head, Malformed};

use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::instruments::ApiInstruments;
use crate::embedded::kafka::memory::Reserved;

mod api_versions;
mod cluster;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_producers;
mod describe_topic_partitions;
mod fetch;
mod find_coordinator;
mod groups;
mod guard;
mod init_producer_id;
mod leader_epochs;
mod list_offsets;
mod lookup;
mod metadata;
mod produce;
mod request;

/// Every API there is, in the order of their numbers.
pub static APIS: &[Entry] = &[
    entry::<produce::Produce>(),
    entry::<fetch::Fetch>(),
    entry::<list_offsets::ListOffsets>(),
    entry::<metadata::Metadata>(),
    entry::<groups::OffsetCommit>(),
    entry::<groups::OffsetFetch>(),
    entry::<find_coordinator::FindCoordinator>(),
    entry::<groups::JoinGroup>(),
    entry::<groups::Heartbeat>(),
    entry::<groups::LeaveGroup>(),
    entry::<groups::SyncGroup>(),
    entry::<groups::DescribeGroups>(),
    entry::<groups::ListGroups>(),
    entry::<api_versions::ApiVersions>(),
    entry::<create_topics::CreateTopics>(),
    entry::<delete_topics::DeleteTopics>(),
    entry::<delete_records::DeleteRecords>(),
    entry::<init_producer_id::InitProducerId>(),
    entry::<leader_epochs::LeaderEpochs>(),
    entry::<configs::Describe>(),
    entry::<configs::Alter>(),
    entry::<cluster::DescribeLogDirs>(),
    entry::<create_partitions::CreatePartitions>(),
    entry::<groups::DeleteGroups>(),
    entry::<configs::IncrementalAlter>(),
    entry::<groups::OffsetDelete>(),
    entry::<cluster::DescribeCluster>(),
    entry::<describe_producers::DescribeProducers>(),
    entry::<describe_topic_partitions::DescribeTopicPartitions>(),
];

/// The response type of an API.
pub type ResponseOf<A> = <<A as Api>::Request as Request>::Response;

/// One API.
pub trait Api: 'static {
    /// What it is asked.
    type Request: Request<Response: Send> + Default + Send;

    /// The versions it speaks.
    const VERSIONS: VersionRange;

    /// The oldest version that clients are told of. Kafka names version 0 of Produce, which it doesn't speak any more,
    /// because of clients that would otherwise take the broker for one too old to compress for.
    const ADVERTISED_FROM: i16 = Self::VERSIONS.min;

    /// Acts on `request`. What may wait for the disk does so in [`off_thread`] or [`waiting_for_disk`], and who waits for
    /// others, waits for [`Broker::stopping`] as well.
    fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: Self::Request,
    ) -> impl Future<Output = Answer<ResponseOf<Self>>> + Send;

    /// The answer to a request in a version that isn't supported, if there can be one, and the version it is in.
    fn refuse(version: i16) -> Option<(i16, ResponseOf<Self>)> {
        let _ = version;
        None
    }
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
pub enum Answer<R> {
    /// It is answered with this.
    Send(R),
    /// It wants no answer: produced with acks=0.
    Nothing,
    /// The connection is closed, for this reason: the only way to tell of an error when no answer is wanted.
    Close(String),
}

impl<R> From<R> for Answer<R> {
    fn from(response: R) -> Self {
        Self::Send(response)
    }
}

type Answering<'a> = BoxFuture<'a, Result<Answer<Bytes>, Malformed>>;

/// An API as the dispatch sees it.
pub struct Entry {
    /// Its number.
    pub key: i16,
    /// The versions it speaks.
    pub versions: VersionRange,
    /// The oldest version that clients are told of.
    pub advertised_from: i16,
    run: for<'a> fn(&'a Arc<Broker>, &'a Call, Head, Bytes) -> Answering<'a>,
    check: fn(Head, Bytes) -> Result<(), Malformed>,
    refuse: fn(Head) -> Option<Bytes>,
    #[cfg(test)]
    tests: tests::Codec,
}

const fn entry<A: Api>() -> Entry {
    let refuse = |head: Head| {
        let (version, response) = A::refuse(head.version)?;
        encode(&response, version, head.correlation_id).ok()
    };
    Entry {
        key: A::Request::KEY,
        versions: A::VERSIONS,
        advertised_from: A::ADVERTISED_FROM,
        run: run::<A>,
        check: check_body::<A>,
        refuse,
        #[cfg(test)]
        tests: tests::codec::<A>(),
    }
}

/// The series of every API.
pub struct Instruments {
    apis: Vec<ApiInstruments>,
}

impl Instruments {
    /// Looks them up.
    pub fn new() -> Self {
        let name = |entry: &Entry| {
            ApiKey::try_from(entry.key).map_or_else(|()| entry.key.to_string(), |key| format!("{key:?}"))
        };
        Self { apis: APIS.iter().map(|entry| ApiInstruments::new(name(entry))).collect() }
    }
}

impl Default for Instruments {
    fn default() -> Self {
        Self::new()
    }
}

/// Answers one request of `peer`; `frame` is all of it but its length, and takes `request` of the memory. What is
/// returned begins with its length, and holds the memory it takes.
///
/// # Errors
/// The request can't be answered; the connection is of no use any more.
pub async fn answer(
    broker: &Arc<Broker>,
    peer: SocketAddr,
    mut frame: Bytes,
    request: Option<Reserved>,
) -> Result<(Answer<Bytes>, Vec<Reserved>), Malformed> {
    let head = Head::read(&frame)?;
    let (index, entry) = find(head)?;
    if !contains(entry.versions, head.version) {
        return match (entry.refuse)(head) {
            Some(bytes) => {
                broker.instruments.apis[index].ended(Some(ResponseError::UnsupportedVersion), Duration::ZERO);
                Ok((Answer::Send(bytes), Vec::new()))
            }
            None => Err(unsupported(head, entry.versions)),
        };
    }
    let started = Instant::now();
    let client_id = take_header(head, &mut frame)?;
    let call = Call::new(head.version, peer, client_id, broker.memory.clone(), request);
    let answer = (entry.run)(broker, &call, head, frame).await?;
    broker.instruments.apis[index].ended(call.error(), started.elapsed());
    Ok((answer, call.into_reserved()))
}

/// Decodes one request without acting on it, for fuzzing: whatever `frame` holds, it returns, and makes no room for
/// more than a request can need.
///
/// # Errors
/// It is no request that would be answered.
pub fn check(mut frame: Bytes) -> Result<Head, Malformed> {
    let head = Head::read(&frame)?;
    let (_, entry) = find(head)?;
    if !contains(entry.versions, head.version) {
        return Err(unsupported(head, entry.versions));
    }
    take_header(head, &mut frame)?;
    (entry.check)(head, frame)?;
    Ok(head)
}

fn find(head: Head) -> Result<(usize, &'static Entry), Malformed> {
    let found = APIS.iter().enumerate().find(|(_, entry)| entry.key == head.key);
    found.ok_or_else(|| head.malformed("this broker doesn't have this API"))
}

fn contains(versions: VersionRange, version: i16) -> bool {
    (versions.min..=versions.max).contains(&version)
}

fn unsupported(head: Head, versions: VersionRange) -> Malformed {
    head.malformed(format!("versions {} to {} are supported", versions.min, versions.max))
}

fn take_header(head: Head, frame: &mut Bytes) -> Result<Option<StrBytes>, Malformed> {
    let key = ApiKey::try_from(head.key).map_err(|()| head.malformed("this API is unknown"))?;
    head.take(frame, key)
}

fn run<'a, A: Api>(broker: &'a Arc<Broker>, call: &'a Call, head: Head, body: Bytes) -> Answering<'a> {
    Box::pin(async move {
        let request = decode::<A>(head, body)?;
        Ok(match A::answer(broker, call, request).await {
            Answer::Send(response) => match encode(&response, head.version, head.correlation_id) {
                Ok(bytes) => Answer::Send(bytes),
                Err(reason) => Answer::Close(format!("the answer can't be encoded: {reason}")),
            },
            Answer::Nothing => Answer::Nothing,
            Answer::Close(reason) => Answer::Close(reason),
        })
    })
}

fn check_body<A: Api>(head: Head, body: Bytes) -> Result<(), Malformed> {
    decode::<A>(head, body).map(drop)
}

fn decode<A: Api>(head: Head, mut body: Bytes) -> Result<A::Request, Malformed> {
    guard::decode(&mut body, head.version, 0)
        .map_err(|reason| head.malformed(format!("the body can't be decoded: {reason}")))
}

/// A response with its length and header.
fn encode<R: Encodable + HeaderVersion>(response: &R, version: i16, correlation_id: i32) -> Result<Bytes, String> {
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    let header_version = R::header_version(version);
    let written = || {
        let length = header.compute_size(header_version)? + response.compute_size(version)?;
        let mut bytes = BytesMut::with_capacity(4 + length);
        bytes.put_i32(i32::try_from(length)?);
        header.encode(&mut bytes, header_version)?;
        response.encode(&mut bytes, version)?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(bytes.freeze())
    };
    written().map_err(|error| error.to_string())
}

/// The version to refuse `version` in: itself if the codec knows it for `R`, else the nearest one that it knows.
fn nearest<R: Message>(version: i16) -> i16 {
    version.clamp(R::VERSIONS.min, R::VERSIONS.max)
}

/// What [`Api::refuse`] answers to `version`: `answer` makes it of the error's number.
fn refused<R: Message>(version: i16, answer: impl FnOnce(i16) -> R) -> Option<(i16, R)> {
    Some((nearest::<R>(version), answer(ResponseError::UnsupportedVersion.code())))
}

/// The same where answers have room for an error as a whole from the version `first` on.
fn refused_since<R: Message>(first: i16, version: i16, answer: impl FnOnce(i16) -> R) -> Option<(i16, R)> {
    refused(version, answer).filter(|(version, _)| *version >= first)
}

/// Runs what reads or writes files where it holds up nobody.
///
/// # Errors
/// It panicked.
pub async fn off_thread<T: Send + 'static>(
    broker: &Arc<Broker>,
    work: impl FnOnce(&Broker) -> T + Send + 'static,
) -> Result<T, ResponseError> {
    let broker = Arc::clone(broker);
    let done = tokio::task::spawn_blocking(move || work(&broker)).await;
    done.map_err(|error| {
        tracing::error!(%error, "a request failed");
        ResponseError::UnknownServerError
    })
}

/// Does what may wait for the disk, in the place of whoever asks: the other tasks of its thread go on in another one
/// meanwhile. Cheaper than [`off_thread`] where `work` is small, dearer than doing it where it doesn't wait.
pub fn waiting_for_disk<T>(work: impl FnOnce() -> T) -> T {
    // A runtime of one thread, as tests have it, has no other.
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => tokio::task::block_in_place(work),
    }
}

#[cfg(test)]
mod tests;
