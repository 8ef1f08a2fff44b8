//! Finds one place in a JSON text without reading the rest into memory.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::syntax::Step;

/// The token or container at `steps`, as it is written; `None` when the text is no JSON, or has nothing there. Of a name
/// that comes twice the last one holds, as it does in browsers.
pub fn find<'a>(text: &'a str, steps: &[Step]) -> Option<&'a str> {
    let mut found = Some(text.trim_ascii());
    let mut unread = true;
    for step in steps {
        unread = false;
        found = inside(found?, step).ok()?;
    }
    if unread { serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get) } else { found }
}

/// The place that one step leads to; an error when `text` is no JSON.
fn inside<'a>(text: &'a str, step: &Step) -> serde_json::Result<Option<&'a str>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = match (text.as_bytes().first(), step) {
        (Some(b'{'), Step::Name(name)) => reader.deserialize_map(Member(name))?,
        (Some(b'['), Step::Index(index)) => reader.deserialize_seq(Element(*index))?,
        _ => {
            serde::Deserialize::deserialize(&mut reader).map(|_: IgnoredAny| ())?;
            None
        }
    };
    reader.end()?;
    Ok(found)
}

struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(same) = map.next_key_seed(IsName(self.0))? {
            if same {
                found = Some(map.next_value::<&RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares a name without keeping it.
struct IsName<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

struct Element(usize);

impl<'de> Visitor<'de> for Element {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        for _ in 0..self.0 {
            if elements.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = elements.next_element::<&RawValue>()?.map(RawValue::get);
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

/// The elements of an array, as they are written.
pub fn elements(array: &str) -> Vec<&str> {
    let elements: Vec<&RawValue> = serde_json::from_str(array).unwrap_or_default();
    elements.into_iter().map(RawValue::get).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(text: &'a str, path: &str) -> Option<&'a str> {
        let path = super::super::parser::paths(path).unwrap().remove(0);
        find(text, &path.steps)
    }

    #[test]
    fn steps_lead_to_what_is_written() {
        let text =
            r#" {"a": {"b": [1, {"odd name": 73314510714175488}], "a": null}, "é": "x", "a\"": 1.50, "e": 1e999} "#;
        for (path, found) in [
            ("$.a.b[0]", Some("1")),
            (r#"$.a.b[1]["odd name"]"#, Some("73314510714175488")),
            ("$.a.b[2]", None),
            ("$.a.a", Some("null")),
            ("$.a.a.a", None),
            ("$.é", Some("\"x\"")),
            (r#"$["a\""]"#, Some("1.50")),
            ("$.e", Some("1e999")),
            ("$.e.x", None),
            ("$.missing", None),
            ("$[0]", None),
        ] {
            assert_eq!(at(text, path), found, "{path}");
        }
        assert_eq!(at("7", "$"), Some("7"));
        assert_eq!(at(r#"{"a":1,"a":2}"#, "$.a"), Some("2"));
        assert_eq!(at(r#"{"\u0061":1}"#, "$.a"), Some("1"));
    }

    #[test]
    fn what_is_no_json_has_nothing_in_it() {
        for text in ["", "x", r#"{"a":1"#, r#"{"a":1} x"#, r#"{"a":1,}"#, r#"{"a":01}"#, "[1,2"] {
            assert_eq!((at(text, "$.a"), at(text, "$[0]"), at(text, "$")), (None, None, None), "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(at(&format!("{{\"a\":1,\"b\":{}}}", deep("")), "$.a"), Some("1"));
        assert_eq!(at(&format!("{{\"a\":{}}}", deep("")), "$.a.b"), None);
        assert!(at(&deep("1"), "$[0][0]").is_some_and(|inner| inner.starts_with("[[[")));
    }
}
