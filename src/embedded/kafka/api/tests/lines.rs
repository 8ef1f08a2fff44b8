//! The lines in the log about connections that were closed.

use std::cell::RefCell;
use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::node::{Node, framed, request};

thread_local! {
    /// The warnings of this thread's test and of the broker that it runs, as `field=value` one after the other.
    static WARNINGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps warnings. It is the whole process's: a subscriber of one thread misses what is first said on another, because
/// tracing remembers for all threads that nobody wanted to hear it.
struct Warnings;

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        WARNINGS.with_borrow_mut(|warnings| warnings.push(line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

#[tokio::test]
async fn a_malformed_request_is_one_line_with_peer_api_and_reason() {
    tracing::subscriber::set_global_default(Warnings).expect("no other test sets one");
    tracing::callsite::rebuild_interest_cache();
    let node = Node::start().await;
    for (bytes, api, reason) in [
        (framed(&request(3, 12, 1, &[2])), "Metadata version 12", "the body can't be decoded"),
        (framed(&request(19, 99, 1, &[])), "CreateTopics version 99", "versions 2 to 7 are supported"),
        (framed(&request(999, 0, 1, &[])), "API 999 version 0", "this broker doesn't have this API"),
        (
            bytes::Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]),
            "unknown",
            "a request of 2147483647 bytes was announced",
        ),
    ] {
        let mut client = node.client().await;
        let peer = client.stream.local_addr().expect("an address");
        client.write(&bytes).await;
        assert!(client.frame().await.is_none());
        let said = WARNINGS.take();
        assert_eq!(said.len(), 1, "{said:?}");
        for words in [format!("peer={peer}"), format!("api={api:?}"), reason.to_owned()] {
            assert!(said[0].contains(&words), "{said:?}");
        }
    }
    // Who just leaves, or is idle, is no news.
    drop(node.client().await);
    node.stop().await;
    assert_eq!(WARNINGS.take(), Vec::<String>::new());
}
