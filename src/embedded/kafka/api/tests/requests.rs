//! Decoding requests: what clients send comes out as it went in, and what nobody sends costs nothing.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{CreateTopicsRequest, FetchRequest, JoinGroupRequest, MetadataRequest, ProduceRequest};
use kafka_protocol::protocol::{Decodable, Request};
use proptest::prelude::*;

use super::super::{APIS, check, guard};
use super::node::{request, text};

fn survives<R: Request + PartialEq + std::fmt::Debug>(request: &R, version: i16) {
    let mut bytes = BytesMut::new();
    request.encode(&mut bytes, version).expect("a request");
    let mut bytes = bytes.freeze();
    let plain = R::decode(&mut bytes.clone(), version).expect("a request");
    let guarded: R = guard::decode(&mut bytes, version, 0).expect("a request");
    assert_eq!(guarded, plain, "version {version}");
    assert!(bytes.is_empty());
}

#[test]
fn large_batches_and_large_numbers_come_through_in_every_version() {
    for size in [10, 99_999, 100_000, 100_001, 300_000] {
        for timeout in [0, 30_000, 150_000, i32::MAX] {
            let records = |n: u8| Some(Bytes::from(vec![n; size]));
            let partition = |n: u8| PartitionProduceData::default().with_index(n.into()).with_records(records(n));
            let topic = TopicProduceData::default().with_name(text("t").into());
            let topic = topic.with_partition_data(vec![partition(0), partition(1), partition(255)]);
            let produce = ProduceRequest::default().with_timeout_ms(timeout).with_topic_data(vec![topic]);
            // From version 13 on, topics go by their ids.
            (3..=12).for_each(|version| survives(&produce, version));

            let metadata = JoinGroupRequestProtocol::default().with_metadata(Bytes::from(vec![0x80; size]));
            let join = JoinGroupRequest::default()
                .with_group_id(text("g").into())
                .with_session_timeout_ms(timeout)
                .with_rebalance_timeout_ms(if timeout == 0 { -1 } else { timeout })
                .with_protocols(vec![metadata]);
            (1..=9).for_each(|version| survives(&join, version));
        }
    }
}

#[test]
fn a_fetch_with_sizes_larger_than_itself_comes_through() {
    let partition = |n| FetchPartition::default().with_partition(n).with_partition_max_bytes(i32::MAX);
    let topic = FetchTopic::default().with_topic(text("t").into()).with_partitions((0..2_000).map(partition).collect());
    let fetch = FetchRequest::default().with_max_wait_ms(500).with_max_bytes(52_428_800).with_topics(vec![topic]);
    (4..=12).for_each(|version| survives(&fetch, version));
}

#[test]
fn counts_that_no_request_has_are_refused() {
    // Metadata before version 9 has a count of four bytes, then one of variable length.
    for count in [100_001, 1_000_000, i32::MAX] {
        for rest in [0, 200_000, 2_000_000] {
            let mut body = BytesMut::new();
            body.put_i32(count);
            body.put_bytes(0, rest);
            let decoded: Result<MetadataRequest, _> = guard::decode(&mut body.freeze(), 1, 0);
            assert!(decoded.is_err(), "{count} of {rest}");
        }
    }
    for varint in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x80, 0x80, 0x80, 0x80, 0x80], &[0xff, 0xff, 0x7f]] {
        for rest in [0, 200_000, 2_000_000] {
            let mut body = BytesMut::from(varint);
            body.put_bytes(0, rest);
            let decoded: Result<MetadataRequest, _> = guard::decode(&mut body.freeze(), 9, 0);
            assert!(decoded.is_err(), "{varint:?} of {rest}");
        }
    }
}

#[test]
fn flags_cant_hide_a_count() {
    // The first flag of a request of many partitions; it is followed by a count of variable length.
    for flag in 0x80..=0xff_u8 {
        let mut bytes = BytesMut::from(&[flag, 0x80, 0x80, 0x80, 0x80, 0x0f][..]);
        bytes.put_bytes(0, 300_000);
        let decoded: Result<FlagThenArray, _> = guard::decode(&mut bytes.freeze(), 0, 0);
        assert!(decoded.is_err());
    }
    let mut bytes = Bytes::from_static(&[1, 2, 0]);
    assert!(guard::decode::<FlagThenArray>(&mut bytes, 0, 0).is_ok());
}

/// What a flag right before an array would be decoded as.
#[derive(Debug)]
struct FlagThenArray;

impl Decodable for FlagThenArray {
    fn decode<B: kafka_protocol::protocol::buf::ByteBuf>(bytes: &mut B, _: i16) -> anyhow::Result<Self> {
        let _flag = bytes.try_get_u8()?;
        let mut count = 0_u32;
        for shift in 0..5 {
            let byte = u32::from(bytes.try_get_u8()?);
            count |= (byte & 0x7f) << (7 * shift);
            if byte < 0x80 {
                break;
            }
        }
        assert!(count <= 100_001, "the decoder would make room for {count} items");
        bytes.try_get_u8()?;
        Ok(Self)
    }
}

fn some_request() -> impl Strategy<Value = Bytes> {
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..500)).prop_map(
        |(api, version, body)| {
            let api = api.get(APIS);
            let versions: Vec<i16> = (api.versions.min..=api.versions.max).collect();
            request(api.key, *version.get(&versions), 1, &body)
        },
    )
}

proptest! {
    #[test]
    fn random_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = check(Bytes::from(bytes));
    }

    #[test]
    fn random_bodies_are_decoded_or_refused(frame in some_request()) {
        let _ = check(frame);
    }

    #[test]
    fn what_the_decoder_takes_the_guard_takes_too(
        names in prop::collection::vec("[a-z]{0,200}", 0..50),
        configs in prop::collection::vec(("[a-z.]{0,40}", prop::option::of(".{0,300}")), 0..20),
        numbers in any::<(i32, i16, i32)>(),
        validate_only in any::<bool>(),
    ) {
        let configs: Vec<_> = configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(value.as_deref().map(text))
        }).collect();
        let topics = names.iter().map(|name| {
            CreatableTopic::default()
                .with_name(text(name).into())
                .with_num_partitions(numbers.0)
                .with_replication_factor(numbers.1)
                .with_configs(configs.clone())
        });
        let request = CreateTopicsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(numbers.2)
            .with_validate_only(validate_only);
        (2..=7).for_each(|version| survives(&request, version));
    }
}

#[test]
fn a_request_is_named_with_what_is_wrong_with_it() {
    let refused = check(Bytes::from_static(&[0, 3])).expect_err("too short");
    assert_eq!(refused.to_string(), "unknown: 2 bytes are too few for a request");
    let refused = check(request(3, 99, 1, &[])).expect_err("unsupported");
    assert_eq!(refused.to_string(), "Metadata version 99: versions 0 to 13 are supported");
    let refused = check(request(3, 12, 1, &[2])).expect_err("cut off");
    assert!(refused.to_string().starts_with("Metadata version 12: the body can't be decoded: "), "{refused}");
    let refused = check(request(999, 0, 1, &[])).expect_err("unknown");
    assert_eq!(refused.to_string(), "API 999 version 0: this broker doesn't have this API");
}
