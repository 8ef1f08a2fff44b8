//! How `kboard consume` prints a record: JSON, the bare value, or a format string with kcat's tokens.

use std::io::Write;

use krafka::ConsumerRecord;

use crate::kafka::record_json::RecordJson;

/// The tokens of a format string, for help and errors.
pub const TOKENS: &str = "%t topic, %p partition, %o offset, %T timestamp (ms), %k key, %K its length, %s value, %S its length, %h headers, %% a %";

/// How to print a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// The value's bytes and a newline.
    Value,
    /// These pieces, and nothing after them.
    Pieces(Vec<Piece>),
}

/// A piece of a format string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Literal(Vec<u8>),
    /// `%t`.
    Topic,
    /// `%p`.
    Partition,
    /// `%o`.
    Offset,
    /// `%T`.
    Timestamp,
    /// `%k`.
    Key,
    /// `%K`: -1 when there is no key.
    KeyLength,
    /// `%s`.
    Value,
    /// `%S`: -1 for a tombstone.
    ValueLength,
    /// `%h`: name=value, with commas between; a null value is NULL.
    Headers,
}

impl Format {
    /// Reads the value of `--format`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "value" => Ok(Self::Value),
            _ if text.contains(['%', '\\']) => pieces(text).map(Self::Pieces),
            _ => Err(format!("expected json, value, or a text with {TOKENS}")),
        }
    }

    /// Appends the record's print to `out`.
    pub fn write(&self, record: &ConsumerRecord, out: &mut Vec<u8>) -> std::io::Result<()> {
        match self {
            Self::Json => {
                serde_json::to_writer(&mut *out, &RecordJson::from(record))?;
                out.push(b'\n');
            }
            Self::Value => {
                out.extend_from_slice(record.value.as_deref().unwrap_or_default());
                out.push(b'\n');
            }
            Self::Pieces(pieces) => {
                for piece in pieces {
                    piece.write(record, out)?;
                }
            }
        }
        Ok(())
    }
}

impl Piece {
    fn write(&self, record: &ConsumerRecord, out: &mut Vec<u8>) -> std::io::Result<()> {
        let length = |bytes: Option<usize>| bytes.map_or_else(|| "-1".to_owned(), |length| length.to_string());
        match self {
            Self::Literal(text) => out.extend_from_slice(text),
            Self::Topic => out.extend_from_slice(record.topic.as_bytes()),
            Self::Partition => write!(out, "{}", record.partition)?,
            Self::Offset => write!(out, "{}", record.offset)?,
            Self::Timestamp => write!(out, "{}", record.timestamp)?,
            Self::Key => out.extend_from_slice(record.key.as_deref().unwrap_or_default()),
            Self::KeyLength => out.extend_from_slice(length(record.serialized_key_size()).as_bytes()),
            Self::Value => out.extend_from_slice(record.value.as_deref().unwrap_or_default()),
            Self::ValueLength => out.extend_from_slice(length(record.serialized_value_size()).as_bytes()),
            Self::Headers => {
                for (index, (name, value)) in record.headers.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name.as_bytes());
                    out.push(b'=');
                    out.extend_from_slice(value.as_deref().unwrap_or(b"NULL"));
                }
            }
        }
        Ok(())
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = Vec::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '%' => {
                let token = chars.next();
                if token == Some('%') {
                    literal.push(b'%');
                    continue;
                }
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(token.and_then(token_piece).ok_or_else(|| unknown('%', token))?);
            }
            '\\' => literal.push(escape(&mut chars)?),
            other => literal.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn token_piece(token: char) -> Option<Piece> {
    Some(match token {
        't' => Piece::Topic,
        'p' => Piece::Partition,
        'o' => Piece::Offset,
        'T' => Piece::Timestamp,
        'k' => Piece::Key,
        'K' => Piece::KeyLength,
        's' => Piece::Value,
        'S' => Piece::ValueLength,
        'h' => Piece::Headers,
        _ => return None,
    })
}

/// `\n`, `\r`, `\t`, `\0`, `\\`, `\x1f`.
fn escape(chars: &mut std::str::Chars) -> Result<u8, String> {
    match chars.next() {
        Some('n') => Ok(b'\n'),
        Some('r') => Ok(b'\r'),
        Some('t') => Ok(b'\t'),
        Some('0') => Ok(0),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let digits: String = chars.take(2).collect();
            u8::from_str_radix(&digits, 16).map_err(|_| format!("\\x{digits}: expected two hexadecimal digits"))
        }
        other => Err(unknown('\\', other)),
    }
}

fn unknown(mark: char, token: Option<char>) -> String {
    let token = token.map(String::from).unwrap_or_default();
    format!("{mark}{token} means nothing; there are {TOKENS}, and \\n \\r \\t \\0 \\\\ \\xHH")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record() -> ConsumerRecord {
        let mut record = ConsumerRecord::new("t", 2, 17, Some(Bytes::from("k")), Some(Bytes::from("v")));
        record.timestamp = 1_700_000_000_000;
        record.headers = vec![("a".into(), Some("1".into())), ("a".into(), None), ("b".into(), Some("".into()))];
        record
    }

    fn printed(format: &str, record: &ConsumerRecord) -> String {
        let mut out = Vec::new();
        Format::parse(format).unwrap().write(record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_shows_everything_faithfully() {
        assert_eq!(
            printed("json", &record()),
            concat!(
                r#"{"topic":"t","partition":2,"offset":17,"timestamp":1700000000000,"timestamp_type":"create","#,
                r#""key":"k","value":"v","headers":[{"key":"a","value":"1"},{"key":"a","value":null},"#,
                r#"{"key":"b","value":""}]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn null_empty_and_binary_differ() {
        let shown = |value: Option<&'static [u8]>| {
            let record = ConsumerRecord::new("t", 0, 0, None, value.map(Bytes::from_static));
            let json: serde_json::Value = serde_json::from_str(&printed("json", &record)).unwrap();
            json["value"].to_string()
        };
        assert_eq!(shown(None), "null");
        assert_eq!(shown(Some(b"")), "\"\"");
        assert_eq!(shown(Some(b"\xff\xfe")), r#"{"base64":"//4="}"#);
    }

    #[test]
    fn format_strings_have_kcats_tokens() {
        let text = printed(r"%t/%p@%o %T %K:%k %S:%s [%h] 100%%\t\x41\\\n", &record());
        assert_eq!(text, "t/2@17 1700000000000 1:k 1:v [a=1,a=NULL,b=] 100%\tA\\\n");
    }

    #[test]
    fn mistakes_are_named() {
        assert!(Format::parse("%z").unwrap_err().starts_with("%z means nothing"));
        assert!(Format::parse("100%").unwrap_err().starts_with("% means nothing"));
        assert!(Format::parse(r"\q").unwrap_err().starts_with("\\q means nothing"));
        assert!(Format::parse("yaml").unwrap_err().starts_with("expected json, value"));
    }
}
