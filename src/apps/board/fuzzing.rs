//! For fuzzing: what people and other programs send to the board, read as everything it may be.

use super::form;
use super::history::Cursor;
use super::message::{Draft, Message};
use crate::live::frame::{Announced, EventId};
use crate::telemetry::trace::TraceContext;

/// Reads `bytes` as a record's value, a posted form or JSON, a cookie, a cursor, an event's id and a trace context. What
/// can be written again must then be read the same.
pub fn parse(bytes: &[u8]) {
    if let Ok(message) = Message::decode(Some(bytes)) {
        let written = message.encode();
        assert_eq!(Message::decode(Some(&written)), Ok(message));
    }
    let _ = Draft::from_json(bytes).and_then(|draft| draft.validate());
    let _ = form::parse(bytes).validate();
    let _ = Announced::read(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(author) = form::author_of(text) {
        assert_eq!(form::author_of(&form::author_cookie(&author)), Some(author));
    }
    if let Some(cursor) = Cursor::parse(text) {
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
    }
    if let Some(id) = EventId::parse(text) {
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
    }
    if let Some(context) = TraceContext::parse(text) {
        assert_eq!(TraceContext::parse(&context.header()), Some(context));
    }
}
