//! Numbers and courses in little room.

use indicatif::HumanBytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::kafka::watch::course::{Drain, Trend};
use crate::time;
use crate::web::human;

/// What is shown where something is not known.
pub const UNKNOWN: &str = "-";
/// From nothing to the highest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `1,234,567`.
pub fn count(number: Option<i64>) -> String {
    known(number.map(human::count))
}

/// Any number or text, if it is known.
pub fn known<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}

/// How many a second: `1,234`, `0.2`.
pub fn rate(rate: Option<f64>) -> String {
    match rate {
        None => UNKNOWN.to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(rate) if rate < 0.05 => "<0.1".to_owned(),
        Some(rate) if rate < 9.95 => format!("{rate:.1}"),
        Some(rate) => human::count(rate.round() as i64),
    }
}

/// `1.21 MiB`.
pub fn bytes(bytes: Option<u64>) -> String {
    known(bytes.map(HumanBytes))
}

/// Bytes a second: `1.21 MiB`.
pub fn bytes_rate(rate: Option<f64>) -> String {
    bytes(rate.map(|rate| rate.round() as u64))
}

/// `1,234`, or `1,234+` where there is more than that.
pub fn lag(lag: Option<i64>, is_partial: bool) -> String {
    let more = if is_partial && lag.is_some() { "+" } else { "" };
    format!("{}{more}", count(lag))
}

/// For how long something has waited, or will.
pub fn seconds(length: Option<f64>) -> String {
    known(length.map(time::length))
}

/// When a lag will be gone.
pub fn drain(drain: Drain) -> String {
    match drain {
        Drain::Done => "done".to_owned(),
        Drain::Soon => "keeps up".to_owned(),
        Drain::In(seconds) => time::length(seconds.max(1.0).round()),
        Drain::Never => "never".to_owned(),
        Drain::Unknown => UNKNOWN.to_owned(),
    }
}

/// Where a lag is going.
pub fn arrow(trend: Trend) -> &'static str {
    match trend {
        Trend::Rising => "↗",
        Trend::Falling => "↘",
        Trend::Steady => "→",
    }
}

/// The time of day, to be found in logs.
pub fn clock(millis: Option<i64>, zone: &TimeZone) -> String {
    let time = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    known(time.map(|time| time.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()))
}

/// The last `width` points as bars of text.
pub fn spark(points: &[f32], width: usize) -> String {
    let last = &points[points.len().saturating_sub(width)..];
    let highest = last.iter().copied().filter(|point| !point.is_nan()).fold(0.0, f32::max);
    let bar = |point: &f32| match point {
        point if point.is_nan() => ' ',
        _ if highest <= 0.0 => BARS[0],
        // Between nothing and all of it, rounded up: what is there is seen.
        point => BARS[((point / highest * 7.0).ceil() as usize).min(7)],
    };
    let bars: String = last.iter().map(bar).collect();
    format!("{}{bars}", " ".repeat(width - last.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        let said = [None, Some(0.0), Some(0.01), Some(0.25), Some(9.96), Some(1_234.4)].map(rate);
        assert_eq!(said, ["-", "0", "<0.1", "0.2", "10", "1,234"]);
        assert_eq!((bytes_rate(Some(1024.0 * 1.5)), bytes_rate(None)), ("1.50 KiB".into(), "-".into()));
    }

    #[test]
    fn a_lag_tells_whether_there_is_more() {
        assert_eq!([lag(Some(1_234), false), lag(Some(5), true), lag(None, true)], ["1,234", "5+", "-"]);
    }

    #[test]
    fn a_drain_is_a_length_or_a_word() {
        let said = [Drain::Done, Drain::Soon, Drain::In(0.2), Drain::In(3_700.0), Drain::Never, Drain::Unknown];
        assert_eq!(said.map(drain), ["done", "keeps up", "1.0s", "1h 1m", "never", "-"]);
    }

    #[test]
    fn bars_stand_at_the_right_and_show_what_is_there() {
        assert_eq!(spark(&[1.0, f32::NAN, 0.0, 100.0, 50.0], 7), "  ▂ ▁█▅");
        assert_eq!(spark(&[9.0, 1.0, 2.0], 2), "▅█");
        assert_eq!((spark(&[0.0; 3], 3), spark(&[], 2)), ("▁▁▁".into(), "  ".into()));
    }
}
