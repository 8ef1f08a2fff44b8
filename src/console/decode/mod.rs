//! What is shown of the bytes of a key, a value or a header.
//!
//! Nothing is left out in silence: null is not empty, bytes that are no text are escapes or a dump, JSON keeps its tokens,
//! and what is cut says so.

mod binary;
mod json;
mod markup;

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use markup::Markup;

/// Bytes that are looked at to guess what the rest is.
const SAMPLE: usize = 4096;
/// Bytes that are shown of the value of one record, unless all are asked for.
pub const DETAIL: usize = 64 * 1024;
/// JSON larger than this is shown as text when all of it is asked for: a browser takes seconds to lay out more.
const LARGEST_LAYOUT: usize = 1024 * 1024;
/// Characters of a preview.
const PREVIEW: usize = 200;
/// Bytes before what was found in a preview.
const LEAD: usize = 40;
/// Bytes of a preview of what is no text.
const PREVIEW_BYTES: usize = 32;

/// How bytes are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As what they look like.
    #[default]
    Auto,
    /// UTF-8.
    Text,
    /// JSON, laid out.
    Json,
    /// A dump.
    Hex,
    /// Base64.
    Base64,
    /// A 32-bit integer, big-endian.
    Int32,
    /// A 64-bit integer, big-endian.
    Int64,
    /// A 32-bit floating-point number, big-endian.
    Float,
    /// A 64-bit floating-point number, big-endian.
    Double,
    /// MessagePack, shown as JSON.
    Msgpack,
}

impl Format {
    /// All of them, to choose from.
    pub const ALL: [Self; 10] = [
        Self::Auto,
        Self::Text,
        Self::Json,
        Self::Hex,
        Self::Base64,
        Self::Int32,
        Self::Int64,
        Self::Float,
        Self::Double,
        Self::Msgpack,
    ];

    /// As addresses have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float => "float",
            Self::Double => "double",
            Self::Msgpack => "msgpack",
        }
    }

    /// As people are asked.
    pub fn label(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::Text => "Text",
            Self::Json => "JSON",
            Self::Hex => "Hex",
            Self::Base64 => "Base64",
            Self::Int32 => "Int 32",
            Self::Int64 => "Int 64",
            Self::Float => "Float",
            Self::Double => "Double",
            Self::Msgpack => "MessagePack",
        }
    }
}

/// Bytes, shown.
pub struct Shown {
    /// How they were read; never [`Format::Auto`].
    pub format: Format,
    /// For the page.
    pub markup: Markup,
    /// Why they could not be read as they were asked to be.
    pub problem: Option<String>,
    /// How many of the bytes are shown.
    pub bytes: usize,
}

/// Shows `bytes` as `format`, up to about `limit` of them.
pub fn show(bytes: &[u8], format: Format, limit: usize) -> Shown {
    let format = if format == Format::Auto { guess(bytes, bytes) } else { format };
    match read(bytes, format, limit) {
        Ok(shown) => shown,
        Err(problem) => {
            let instead = if std::str::from_utf8(bytes).is_ok() { Format::Text } else { Format::Hex };
            let shown = if instead == Format::Text { text(bytes, limit) } else { hex(bytes, limit) };
            Shown { problem: Some(problem), ..shown }
        }
    }
}

/// A line that tells what the bytes begin with, and whether there is more; null and empty are told apart. With `found`, of
/// a text, it is the line around that, which is marked.
pub fn preview(bytes: Option<&[u8]>, format: Format, found: Option<Range<usize>>) -> Markup {
    let mut out = Markup::default();
    let Some(bytes) = bytes else {
        out.note("null", "null");
        return out;
    };
    if bytes.is_empty() {
        out.note("null", "empty");
        return out;
    }
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let format = if format == Format::Auto { guess(bytes, sample) } else { format };
    let line = match format {
        Format::Auto | Format::Text | Format::Json => {
            preview_of_text(bytes, found, &mut out);
            return out;
        }
        Format::Hex => None,
        Format::Base64 => Some(binary::base64(sample)),
        Format::Msgpack => binary::message_pack(bytes),
        Format::Int32 | Format::Int64 | Format::Float | Format::Double => number(bytes, format).ok(),
    };
    match line {
        Some(line) => preview_of_text(line.as_bytes(), None, &mut out),
        None => {
            let shown = &bytes[..bytes.len().min(PREVIEW_BYTES)];
            out.note("bytes", &binary::hex(shown));
            more(shown.len() < bytes.len(), &mut out);
        }
    }
    out
}

