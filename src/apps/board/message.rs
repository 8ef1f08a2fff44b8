//! A message, as it is posted, kept and shown.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Longest content, in Unicode characters.
pub const MAX_CONTENT: usize = 2_000;
/// Longest author, in Unicode characters.
pub const MAX_AUTHOR: usize = 50;
/// Longest id, in bytes; ours have 36.
const MAX_ID: usize = 128;
/// The end of the year 9999 in milliseconds since the epoch: what comes after it, browsers and people can't read.
const MAX_TIMESTAMP: i64 = 253_402_300_799_999;

/// A message: the value of a record of the topic, and with its `seq` a member of the window. Read from bytes, it borrows
/// from them what it can: a projection that drains a backlog copies nothing it doesn't have to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message<'a> {
    /// Its id, a UUIDv7; also the record's key.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// What was said.
    #[serde(borrow)]
    pub content: Cow<'a, str>,
    /// By whom.
    #[serde(borrow)]
    pub author: Cow<'a, str>,
    /// When, in milliseconds since the epoch.
    pub timestamp: i64,
}

/// What somebody wants to post.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Draft {
    /// The content.
    #[serde(default)]
    pub content: Option<String>,
    /// The author.
    #[serde(default)]
    pub author: Option<String>,
}

/// Why a draft can't be posted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Invalid {
    /// The field at fault, when there is one.
    pub field: Option<&'static str>,
    /// What is wrong, for people.
    pub reason: String,
}

impl Invalid {
    /// Something is wrong with `field`.
    pub fn field(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field: Some(field), reason: reason.into() }
    }

    /// Something is wrong with the request as a whole.
    pub fn request(reason: impl Into<String>) -> Self {
        Self { field: None, reason: reason.into() }
    }
}

impl Draft {
    /// Reads a draft from JSON.
    ///
    /// # Errors
    /// What is wrong, and with which field.
    pub fn from_json(body: &[u8]) -> Result<Self, Invalid> {
        from_object(body).map_err(|error| explain(body, &error))
    }

    /// Checks the draft and returns its content and author, trimmed.
    ///
    /// # Errors
    /// The first field that is missing, empty, too long, or holds control characters.
    pub fn validate(&self) -> Result<(String, String), Invalid> {
        let content = self.content.as_deref().unwrap_or_default().replace("\r\n", "\n").replace('\r', "\n");
        let (content, author) = (content.trim(), self.author.as_deref().unwrap_or_default().trim());
        for (field, text) in [("content", content), ("author", author)] {
            if text.chars().all(is_invisible) {
                return Err(Invalid::field(field, format!("Content and author are required: {field} is empty")));
            }
        }
        check("content", content, MAX_CONTENT, |c| c.is_control() && c != '\n' && c != '\t')?;
        check("author", author, MAX_AUTHOR, char::is_control)?;
        Ok((content.to_owned(), author.to_owned()))
    }
}

/// Reads a JSON object; serde alone would take an array, too, for the fields in their order.
fn from_object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    if json.trim_ascii_start().first().is_some_and(|&byte| byte == b'[') {
        return Err(serde::de::Error::custom("an array is no object"));
    }
    serde_json::from_slice(json)
}

/// Whether a character leaves nothing on the screen: spaces, what Unicode calls default ignorable (format characters,
/// fillers, variation selectors; <https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point>), and the empty
/// Braille pattern.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn check(field: &'static str, text: &str, max: usize, forbidden: fn(char) -> bool) -> Result<(), Invalid> {
    let length = text.chars().count();
    if length > max {
        return Err(Invalid::field(
            field,
            format!("{field} is too long: {length} characters, at most {max} are allowed"),
        ));
    }
    match text.chars().find(|&c| forbidden(c)) {
        Some(c) => Err(Invalid::field(field, format!("{field} holds a control character (U+{:04X})", c as u32))),
        None => Ok(()),
    }
}

/// Says what is wrong with a body that is no draft.
fn explain(body: &[u8], error: &serde_json::Error) -> Invalid {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(serde_json::Value::Object(fields)) => {
            let wrong = ["content", "author"]
                .into_iter()
                .find(|field| fields.get(*field).is_some_and(|value| !value.is_string() && !value.is_null()));
            match wrong {
                Some(field) => Invalid::field(field, format!("{field} must be a string")),
                None => Invalid::request(error.to_string()),
            }
        }
        Ok(_) => Invalid::request("the body must be a JSON object with content and author"),
        Err(error) => Invalid::request(format!("the body is not JSON: {error}")),
    }
}

impl<'a> Message<'a> {
    /// Reads the value of a record.
    ///
    /// # Errors
    /// Why it is no message, for the dead-letter topic.
    pub fn decode(value: Option<&'a [u8]>) -> Result<Self, String> {
        match value {
            None => Err("the record has no value".to_owned()),
            Some([]) => Err("the value is empty".to_owned()),
            Some(value) => {
                let message: Self = from_object(value).map_err(|error| format!("the value is no message: {error}"))?;
                message.check_bounds().map(|()| message)
            }
        }
    }

