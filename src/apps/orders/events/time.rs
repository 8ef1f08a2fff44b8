//! Times as events say them: RFC 3339 with milliseconds on the wire, milliseconds since the epoch inside.

use std::fmt;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The end of the year 9999: what comes after it, browsers and people can't read.
const MAX: i64 = 253_402_300_799_999;

/// A time, in milliseconds since the epoch. The default is no time: an event that says none has that of its envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub i64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", Timestamp::from_millisecond(self.0).unwrap_or_default())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Moment;

        impl Visitor<'_> for Moment {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as 2026-01-31T12:00:00.000Z, or milliseconds since 1970")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                let millis = text.parse::<Timestamp>().map(Timestamp::as_millisecond).ok();
                let millis = millis.filter(|millis| (0..=MAX).contains(millis));
                millis.map(Time).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_u64<E: Error>(self, millis: u64) -> Result<Time, E> {
                let known = i64::try_from(millis).ok().filter(|millis| *millis <= MAX);
                known.map(Time).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(millis), &self))
            }
        }

        deserializer.deserialize_any(Moment)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "A time, in UTC." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_and_read_in_both_forms() {
        let json = r#""2026-01-31T12:00:00.000Z""#;
        assert_eq!(serde_json::to_string(&Time(1_769_860_800_000)).unwrap(), json);
        for text in [json, "1769860800000", r#""2026-01-31T13:00:00+01:00""#] {
            assert_eq!(serde_json::from_str::<Time>(text).unwrap(), Time(1_769_860_800_000), "{text}");
        }
        for text in [r#""yesterday""#, "-1", "1.5", "1700000000000000000", r#""1969-01-01T00:00:00Z""#] {
            let error = serde_json::from_str::<Time>(text).unwrap_err().to_string();
            assert!(error.contains("milliseconds since 1970"), "{text}: {error}");
        }
    }
}
