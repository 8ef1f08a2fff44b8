//! Points in time as people write them: one reader for every flag that takes one.

use jiff::civil::DateTime;
use jiff::{Span, Timestamp, Unit, Zoned};

/// What [`parse`] takes, for the help of the flags that use it.
pub const FORMS: &str =
    "2026-01-31T12:00:00Z, \"2026-01-31 12:00\" (local), unix milliseconds, or how long ago: 15m, 2h";

/// Smaller numbers are days before March 1973 in milliseconds, so they were surely meant as seconds.
const LEAST_MILLIS: i64 = 100_000_000_000;

/// Reads RFC 3339, a local date and time, unix milliseconds, `now`, or how long ago (`15m`, `2h ago`, `1d`).
///
/// # Errors
/// A sentence that shows the forms.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, &Zoned::now())
}

/// A length of time in its two largest units, as a person would say it: `3m 20s`, `2d 4h`.
pub fn length(seconds: f64) -> String {
    if seconds > 0.0 && seconds < 10.0 {
        return format!("{seconds:.1}s");
    }
    // No log is old enough for this to lose anything.
    let seconds = seconds as u64;
    let units = [("d", seconds / 86_400), ("h", seconds / 3_600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let first = units.iter().position(|(_, count)| *count > 0).unwrap_or(units.len() - 1);
    let parts = units[first..].iter().take(2).filter(|(_, count)| *count > 0);
    let said = parts.map(|(unit, count)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ");
    if said.is_empty() { "0s".to_owned() } else { said }
}

fn parse_at(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    if text == "now" {
        return Ok(now.timestamp());
    }
    if let Ok(millis) = text.parse::<i64>() {
        return from_millis(millis);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    if let Ok(local) = text.parse::<DateTime>() {
        let zoned = local.to_zoned(now.time_zone().clone());
        return zoned.map(|zoned| zoned.timestamp()).map_err(|error| format!("{text:?}: {error}"));
    }
    ago(text, now).ok_or_else(|| format!("expected a time such as {FORMS}; not {text:?}"))
}

fn from_millis(millis: i64) -> Result<Timestamp, String> {
    if millis < LEAST_MILLIS {
        return Err(format!("{millis} milliseconds is a day before 1974; for seconds, append 000"));
    }
    Timestamp::from_millisecond(millis).map_err(|error| error.to_string())
}

/// `15m` and `15m ago` are the same: no one asks a log for the future.
fn ago(text: &str, now: &Zoned) -> Option<Timestamp> {
    let span: Span = text.strip_suffix("ago").unwrap_or(text).trim().parse().ok()?;
    let earlier = now.checked_sub(span.abs()).ok()?;
    earlier.round(Unit::Millisecond).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-03-01T12:00:00+02:00[+02:00]".parse().unwrap()
    }

    fn read(text: &str) -> String {
        parse_at(text, &now()).unwrap().to_string()
    }

    #[test]
    fn every_documented_form_is_read() {
        assert_eq!(read("2026-01-31T12:00:00Z"), "2026-01-31T12:00:00Z");
        assert_eq!(read("2026-01-31T12:00:00.250+01:00"), "2026-01-31T11:00:00.25Z");
        assert_eq!(read("2026-01-31 12:00"), "2026-01-31T10:00:00Z");
        assert_eq!(read("2026-01-31"), "2026-01-30T22:00:00Z");
        assert_eq!(read("1769860800000"), "2026-01-31T12:00:00Z");
        assert_eq!(read("now"), "2026-03-01T10:00:00Z");
    }

    #[test]
    fn ago_is_counted_back_from_now_with_or_without_the_word() {
        for text in ["15m", "15m ago", "-15m", "900s", " 15 minutes ago "] {
            assert_eq!(read(text), "2026-03-01T09:45:00Z", "{text}");
        }
        assert_eq!(read("2h ago"), "2026-03-01T08:00:00Z");
        assert_eq!(read("1h30m"), "2026-03-01T08:30:00Z");
        assert_eq!(read("1d"), "2026-02-28T10:00:00Z");
        assert_eq!(read("1w 1d"), "2026-02-21T10:00:00Z");
    }

    #[test]
    fn what_is_no_time_says_what_would_be() {
        for text in ["", "yesterday", "12:00", "2026-13-01", "5 parsecs"] {
            assert!(parse_at(text, &now()).unwrap_err().contains("15m"), "{text}");
        }
        assert!(parse_at("1769860800", &now()).unwrap_err().contains("append 000"));
    }

    #[test]
    fn lengths_are_said_in_their_two_largest_units() {
        assert_eq!(length(0.0), "0s");
        assert_eq!(length(0.25), "0.2s");
        assert_eq!(length(59.9), "59s");
        assert_eq!(length(200.0), "3m 20s");
        assert_eq!(length(3_600.0), "1h");
        assert_eq!(length(187_205.0), "2d 4h");
    }
}
