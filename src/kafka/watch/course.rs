//! The way of a lag: where it is going, and when it will be gone.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::Serialize;

/// Seconds whose points trends are told from.
const RECENT: f64 = 180.0;
/// Points without which nothing can be said of a trend.
const ENOUGH: usize = 3;
/// Seconds in which somebody who keeps up had nothing left once.
const MOMENT: f64 = 60.0;
/// A change of lag smaller than this part of it, and smaller than so many records, is no trend.
const STEADY: (f64, f64) = (0.02, 5.0);

/// Where a lag is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trend {
    /// It grows.
    Rising,
    /// It shrinks.
    Falling,
    /// It does neither, or not enough to speak of.
    Steady,
}

/// How long it takes until nothing is left to read, if everything goes on as in the last minutes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "when", content = "seconds")]
pub enum Drain {
    /// Nothing is left.
    Done,
    /// Nothing was left a moment ago: what is there now has just been written.
    Soon,
    /// So many seconds.
    In(f64),
    /// The lag does not shrink.
    Never,
    /// It was not looked at for long enough to say.
    Unknown,
}

/// What is known of the way of a lag.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// Its points, oldest first.
    pub points: Vec<f32>,
    /// Where it is going.
    pub trend: Trend,
    /// When it will be gone.
    pub drain: Drain,
}

impl Course {
    /// The way of a lag that had these points at these times (ms since the epoch), oldest first.
    pub(super) fn of(times: &VecDeque<i64>, points: Vec<f32>) -> Self {
        let seconds = |time: &i64| *time as f64 / 1000.0;
        let begin = times.back().map_or(0.0, seconds) - RECENT;
        let known: Vec<(f64, f64)> = times
            .iter()
            .map(seconds)
            .zip(points.iter().map(|lag| f64::from(*lag)))
            .filter(|(time, lag)| *time > begin && !lag.is_nan())
            .collect();
        Self { trend: trend(&known), drain: drain(&known), points }
    }
}

/// The line that lies closest to `points` (seconds, value): its slope a second, and how far they lie from it.
fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    if points.len() < ENOUGH {
        return None;
    }
    let count = points.len() as f64;
    let mean_time = points.iter().map(|(time, _)| time).sum::<f64>() / count;
    let mean_value = points.iter().map(|(_, value)| value).sum::<f64>() / count;
    let (mut both, mut square) = (0.0, 0.0);
    for (time, value) in points {
        both += (time - mean_time) * (value - mean_value);
        square += (time - mean_time).powi(2);
    }
    if square <= 0.0 {
        return None;
    }
    let slope = both / square;
    let away = |(time, value): &(f64, f64)| (value - mean_value - slope * (time - mean_time)).powi(2);
    Some((slope, (points.iter().map(away).sum::<f64>() / count).sqrt()))
}

fn keeps_up(points: &[(f64, f64)]) -> bool {
    let now = points.last().map_or(0.0, |(time, _)| *time);
    points.iter().rev().take_while(|(time, _)| now - time < MOMENT).any(|(_, left)| *left <= 0.0)
}

fn trend(points: &[(f64, f64)]) -> Trend {
    let (Some((slope, scatter)), Some(first), Some(last)) = (line(points), points.first(), points.last()) else {
        return Trend::Steady;
    };
    let change = slope * (last.0 - first.0);
    let largest = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    if keeps_up(&points[1..]) || change.abs() <= STEADY.1.max(largest * STEADY.0).max(scatter) {
        return Trend::Steady;
    }
    if change > 0.0 { Trend::Rising } else { Trend::Falling }
}

fn drain(points: &[(f64, f64)]) -> Drain {
    let Some((_, left)) = points.last() else { return Drain::Unknown };
    if *left <= 0.0 {
        return Drain::Done;
    }
    if keeps_up(&points[1..]) {
        return Drain::Soon;
    }
    match (line(points).map(|(slope, _)| slope), trend(points)) {
        (None, _) => Drain::Unknown,
        (Some(slope), Trend::Falling) => Drain::In(left / -slope),
        (Some(_), Trend::Rising | Trend::Steady) => Drain::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_five_seconds(values: impl IntoIterator<Item = f64>) -> Vec<(f64, f64)> {
        values.into_iter().enumerate().map(|(number, value)| (number as f64 * 5.0, value)).collect()
    }

    #[test]
    fn a_trend_is_more_than_a_ripple() {
        assert_eq!(trend(&every_five_seconds([1000.0, 1003.0, 999.0, 1001.0])), Trend::Steady);
        assert_eq!(trend(&every_five_seconds([1000.0, 900.0, 800.0, 700.0])), Trend::Falling);
        assert_eq!(trend(&every_five_seconds([0.0, 50.0, 100.0])), Trend::Rising);
        assert_eq!(trend(&every_five_seconds([100.0])), Trend::Steady);
        let noise = (0..36).map(|number| 500.0 + f64::from((number * 7_919) % 401));
        assert_eq!(trend(&every_five_seconds(noise)), Trend::Steady, "up and down is no way");
    }

    #[test]
    fn a_lag_that_shrinks_is_gone_in_time_and_one_that_grows_never() {
        let Drain::In(seconds) = drain(&every_five_seconds([1000.0, 900.0, 800.0, 700.0])) else {
            panic!("it shrinks by 20 a second")
        };
        assert!((seconds - 35.0).abs() < 0.01, "{seconds}");
        assert_eq!(drain(&every_five_seconds([10.0, 20.0, 300.0])), Drain::Never);
        assert_eq!(drain(&every_five_seconds([500.0, 500.0, 500.0])), Drain::Never);
        assert_eq!(drain(&every_five_seconds([500.0, 100.0, 0.0])), Drain::Done);
        assert_eq!(drain(&every_five_seconds([500.0, 0.0, 300.0, 400.0])), Drain::Soon);
        assert_eq!(drain(&every_five_seconds([500.0, 100.0])), Drain::Unknown);
        assert_eq!(drain(&[]), Drain::Unknown);
    }
}
