//! Numbers as people read them.

use std::borrow::Borrow;

use indicatif::{HumanBytes, HumanCount};
use jiff::Timestamp;

use crate::time;

/// What is shown where something is not known.
pub const UNKNOWN: &str = "–";

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A whole number, or a reference to one, as templates have them.
pub trait Number {
    /// Its value; the largest there is where it is larger.
    fn value(&self) -> i64;
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Number for $number {
            fn value(&self) -> i64 {
                i64::try_from(*self).unwrap_or(i64::MAX)
            }
        })*
    };
}

numbers!(i32, i64, u32, u64, usize);

impl<T: Number> Number for &T {
    fn value(&self) -> i64 {
        (**self).value()
    }
}

/// `1,234,567`.
pub fn count(number: impl Number) -> String {
    let number = number.value();
    let digits = HumanCount(number.unsigned_abs());
    if number < 0 { format!("−{digits}") } else { digits.to_string() }
}

/// `1,234,567`, or what stands for the unknown.
pub fn maybe_count<T: Number>(number: impl Borrow<Option<T>>) -> String {
    number.borrow().as_ref().map_or_else(|| UNKNOWN.to_owned(), count)
}

/// `1 record`, `1,234 records`.
pub fn counted(number: impl Number, noun: &str) -> String {
    format!("{} {noun}{}", count(&number), if number.value() == 1 { "" } else { "s" })
}

/// `1.21 MiB`.
pub fn bytes(bytes: impl Number) -> String {
    HumanBytes(bytes.value().unsigned_abs()).to_string()
}

/// `1.21 MiB`, or what stands for the unknown.
pub fn size(size: impl Borrow<Option<u64>>) -> String {
    size.borrow().map_or_else(|| UNKNOWN.to_owned(), bytes)
}

/// An amount of money in cents: `$1,234.50`.
pub fn money(cents: impl Number) -> String {
    let cents = cents.value();
    let sign = if cents < 0 { "−" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}${}.{:02}", HumanCount(cents / 100), cents % 100)
}

/// A length of time in milliseconds: `7d`, `1h 30m`, `250 ms`.
pub fn length(millis: i64) -> String {
    match millis {
        0 => "0".to_owned(),
        ..1_000 => format!("{millis} ms"),
        i64::MAX => "for ever".to_owned(),
        _ => time::length(millis as f64 / 1_000.0),
    }
}

/// A length of time in seconds: `1h 30m`, `2.5s`.
pub fn seconds(seconds: f64) -> String {
    time::length(seconds)
}

/// A length of time in seconds, or what stands for the unknown.
pub fn maybe_seconds(length: Option<f64>) -> String {
    length.map_or_else(|| UNKNOWN.to_owned(), seconds)
}

/// Records a second: `1,234/s`, `0.2/s`.
pub fn rate(rate: Option<f64>) -> String {
    match rate {
        None => UNKNOWN.to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(rate) if rate < 10.0 => format!("{rate:.1}/s"),
        Some(rate) => format!("{}/s", count(rate.round() as i64)),
    }
}

/// A moment, exactly, for machines: `2026-01-31T12:00:00.123Z`.
pub fn iso(millis: impl Number) -> String {
    let millis = millis.value();
    Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |time| format!("{time:.3}"))
}

/// A moment, exactly, for people: `2026-01-31 12:00:00.123 UTC`.
pub fn moment(millis: impl Number) -> String {
    let millis = millis.value();
    match Timestamp::from_millisecond(millis) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S.%3f UTC").to_string(),
        Err(_) => format!("{millis} ms"),
    }
}

/// The time of day of a moment that is not long ago: `12:00:05`, in UTC.
pub fn clock(millis: i64) -> String {
    match Timestamp::from_millisecond(millis) {
        Ok(time) => time.strftime("%H:%M:%S").to_string(),
        Err(_) => UNKNOWN.to_owned(),
    }
}

/// The time of day with milliseconds: `12:00:05.123`, in UTC.
pub fn clock_ms(millis: impl Number) -> String {
    match Timestamp::from_millisecond(millis.value()) {
        Ok(time) => time.strftime("%H:%M:%S.%3f").to_string(),
        Err(_) => UNKNOWN.to_owned(),
    }
}

/// How long ago `millis` was at the time `now_ms`, as people say it: `just now`, `5 min ago`, `3 h ago`, `2 d ago`, then the
/// date. `time.js` does the same.
pub fn ago(now_ms: i64, millis: impl Number) -> String {
    let millis = millis.value();
    match (now_ms - millis) / 1_000 {
        ..MINUTE => "just now".to_owned(),
        age @ MINUTE..HOUR => format!("{} min ago", age / MINUTE),
        age @ HOUR..DAY => format!("{} h ago", age / HOUR),
        age if age < 7 * DAY => format!("{} d ago", age / DAY),
        _ => Timestamp::from_millisecond(millis)
            .map_or_else(|_| UNKNOWN.to_owned(), |time| time.strftime("%-d %b %Y").to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_lengths_short() {
        assert_eq!(
            (count(1_234_567), count(-1_000), count(u64::MAX)),
            ("1,234,567".into(), "−1,000".into(), count(i64::MAX))
        );
        assert_eq!((counted(1, "record"), counted(2_000, "record")), ("1 record".into(), "2,000 records".into()));
        assert_eq!(
            (length(604_800_000), length(250), length(i64::MAX)),
            ("7d".into(), "250 ms".into(), "for ever".into())
        );
        assert_eq!((rate(Some(0.25)), rate(Some(1_234.4)), rate(None)), ("0.2/s".into(), "1,234/s".into(), "–".into()));
        assert_eq!(size(Some(1024 * 1024)), "1.00 MiB");
        assert_eq!(
            (money(123_450), money(5), money(-99_999_i64)),
            ("$1,234.50".into(), "$0.05".into(), "−$999.99".into())
        );
    }

    #[test]
    fn moments_have_their_zone() {
        assert_eq!(iso(1_700_000_000_123_i64), "2023-11-14T22:13:20.123Z");
        assert_eq!(moment(1_700_000_000_123_i64), "2023-11-14 22:13:20.123 UTC");
        assert_eq!(moment(i64::MAX), "9223372036854775807 ms");
    }
}
