//! Bytes that are no text: dumped, in base64, as numbers, as MessagePack.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmpv::{Utf8StringRef, ValueRef};

use super::markup::Markup;

/// Bytes of a line of a dump.
const LINE: usize = 16;
/// Maps and arrays within each other.
const MAX_DEPTH: usize = 200;

/// Sixteen bytes a line: where they are, what they are, and which of them are ASCII.
pub fn dump(bytes: &[u8], out: &mut Markup) {
    out.raw("<pre class=\"dump\">");
    for (number, line) in bytes.chunks(LINE).enumerate() {
        out.note("soft", &format!("{:08x}", number * LINE));
        let (mut hex, mut ascii) = (String::new(), String::new());
        for (place, byte) in line.iter().enumerate() {
            // Writing to a String never fails.
            let _ = write!(hex, "{}{byte:02x}", if place == LINE / 2 { "  " } else { " " });
            ascii.push(if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' });
        }
        out.text(&format!(" {hex:<49}  "));
        out.note("dump-ascii", &ascii);
        out.raw("\n");
    }
    out.raw("</pre>");
}

/// A few bytes on one line.
pub fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 3);
    for (place, byte) in bytes.iter().enumerate() {
        // As above.
        let _ = write!(hex, "{}{byte:02x}", if place == 0 { "" } else { " " });
    }
    hex
}

/// In base64, with padding.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A MessagePack value, as JSON; `None` if `bytes` are not exactly one.
pub fn message_pack(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes;
    let value = rmpv::decode::read_value_ref_with_max_depth(&mut rest, MAX_DEPTH).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let mut json = String::new();
    write_json(&value, &mut json);
    Some(json)
}

/// Whether `bytes` begin as a MessagePack map or array does: nothing else is worth a guess, since any byte is a number.
pub fn may_be_message_pack(bytes: &[u8]) -> bool {
    bytes.len() > 1 && matches!(bytes[0], 0x81..=0x8f | 0x91..=0x9f | 0xdc..=0xdf)
}

/// No deeper than what was read.
fn write_json(value: &ValueRef<'_>, json: &mut String) {
    // Writing to a String never fails.
    let _ = match value {
        ValueRef::Nil => write!(json, "null"),
        ValueRef::Boolean(bool) => write!(json, "{bool}"),
        ValueRef::Integer(number) => write!(json, "{number}"),
        ValueRef::F32(number) => write_float(f64::from(*number), json),
        ValueRef::F64(number) => write_float(*number, json),
        ValueRef::String(text) => {
            write_text(text, json);
            Ok(())
        }
        ValueRef::Binary(bytes) => write!(json, r#"{{"base64":"{}"}}"#, base64(bytes)),
        ValueRef::Ext(kind, bytes) => write!(json, r#"{{"extension":{kind},"base64":"{}"}}"#, base64(bytes)),
        ValueRef::Array(elements) => {
            json.push('[');
            for (place, element) in elements.iter().enumerate() {
                json.push_str(if place == 0 { "" } else { "," });
                write_json(element, json);
            }
            json.push(']');
            Ok(())
        }
        ValueRef::Map(members) => {
            json.push('{');
            for (place, (name, member)) in members.iter().enumerate() {
                json.push_str(if place == 0 { "" } else { "," });
                match name {
                    ValueRef::String(text) => write_text(text, json),
                    // JSON has only texts for names.
                    other => {
                        let mut name = String::new();
                        write_json(other, &mut name);
                        json.push_str(&serde_json::Value::from(name).to_string());
                    }
                }
                json.push(':');
                write_json(member, json);
            }
            json.push('}');
            Ok(())
        }
    };
}

/// JSON has no word for what is no number.
fn write_float(number: f64, json: &mut String) -> std::fmt::Result {
    if number.is_finite() { write!(json, "{number:?}") } else { write!(json, "\"{number}\"") }
}

fn write_text(text: &Utf8StringRef<'_>, json: &mut String) {
    let text = text.as_str().map_or_else(|| String::from_utf8_lossy(text.as_bytes()), Into::into);
    json.push_str(&serde_json::Value::from(text.as_ref()).to_string());
}
