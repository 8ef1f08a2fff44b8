//! Keys, values and headers as they are typed, and the bytes that they mean.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// How a text means bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// None at all: no key, or a tombstone. The text does not count.
    Null,
    /// Its characters in UTF-8; nothing typed is the empty string, which is not null.
    #[default]
    String,
    /// The same, and it must be JSON.
    Json,
    /// A whole number in 4 bytes, big-endian, as Java's serializers write it.
    Int,
    /// A whole number in 8 bytes, big-endian.
    Long,
    /// Base64.
    Base64,
    /// Pairs of hexadecimal digits; spaces between them don't count.
    Hex,
}

impl Format {
    /// All, with their names for programs and people.
    pub const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::String, "string", "string"),
        (Self::Json, "json", "JSON"),
        (Self::Int, "int", "int, 4 bytes"),
        (Self::Long, "long", "long, 8 bytes"),
        (Self::Base64, "base64", "base64"),
        (Self::Hex, "hex", "hex"),
        (Self::Null, "null", "null"),
    ];

    /// The format that programs call so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(format, ..)| *format)
    }

    /// What programs call it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(format, ..)| *format == self).map_or("string", |(_, name, _)| name)
    }
}

/// A text, and how it means bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// How the text means bytes.
    #[serde(default)]
    pub format: Format,
    /// The text.
    #[serde(default)]
    pub text: String,
}

impl Content {
    /// No bytes at all.
    pub fn null() -> Self {
        Self { format: Format::Null, text: String::new() }
    }

    /// What stands for `bytes` in a form, exactly: as a string where a form can hold it, else as base64. (A form makes other
    /// characters of some control characters, and another line break of a lone carriage return.)
    pub fn of(bytes: Option<&[u8]>) -> Self {
        let Some(bytes) = bytes else { return Self::null() };
        let survives = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
        match std::str::from_utf8(bytes) {
            Ok(text) if text.chars().all(survives) => Self { format: Format::String, text: text.to_owned() },
            _ => Self { format: Format::Base64, text: STANDARD.encode(bytes) },
        }
    }

    /// As [`Self::of`], and JSON where it is some.
    pub fn of_value(bytes: Option<&[u8]>) -> Self {
        let content = Self::of(bytes);
        let is_json = content.format == Format::String
            && content.text.trim_start().starts_with(['{', '['])
            && serde_json::from_str::<IgnoredAny>(&content.text).is_ok();
        if is_json { Self { format: Format::Json, ..content } } else { content }
    }

    /// The bytes that it means; `None` is null.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    pub fn bytes(&self) -> Result<Option<Bytes>, String> {
        let text = self.text.as_str();
        let number = |kind: &str| format!("expected a whole number that fits in {kind}, not {:?}", text.trim());
        let bytes = match self.format {
            Format::Null => return Ok(None),
            Format::String => Bytes::copy_from_slice(text.as_bytes()),
            Format::Json => {
                check_json(text)?;
                Bytes::copy_from_slice(text.as_bytes())
            }
            Format::Int => {
                let number: i32 = text.trim().parse().map_err(|_| number("4 bytes"))?;
                Bytes::copy_from_slice(&number.to_be_bytes())
            }
            Format::Long => {
                let number: i64 = text.trim().parse().map_err(|_| number("8 bytes"))?;
                Bytes::copy_from_slice(&number.to_be_bytes())
            }
            Format::Base64 => {
                let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                STANDARD.decode(packed).map_err(|error| format!("base64: {error}"))?.into()
            }
            Format::Hex => hex(text)?,
        };
        Ok(Some(bytes))
    }
}

fn check_json(text: &str) -> Result<(), String> {
    // What is looked for is only whether it is JSON: nothing is built of it, however deep it is nested.
    serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|error| {
        let said = error.to_string();
        let reason = said.rsplit_once(" at line ").map_or(said.as_str(), |(reason, _)| reason);
        format!("not JSON: line {}, column {}: {reason}", error.line(), error.column())
    })
}

fn hex(text: &str) -> Result<Bytes, String> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut half: Option<u8> = None;
    for (place, c) in text.chars().enumerate().filter(|(_, c)| !c.is_whitespace()) {
        let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digit = digit.ok_or_else(|| format!("hex: {c:?} at character {} is no digit 0-9 a-f", place + 1))?;
        match half.take() {
            None => half = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    if half.is_some() { Err("hex: a digit is missing at the end".to_owned()) } else { Ok(bytes.into()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(format: Format, text: &str) -> Result<Option<Vec<u8>>, String> {
        Content { format, text: text.to_owned() }.bytes().map(|bytes| bytes.map(Vec::from))
    }

    #[test]
    fn each_format_means_its_bytes() {
        for (format, text, meant) in [
            (Format::String, "", Some(&b""[..])),
            (Format::String, "ä", Some("ä".as_bytes())),
            (Format::Null, "whatever", None),
            (Format::Json, " {\"a\": 1} ", Some(b" {\"a\": 1} ")),
            (Format::Int, " -2 ", Some(&[255, 255, 255, 254])),
            (Format::Long, "258", Some(&[0, 0, 0, 0, 0, 0, 1, 2])),
            (Format::Base64, "//4=\n", Some(&[255, 254])),
            (Format::Hex, "fF 00\n1", None),
            (Format::Hex, "fF 00", Some(&[255, 0])),
        ] {
            match bytes(format, text) {
                Ok(found) => assert_eq!(found.as_deref(), meant, "{format:?} {text:?}"),
                Err(reason) => assert_eq!((text, reason.as_str()), ("fF 00\n1", "hex: a digit is missing at the end")),
            }
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let mistake = |format, text| bytes(format, text).unwrap_err();
        assert_eq!(mistake(Format::Json, "{\n  \"a\": tru\n}"), "not JSON: line 2, column 11: expected ident");
        assert!(mistake(Format::Json, "").contains("line 1, column 0"));
        assert!(mistake(Format::Int, "2147483648").contains("4 bytes"));
        assert!(mistake(Format::Long, "x").contains("8 bytes"));
        assert!(mistake(Format::Base64, "a%").starts_with("base64: "));
        assert_eq!(mistake(Format::Hex, "0 g"), "hex: 'g' at character 3 is no digit 0-9 a-f");
    }

    #[test]
    fn deep_json_is_checked_without_falling_over() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert!(bytes(Format::Json, &deep).is_ok());
        assert!(bytes(Format::Json, &deep[1..]).is_err());
    }

    #[test]
    fn every_format_is_found_by_its_name() {
        for (format, name, _) in Format::ALL {
            assert_eq!((Format::named(name), format.name()), (Some(format), name));
            assert_eq!(serde_json::to_value(format).unwrap(), name);
        }
    }

    proptest! {
        #[test]
        fn what_a_form_shows_means_the_same_bytes(given in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)), text in "\\PC{0,20}|[\\x00-\\x20]{0,5}") {
            for bytes in [given, Some(text.into_bytes())] {
                let content = Content::of_value(bytes.as_deref());
                // What a browser makes of a form's text.
                let sent = Content { text: content.text.replace('\n', "\r\n").replace("\r\n", "\n"), ..content };
                prop_assert_eq!(sent.bytes().unwrap().map(Vec::from), bytes);
            }
        }
    }
}
