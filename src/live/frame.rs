//! Server-Sent Events on the wire (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use bytes::Bytes;

use crate::telemetry::trace::TraceContext;

/// The first event of every stream.
pub const CONNECTED: &str = "data: {\"type\":\"connected\"}\n\n";
/// Keeps proxies from closing a quiet stream; viewers ignore it.
pub const KEEPALIVE: &str = ": keepalive\n\n";
/// The last line before the server leaves: come back in a second.
pub const RETRY: &str = "retry: 1000\n\n";

/// What comes before the number of a message, the last that its JSON says.
const SEQ: &[u8] = b",\"seq\":";
/// What comes before the trace of a message, the last but one.
const TRACE: &[u8] = b",\"traceparent\":\"";
/// The length of a `traceparent`.
const TRACEPARENT: usize = 55;

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

/// A message as it is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced<'a> {
    /// Its `seq`, which the projection's script put at the end of its JSON.
    pub seq: u64,
    /// Its JSON, in two parts: between them, the trace was taken out.
    json: [&'a [u8]; 2],
    /// Its trace, if that is recorded.
    pub trace: Option<TraceContext>,
}

impl<'a> Announced<'a> {
    /// Reads what was announced, or what the window holds; `None` when it has no `seq`.
    pub fn read(json: &'a [u8]) -> Option<Self> {
        let (head, tail) = json.split_at(seq_at(json)?);
        let seq = std::str::from_utf8(&tail[SEQ.len()..tail.len() - 1]).ok()?.parse().ok()?;
        let (head, trace) = match trace_at(head) {
            Some((at, trace)) => (&head[..at], Some(trace)),
            None => (head, None),
        };
        Some(Self { seq, json: [head, tail], trace })
    }

    /// The event that carries it.
    pub fn frame(&self, epoch: &str) -> Bytes {
        message(epoch, self.seq, self.json)
    }
}

/// The event that carries one message. A line break inside the JSON would end the field early; JSON text has none
/// outside of strings, and inside of them they are escaped.
fn message(epoch: &str, seq: u64, json: [&[u8]; 2]) -> Bytes {
    let [head, tail] = json;
    let mut frame = Vec::with_capacity(head.len() + tail.len() + epoch.len() + 40);
    frame.extend_from_slice(b"id: ");
    frame.extend_from_slice(epoch.as_bytes());
    frame.push(b'-');
    frame.extend_from_slice(seq.to_string().as_bytes());
    frame.extend_from_slice(b"\ndata: ");
    frame.extend_from_slice(head);
    frame.extend_from_slice(tail);
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

/// Where a message's JSON says its `seq`.
fn seq_at(json: &[u8]) -> Option<usize> {
    let end = json.strip_suffix(b"}")?;
    let digits = end.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let head = &end[..end.len() - digits];
    head.ends_with(SEQ).then(|| head.len() - SEQ.len())
}

/// Where the JSON before the `seq` says the trace, and which it is. What stands inside of a string can't look like it, since
/// quotes are escaped there.
fn trace_at(head: &[u8]) -> Option<(usize, TraceContext)> {
    let value = head.strip_suffix(b"\"")?;
    let (head, value) = value.split_at_checked(value.len().checked_sub(TRACEPARENT)?)?;
    let at = head.len().checked_sub(TRACE.len()).filter(|_| head.ends_with(TRACE))?;
    Some((at, TraceContext::parse(std::str::from_utf8(value).ok()?)?))
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
        let seq = |json| Announced::read(json).map(|announced| announced.seq);
        assert_eq!(seq(br#"{"content":",\"seq\":9}","seq":12}"#), Some(12));
        for json in [&b"{}"[..], b"", br#"{"seq":}"#, br#"{"a":1}"#, br#"{"x":"y","seq":1"#, br#"{"x":"y","seq":}"#] {
            assert_eq!(seq(json), None);
        }
    }

    #[test]
    fn the_trace_is_taken_off_before_anybody_is_shown_it() {
        let context = TraceContext { sampled: true, ..TraceContext::random() };
        let member = br#"{"content":"\",\"traceparent\":\"","seq":12}"#;
        let traceparent = format!(r#"","traceparent":"{}","seq""#, context.header());
        let announced = String::from_utf8(member.to_vec()).unwrap().replace(r#"","seq""#, &traceparent);
        let announced = Announced::read(announced.as_bytes()).unwrap();
        assert_eq!((announced.seq, announced.trace), (12, Some(context)));
        let held = Announced::read(member).unwrap();
        assert_eq!((held.trace, held.frame("e")), (None, announced.frame("e")));
    }

    #[test]
    fn a_viewer_of_one_thing_gets_what_is_about_it_and_resets() {
        let reset = reset("e");
        let frame = |json| Announced::read(json).unwrap().frame("e");
        let frames = [frame(br#"{"id":1,"seq":1}"#), frame(br#"{"id":2,"seq":2}"#)];
        let all = [reset.as_bytes(), &frames[0], &frames[1]].concat();
        assert_eq!(about(&all, b"\"id\":2"), [reset.as_bytes(), &frames[1]]);
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text_and_no_bytes_make_parsing_panic(epoch in "[0-9a-f]{1,20}", seq: u64, bytes: Vec<u8>) {
            let id = EventId { epoch, seq };
            prop_assert_eq!(EventId::parse(&id.to_string()), Some(id));
            let _ = EventId::parse(&String::from_utf8_lossy(&bytes));
            let _ = Announced::read(&bytes);
        }
    }
}
