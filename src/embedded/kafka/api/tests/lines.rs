//! The lines in the log about connections that were closed.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::node::{Node, framed, request};

/// Keeps warnings, as `field=value` one after the other.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

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
        self.0.lock().expect("not poisoned").push(line.0);
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
    let warnings = Warnings::default();
    let _here = tracing::subscriber::set_default(warnings.clone());
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
        let said = std::mem::take(&mut *warnings.0.lock().expect("not poisoned"));
        assert_eq!(said.len(), 1, "{said:?}");
        for words in [format!("peer={peer}"), format!("api={api:?}"), reason.to_owned()] {
            assert!(said[0].contains(&words), "{said:?}");
        }
    }
    // Who just leaves, or is idle, is no news.
    drop(node.client().await);
    node.stop().await;
    assert!(warnings.0.lock().expect("not poisoned").is_empty());
}