    /// Anyone may write to the topic. What is shown has the bounds of what is posted, so that a window of a hundred
    /// messages has a size that is known.
    fn check_bounds(&self) -> Result<(), String> {
        let longest = [
            ("id", self.id.len(), MAX_ID),
            ("content", self.content.chars().count(), MAX_CONTENT),
            ("author", self.author.chars().count(), MAX_AUTHOR),
        ];
        if let Some((field, length, max)) = longest.into_iter().find(|(_, length, max)| length > max) {
            return Err(format!("{field} is too long: {length}, at most {max}"));
        }
        if !(0..=MAX_TIMESTAMP).contains(&self.timestamp) {
            return Err(format!("timestamp {} is not milliseconds since 1970", self.timestamp));
        }
        Ok(())
    }

    /// The message by itself, without the bytes it was read from.
    pub fn into_owned(self) -> Message<'static> {
        Message {
            id: Cow::Owned(self.id.into_owned()),
            content: Cow::Owned(self.content.into_owned()),
            author: Cow::Owned(self.author.into_owned()),
            timestamp: self.timestamp,
        }
    }

    /// The message as JSON.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default() // strings and a number: nothing that can't be written
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draft(content: &str, author: &str) -> Draft {
        Draft { content: Some(content.to_owned()), author: Some(author.to_owned()) }
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let long = "ü".repeat(MAX_CONTENT + 1);
        for (draft, field) in [
            (draft("", "a"), "content"),
            (draft("  \n", "a"), "content"),
            (draft("hi", " "), "author"),
            (draft("\u{200b}", "a"), "content"),
            (draft("\u{2800}\u{2800}", "a"), "content"),
            (draft("hi", "\u{202e}\u{feff}"), "author"),
            (Draft { content: Some("hi".to_owned()), author: None }, "author"),
            (draft(&long, "a"), "content"),
            (draft("hi", &"a".repeat(51)), "author"),
            (draft("a\u{0}b", "a"), "content"),
            (draft("hi", "a\nb"), "author"),
        ] {
            let invalid = draft.validate().unwrap_err();
            assert_eq!(invalid.field, Some(field), "{invalid}");
            assert!(invalid.reason.contains(field), "{invalid}");
        }
        assert_eq!(draft(&"ü".repeat(MAX_CONTENT), "a").validate().unwrap().0.chars().count(), MAX_CONTENT);
        assert_eq!(draft(" a\r\nb\rc ", " c ").validate().unwrap(), ("a\nb\nc".to_owned(), "c".to_owned()));
    }

    #[test]
    fn a_body_that_is_no_draft_is_explained() {
        for (body, field, words) in [
            (&br#"{"content":1,"author":"a"}"#[..], Some("content"), "string"),
            (br#"{"content":"a","author":["x"]}"#, Some("author"), "string"),
            (b"[]", None, "object"),
            (b"{", None, "not JSON"),
            (b"\xff\xfe", None, "not JSON"),
            (b"", None, "not JSON"),
        ] {
            let invalid = Draft::from_json(body).unwrap_err();
            assert_eq!(invalid.field, field, "{invalid}");
            assert!(invalid.reason.contains(words), "{invalid}");
        }
    }

    #[test]
    fn what_could_not_be_posted_is_not_shown() {
        let valid = Message { id: "id".into(), content: "hi".into(), author: "me".into(), timestamp: 1 };
        assert!(Message::decode(Some(&valid.encode())).is_ok());
        for (wrong, field) in [
            (Message { id: "x".repeat(MAX_ID + 1).into(), ..valid.clone() }, "id"),
            (Message { content: "ü".repeat(MAX_CONTENT + 1).into(), ..valid.clone() }, "content"),
            (Message { author: "x".repeat(MAX_AUTHOR + 1).into(), ..valid.clone() }, "author"),
            (Message { timestamp: -1, ..valid.clone() }, "timestamp"),
            // Nanoseconds.
            (Message { timestamp: 1_700_000_000_000_000_000, ..valid.clone() }, "timestamp"),
        ] {
            assert!(Message::decode(Some(&wrong.encode())).unwrap_err().contains(field));
        }
    }

    proptest! {
        #[test]
        fn a_message_survives_its_encoding(content in ".{0,200}", author in ".{0,50}", timestamp in 0..=MAX_TIMESTAMP) {
            let message = Message { id: "id".into(), content: content.into(), author: author.into(), timestamp };
            let encoded = message.encode();
            prop_assert_eq!(Message::decode(Some(&encoded)), Ok(message));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = Message::decode(Some(&bytes));
            let _ = Draft::from_json(&bytes);
        }
    }
}
