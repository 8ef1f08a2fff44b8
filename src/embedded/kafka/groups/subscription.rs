//! What a member of a consumer group subscribes to, as far as the coordinator has to know it.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ConsumerProtocolSubscription;
use kafka_protocol::protocol::Decodable;

/// The protocol type of consumer groups.
pub const CONSUMER: &str = "consumer";

/// The topics in a member's metadata; `None` when it isn't a subscription.
///
/// Each version of the subscription begins with the fields of version 0, which has the topics: so they can be read from
/// versions 0 to 3 and from those to come, without the lists that follow.
pub fn topics(metadata: &Bytes) -> Option<BTreeSet<String>> {
    let mut rest = metadata.clone();
    let version = rest.try_get_i16().ok()?;
    // The decoder makes room for as many topics as are announced: not more than the bytes can hold.
    let announced = rest.clone().try_get_i32().ok()?;
    if version < 0 || usize::try_from(announced).ok()? > rest.remaining() / 2 {
        return None;
    }
    let subscription = ConsumerProtocolSubscription::decode(&mut rest, 0).ok()?;
    Some(subscription.topics.iter().map(|topic| topic.to_string()).collect())
}

/// Whether two metadata of one member mean the same to the leader. Consumers put the generation and the partitions they
/// own into theirs, which are others after a restart: of two subscriptions only the topics count.
pub fn is_same(before: &Bytes, after: &Bytes) -> bool {
    match (topics(before), topics(after)) {
        (Some(before), Some(after)) => before == after,
        _ => before == after,
    }
}

/// A subscription as clients send it, for tests.
#[cfg(test)]
pub fn encode(version: i16, topics: &[&str], generation: i32) -> Bytes {
    use bytes::{BufMut, BytesMut};
    use kafka_protocol::messages::consumer_protocol_subscription::TopicPartition;
    use kafka_protocol::protocol::{Encodable, StrBytes};

    let mut subscription = ConsumerProtocolSubscription::default()
        .with_topics(topics.iter().map(|topic| StrBytes::from_string((*topic).to_owned())).collect());
    if version >= 1 {
        let owned = TopicPartition::default()
            .with_topic(StrBytes::from_static_str("owned").into())
            .with_partitions(vec![generation]);
        subscription = subscription.with_owned_partitions(vec![owned]);
    }
    if version >= 2 {
        subscription = subscription.with_generation_id(generation);
    }
    let mut bytes = BytesMut::new();
    bytes.put_i16(version);
    subscription.encode(&mut bytes, version).unwrap();
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn topics_are_read_from_every_version() {
        for version in 0..=3 {
            let found = topics(&encode(version, &["b", "a"], 7)).unwrap();
            assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        }
    }

    #[test]
    fn a_version_to_come_is_read_as_its_first_part() {
        let mut bytes = encode(3, &["a"], 7).to_vec();
        bytes[1] = 9;
        bytes.extend_from_slice(b"something new");
        assert_eq!(topics(&bytes.into()).unwrap().len(), 1);
    }

    #[test]
    fn announced_topics_that_cannot_be_there_are_refused_before_there_is_room_for_them() {
        let bytes = Bytes::from_static(&[0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0]);
        assert_eq!(topics(&bytes), None);
        assert_eq!(topics(&Bytes::new()), None);
        assert_eq!(topics(&Bytes::from_static(&[0, 0, 0xff, 0xff, 0xff, 0xff])), None);
    }

    #[test]
    fn a_restarted_consumer_subscribes_to_the_same_though_its_metadata_differs() {
        let (before, after) = (encode(3, &["a", "b"], 12), encode(3, &["b", "a"], -1));
        assert_ne!(before, after);
        assert!(is_same(&before, &after));
        assert!(!is_same(&before, &encode(3, &["a"], 12)));
        assert!(!is_same(&Bytes::from_static(b"x"), &Bytes::from_static(b"y")));
    }

    proptest! {
        #[test]
        fn random_metadata_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = topics(&bytes.into());
        }
    }
}
