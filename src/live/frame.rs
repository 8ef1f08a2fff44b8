//! Server-Sent Events on the wire (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use bytes::Bytes;

/// The first event of every stream.
pub const CONNECTED: &str = "data: {\"type\":\"connected\"}\n\n";
/// Keeps proxies from closing a quiet stream; viewers ignore it.
pub const KEEPALIVE: &str = ": keepalive\n\n";
/// The last line before the server leaves: come back in a second.
pub const RETRY: &str = "retry: 1000\n\n";

/// The place of a message in a projection: which life of it, and its number there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The projection's epoch.
    pub epoch: String,
    /// The message's `seq`.
    pub seq: u64,
}

impl EventId {
    /// Reads an id as a viewer sends it back; `None` when it isn't one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, seq) = text.rsplit_once('-')?;
        Some(Self { epoch: epoch.to_owned(), seq: seq.parse().ok()? })
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

/// The event that carries one message. A line break inside the JSON would end the field early; JSON text has none
/// outside of strings, and inside of them they are escaped.
pub fn message(epoch: &str, seq: u64, json: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(json.len() + epoch.len() + 40);
    frame.extend_from_slice(b"id: ");
    frame.extend_from_slice(epoch.as_bytes());
    frame.push(b'-');
    frame.extend_from_slice(seq.to_string().as_bytes());
    frame.extend_from_slice(b"\ndata: ");
    frame.extend_from_slice(json);
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}

/// The event that tells a viewer to forget what it has: the window that follows replaces it.
pub fn reset(epoch: &str) -> String {
    format!("event: reset\ndata: {{\"epoch\":\"{epoch}\"}}\n\n")
}

/// Of encoded events, those that contain `text`, and those that are more than a message.
pub fn about<'a>(frames: &'a [u8], text: &[u8]) -> Vec<&'a [u8]> {
    let mut kept = Vec::new();
    let mut rest = frames;
    while let Some(end) = memchr::memmem::find(rest, b"\n\n") {
        let (frame, more) = rest.split_at(end + 2);
        if frame.starts_with(b"event: ") || memchr::memmem::find(frame, text).is_some() {
            kept.push(frame);
        }
        rest = more;
    }
    kept
}

/// The `seq` of a message's JSON, which the projection's script put at its end.
pub fn seq_of(json: &[u8]) -> Option<u64> {
    let end = json.strip_suffix(b"}")?;
    let digits = end.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (head, number) = end.split_at(end.len() - digits);
    if !head.ends_with(b",\"seq\":") {
        return None;
    }
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = EventId { epoch: "01a-b".to_owned(), seq: 42 };
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
        for text in ["", "abc", "abc-", "abc-x", "-"] {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_seq_is_read_from_the_end() {
        assert_eq!(seq_of(br#"{"content":",\"seq\":9}","seq":12}"#), Some(12));
        for json in [&b"{}"[..], b"", br#"{"seq":}"#, br#"{"a":1}"#, br#"{"x":"y","seq":1"#] {
            assert_eq!(seq_of(json), None);
        }
    }

    #[test]
    fn a_viewer_of_one_thing_gets_what_is_about_it_and_resets() {
        let reset = reset("e");
        let frames = [reset.as_bytes(), &message("e", 1, b"{\"id\":1}"), &message("e", 2, b"{\"id\":2}")].concat();
        let kept = about(&frames, b"\"id\":2");
        assert_eq!(kept, [reset.as_bytes(), &message("e", 2, b"{\"id\":2}")]);
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text_and_no_bytes_make_parsing_panic(epoch in "[0-9a-f]{1,20}", seq: u64, bytes: Vec<u8>) {
            let id = EventId { epoch, seq };
            prop_assert_eq!(EventId::parse(&id.to_string()), Some(id));
            let _ = EventId::parse(&String::from_utf8_lossy(&bytes));
            let _ = seq_of(&bytes);
        }
    }
}