fn preview_of_text(bytes: &[u8], found: Option<Range<usize>>, out: &mut Markup) {
    let found = found.unwrap_or_default();
    // What was found must be in the line.
    let start = if found.end > PREVIEW { boundary(bytes, found.start.saturating_sub(LEAD)) } else { 0 };
    let end = boundary(bytes, bytes.len().min(start + SAMPLE));
    let (begin, close) = (found.start.clamp(start, end), found.end.clamp(start, end));
    let mut left = PREVIEW;
    more(start > 0, out);
    let mut whole = true;
    if begin < close {
        whole &= cut(&bytes[start..begin], &mut left, out);
        out.raw("<mark>");
        whole &= cut(&bytes[begin..close], &mut left, out);
        out.raw("</mark>");
    }
    whole &= cut(&bytes[close..end], &mut left, out);
    more(!whole || end < bytes.len(), out);
}

/// The last place up to `at` where no character is cut in two.
fn boundary(bytes: &[u8], at: usize) -> usize {
    let cuts = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    // Of bytes that are no text, any place is as good.
    (at.saturating_sub(3)..=at).rev().find(cuts).unwrap_or(at)
}

/// Adds as much of a text as there are characters `left`; whether that is all of it.
fn cut(bytes: &[u8], left: &mut usize, out: &mut Markup) -> bool {
    let mut whole = true;
    for chunk in bytes.utf8_chunks() {
        let (valid, invalid) = (chunk.valid(), chunk.invalid());
        let end = valid.char_indices().nth(*left).map_or(valid.len(), |(end, _)| end);
        out.visible(&valid[..end]);
        *left -= valid[..end].chars().count();
        let shown = invalid.len().min(*left);
        out.invalid(&invalid[..shown]);
        *left -= shown;
        whole &= end == valid.len() && shown == invalid.len();
    }
    whole
}

fn more(more: bool, out: &mut Markup) {
    if more {
        out.raw("<span class=\"more\">…</span>");
    }
}

/// What `bytes`, of which `sample` is the beginning, look like.
fn guess(bytes: &[u8], sample: &[u8]) -> Format {
    let begins_json = matches!(sample.trim_ascii_start(), [b'{' | b'[', ..]);
    if begins_json && (sample.len() < bytes.len() || std::str::from_utf8(bytes).is_ok_and(json::is_json)) {
        return Format::Json;
    }
    if binary::may_be_message_pack(sample) && binary::message_pack(bytes).is_some() {
        return Format::Msgpack;
    }
    let sample = &sample[..sample.len().min(SAMPLE)];
    let (mut seen, mut unseen) = (0, 0);
    for chunk in sample.utf8_chunks() {
        seen += chunk.valid().chars().count();
        let controls = chunk.valid().chars().filter(|c| c.is_control() && !c.is_ascii_whitespace());
        unseen += controls.count() + chunk.invalid().len();
    }
    // A stray byte in a text is shown as an escape; a text of escapes is better read as a dump.
    if unseen * 10 <= seen { Format::Text } else { Format::Hex }
}

fn read(bytes: &[u8], format: Format, limit: usize) -> Result<Shown, String> {
    match format {
        Format::Auto | Format::Text => Ok(text(bytes, limit)),
        Format::Hex => Ok(hex(bytes, limit)),
        Format::Json => {
            let json = std::str::from_utf8(bytes).map_err(|error| format!("not JSON: {error}"))?;
            let checked = serde_json::from_str::<serde::de::IgnoredAny>(json);
            checked.map_err(|error| format!("not JSON: {error}"))?;
            if bytes.len() > LARGEST_LAYOUT && limit > LARGEST_LAYOUT {
                return Ok(text(bytes, limit));
            }
            let mut markup = Markup::default();
            let end = json::lay_out(json, limit, &mut markup);
            let bytes = if json[end..].trim_ascii().is_empty() { bytes.len() } else { end };
            Ok(Shown { format, markup, problem: None, bytes })
        }
        Format::Base64 => {
            let shown = &bytes[..bytes.len().min(limit)];
            Ok(Shown { format, markup: pre(&binary::base64(shown)), problem: None, bytes: shown.len() })
        }
        Format::Msgpack => {
            let json = binary::message_pack(bytes).ok_or("not one MessagePack value")?;
            let mut markup = Markup::default();
            let end = json::lay_out(&json, limit, &mut markup);
            Ok(Shown {
                format,
                markup,
                problem: None,
                bytes: if end < json.len() { end.min(bytes.len() - 1) } else { bytes.len() },
            })
        }
        Format::Int32 | Format::Int64 | Format::Float | Format::Double => {
            let number = number(bytes, format)?;
            Ok(Shown { format, markup: pre(&number), problem: None, bytes: bytes.len() })
        }
    }
}

