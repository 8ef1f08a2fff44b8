//! Every API through a real connection, encoded by a client.

mod admin;
mod configs;
mod connections;
mod data;
mod groups;
mod lines;
mod node;
mod requests;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable, Request};

use super::{APIS, Api, ResponseOf};
use node::Node;

/// The client's side of an API: a request that says nothing, and reading the answer.
pub struct Codec {
    request: fn(i16) -> Bytes,
    read: fn(&mut Bytes, i16) -> Result<(), String>,
}

pub const fn codec<A: Api>() -> Codec {
    let request = |version| {
        let mut bytes = BytesMut::new();
        A::Request::default().encode(&mut bytes, version).expect("a default request");
        bytes.freeze()
    };
    let read = |bytes: &mut Bytes, version| {
        ResponseOf::<A>::decode(bytes, version).map(drop).map_err(|error| error.to_string())
    };
    Codec { request, read }
}

#[tokio::test]
async fn every_api_answers_in_every_version_that_it_says_it_has() {
    let node = Node::start().await;
    for api in APIS {
        for version in api.versions.min..=api.versions.max {
            // By default it wants no answer, and `data` asks for one.
            if api.key == ApiKey::Produce as i16 {
                continue;
            }
            let mut client = node.client().await;
            client.send(api.key, version, &(api.tests.request)(version)).await;
            let mut answer = client.receive(api.key, version).await.expect("an answer");
            let read = (api.tests.read)(&mut answer, version);
            assert!(read.is_ok() && answer.is_empty(), "API {} version {version}: {read:?}, {answer:?}", api.key);
        }
    }
    node.stop().await;
}

#[test]
fn each_api_is_there_once_in_order_and_within_what_the_codec_knows() {
    assert!(APIS.is_sorted_by(|one, other| one.key < other.key));
    for api in APIS {
        let known = kafka_protocol::messages::ApiKey::try_from(api.key).expect("known").valid_versions();
        assert!(known.min <= api.versions.min && api.versions.max <= known.max, "API {}", api.key);
        assert!(!api.versions.is_empty());
    }
}

/// The response type of a request.
type Answered<R> = <R as Request>::Response;
