//! Small lines beside a number: how it moved in the last minutes.

use crate::kafka::watch::series::POINTS;

/// The size of a sparkline.
const SIZE: (f64, f64) = (96.0, 24.0);

/// The path of a sparkline through `points`, where NaN is no value; empty if nothing moves.
pub fn spark(points: &[f32]) -> String {
    let known = || points.iter().copied().filter(|value| !value.is_nan());
    let (low, high) = known().fold((0.0_f32, 0.0_f32), |(low, high), value| (low.min(value), high.max(value)));
    if known().count() < 2 || high <= low {
        return String::new();
    }
    let step = SIZE.0 / (POINTS - 1) as f64;
    let first = POINTS.saturating_sub(points.len());
    let mut path = String::new();
    for (place, value) in points.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
        let y = 1.0 + (SIZE.1 - 2.0) * (1.0 - f64::from((value - low) / (high - low)));
        path += &format!("{}{:.1} {y:.1}", if path.is_empty() { "M" } else { "L" }, (first + place) as f64 * step);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_needs_something_that_moves() {
        assert_eq!(spark(&[5.0]), "");
        assert_eq!(spark(&[0.0; 20]), "");
        assert!(
            spark(&[5.0; 20]).starts_with("M8"),
            "a lag that stands still is a line at the top: {}",
            spark(&[5.0; 20])
        );
        assert!(spark(&[f32::NAN, 1.0, 2.0]).ends_with("L96.0 1.0"));
    }
}