fn text(bytes: &[u8], limit: usize) -> Shown {
    let mut end = bytes.len().min(limit);
    // Not within a character.
    while end < bytes.len() && end > 0 && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    let mut markup = Markup::default();
    // The parser of HTML drops a line feed that comes first.
    markup.raw("<pre class=\"text\">\n");
    for chunk in bytes[..end].utf8_chunks() {
        markup.visible(chunk.valid());
        markup.invalid(chunk.invalid());
    }
    markup.raw("</pre>");
    Shown { format: Format::Text, markup, problem: None, bytes: end }
}

fn hex(bytes: &[u8], limit: usize) -> Shown {
    // A dump takes five times the room.
    let shown = &bytes[..bytes.len().min(limit.div_ceil(4))];
    let mut markup = Markup::default();
    binary::dump(shown, &mut markup);
    Shown { format: Format::Hex, markup, problem: None, bytes: shown.len() }
}

fn number(bytes: &[u8], format: Format) -> Result<String, String> {
    let wrong = |wanted: usize| format!("{} bytes, and {} takes {wanted}", bytes.len(), format.name());
    match format {
        Format::Int32 => bytes.try_into().map(|bytes| i32::from_be_bytes(bytes).to_string()).map_err(|_| wrong(4)),
        Format::Float => bytes.try_into().map(|bytes| f32::from_be_bytes(bytes).to_string()).map_err(|_| wrong(4)),
        Format::Double => bytes.try_into().map(|bytes| f64::from_be_bytes(bytes).to_string()).map_err(|_| wrong(8)),
        _ => bytes.try_into().map(|bytes| i64::from_be_bytes(bytes).to_string()).map_err(|_| wrong(8)),
    }
}

fn pre(text: &str) -> Markup {
    let mut markup = Markup::default();
    markup.raw("<pre class=\"text\">\n");
    markup.text(text);
    markup.raw("</pre>");
    markup
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(bytes: &[u8], format: Format) -> (Format, String, Option<String>) {
        let shown = show(bytes, format, DETAIL);
        assert_eq!(shown.bytes, bytes.len());
        (shown.format, shown.markup.to_string(), shown.problem)
    }

    #[test]
    fn bytes_are_taken_for_what_they_look_like() {
        let pack = b"\x82\xa1a\x01\xa1b\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00";
        for (bytes, format) in [
            (&b"{\"a\":1}"[..], Format::Json),
            (b" [1] ", Format::Json),
            (b"{\"a\":1", Format::Text),
            (b"plain \xff with one stray byte", Format::Text),
            (b"tab\tand\r\nlines", Format::Text),
            (b"42", Format::Text),
            (b"\0\0\0\0\0\0\0\x05", Format::Hex),
            (b"\xff\xfe\xfd", Format::Hex),
            (pack, Format::Msgpack),
            ("é".as_bytes(), Format::Text),
        ] {
            assert_eq!(shown(bytes, Format::Auto).0, format, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn formats_show_their_reading() {
        let text = |text: &str| format!("<pre class=\"text\">\n{text}</pre>");
        for (bytes, format, html) in [
            (
                &b"a\xff\0<"[..],
                Format::Text,
                text("a<span class=\"escape\">\\xff</span><span class=\"escape\">\\x00</span>&lt;"),
            ),
            (b"\nx", Format::Text, text("\nx")),
            (b"\0\0\0\x05", Format::Int32, text("5")),
            (b"\x01\x04\x76\x14\x87\x90\x10\x00", Format::Int64, text("73313324490559488")),
            (b"\x3f\xc0\0\0", Format::Float, text("1.5")),
            (b"\xbf\xf8\0\0\0\0\0\0", Format::Double, text("-1.5")),
            (b"\xff\xfe", Format::Base64, text("//4=")),
        ] {
            assert_eq!(shown(bytes, format), (format, html, None), "{}", format.name());
        }
        let dump = shown(b"kboard\0\xff0123456789", Format::Hex).1;
        assert!(dump.contains(">00000000</span>  6b 62 6f 61 72 64 00 ff  30 31 32 33 34 35 36 37  "), "{dump}");
        assert!(dump.contains("kboard..01234567</span>") && dump.contains(">00000010</span>"), "{dump}");
    }

    #[test]
    fn what_can_not_be_read_so_says_why_and_is_shown_all_the_same() {
        for (bytes, format, instead, problem) in [
            (&b"abc"[..], Format::Int64, Format::Text, "3 bytes, and int64 takes 8"),
            (b"{\"a\":}", Format::Json, Format::Text, "not JSON: expected value at line 1 column 6"),
            (b"\xff\xff", Format::Json, Format::Hex, "not JSON: invalid utf-8"),
            (b"\x92\x01", Format::Msgpack, Format::Hex, "not one MessagePack value"),
        ] {
            let (format, _, found) = shown(bytes, format);
            assert_eq!(format, instead);
            assert!(found.as_deref().is_some_and(|found| found.starts_with(problem)), "{found:?}");
        }
    }

    #[test]
    fn message_pack_reads_as_json() {
        let pack = b"\x85\xa1a\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x01\xc0\xa1b\xc4\x01\xff\xa1b\xca\x7f\xc0\0\0\xa1c\x92\xc3\xd4\x05\x01";
        assert_eq!(
            binary::message_pack(pack).unwrap(),
            r#"{"a":18446744073709551615,"1":null,"b":{"base64":"/w=="},"b":"NaN","c":[true,{"extension":5,"base64":"AQ=="}]}"#
        );
        assert_eq!(binary::message_pack(&[0x91; 100_000]), None);
        assert_eq!(binary::message_pack(b"\xdd\xff\xff\xff\xff\x01"), None);
    }

    #[test]
    fn previews_are_short_and_tell_null_from_empty() {
        let preview = |bytes: Option<&[u8]>| super::preview(bytes, Format::Auto, None).to_string();
        assert_eq!(preview(None), "<span class=\"null\">null</span>");
        assert_eq!(preview(Some(b"")), "<span class=\"null\">empty</span>");
        assert_eq!(preview(Some(b"null")), "null");
        let long = preview(Some("é".repeat(5_000_000).as_bytes()));
        assert_eq!(long, format!("{}<span class=\"more\">…</span>", "é".repeat(200)));
        assert_eq!(preview(Some(b"stray byte \xff")), "stray byte <span class=\"escape\">\\xff</span>");
        assert!(preview(Some(&[0; 100])).starts_with("<span class=\"bytes\">00 00"));
        assert_eq!(super::preview(Some(b"\0\0\0\x07"), Format::Int32, None).to_string(), "7");
    }

    #[test]
    fn what_was_found_is_in_the_preview_and_marked() {
        let preview = |text: &str, found| super::preview(Some(text.as_bytes()), Format::Auto, Some(found)).to_string();
        assert_eq!(preview("find <this> here", 5..11), "find <mark>&lt;this&gt;</mark> here");
        let far = format!("{}needle{}", "é".repeat(5_000), "z".repeat(5_000));
        let (dots, lead) = ("<span class=\"more\">…</span>", "é".repeat(20));
        let rest = "z".repeat(200 - 26);
        assert_eq!(preview(&far, 10_000..10_006), format!("{dots}{lead}<mark>needle</mark>{rest}{dots}"));
    }

    #[test]
    fn large_values_are_cut_where_it_is_said() {
        let large = "é".repeat(100_000);
        let cut = show(large.as_bytes(), Format::Auto, DETAIL);
        assert!(cut.bytes <= DETAIL && cut.markup.to_string().len() < DETAIL + 100);
        assert_eq!(show(large.as_bytes(), Format::Auto, usize::MAX).bytes, large.len());
        let json = format!("[{}1]", "1,".repeat(1_000_000));
        let all = show(json.as_bytes(), Format::Json, usize::MAX);
        assert_eq!((all.format, all.bytes), (Format::Text, json.len()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_shown_in_any_format(bytes: Vec<u8>, limit in 0_usize..300, found in 0_usize..300) {
            for format in Format::ALL {
                let shown = show(&bytes, format, limit);
                prop_assert!(shown.bytes <= bytes.len());
                let found = found.min(bytes.len());
                let line = preview(Some(&bytes), format, Some(found..bytes.len().min(found + limit)));
                prop_assert!(line.to_string().len() < 8000);
            }
        }
    }
}
