//! The values of one thing at the last looks; what doesn't move takes next to nothing.

use std::collections::VecDeque;

use super::INTERVAL;

/// How many points a series has: 15 minutes' worth of looks at the console's [`INTERVAL`].
pub const POINTS: usize = 15 * 60 / INTERVAL.as_secs() as usize;

/// The values of one thing, one a look; NaN where it was not known.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// The look of the last value, counted from 1; 0 before the first.
    pub(super) last_look: u64,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    /// The same all the time.
    Flat { value: f32, length: usize },
    /// The last ones.
    Moving(Box<Moving>),
}

#[derive(Clone, Debug)]
struct Moving {
    values: VecDeque<f32>,
    /// How often the last one came in a row.
    same: usize,
}

impl Default for Values {
    fn default() -> Self {
        Self::Flat { value: f32::NAN, length: 0 }
    }
}

impl Series {
    pub(super) fn push(&mut self, look: u64, value: Option<f64>) {
        let value = value.map_or(f32::NAN, |value| value as f32);
        if self.last_look > 0 {
            let missed = usize::try_from(look - self.last_look - 1).unwrap_or(POINTS);
            (0..missed.min(POINTS)).for_each(|_| self.append(f32::NAN));
        }
        self.append(value);
        self.last_look = look;
    }

    fn append(&mut self, new: f32) {
        match &mut self.values {
            Values::Flat { value, length } if *length == 0 || value.to_bits() == new.to_bits() => {
                *value = new;
                *length = (*length + 1).min(POINTS);
            }
            Values::Flat { value, length } => {
                let mut values = VecDeque::with_capacity(POINTS);
                values.extend(std::iter::repeat_n(*value, (*length).min(POINTS - 1)));
                values.push_back(new);
                self.values = Values::Moving(Box::new(Moving { values, same: 1 }));
            }
            Values::Moving(moving) => {
                let Moving { values, same } = &mut **moving;
                *same = if values.back().is_some_and(|last| last.to_bits() == new.to_bits()) { *same + 1 } else { 1 };
                if *same >= POINTS {
                    self.values = Values::Flat { value: new, length: POINTS };
                    return;
                }
                if values.len() == POINTS {
                    values.pop_front();
                }
                values.push_back(new);
            }
        }
    }

    /// Forgets all but the last value.
    pub(super) fn begin_anew(&mut self) {
        if let Values::Moving(moving) = &self.values {
            self.values = Values::Flat { value: moving.values.back().copied().unwrap_or(f32::NAN), length: 1 };
        }
    }

    pub(super) fn moves(&self) -> bool {
        matches!(self.values, Values::Moving(_))
    }

    /// How far the largest known value is from the smallest.
    pub(super) fn spread(&self) -> f32 {
        let Values::Moving(moving) = &self.values else { return 0.0 };
        let known = moving.values.iter().copied().filter(|value| !value.is_nan());
        let (low, high) = known.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        (high - low).max(0.0)
    }

    /// The last `count` values, oldest first, as of look `now`; NaN where there is none.
    pub(super) fn last(&self, count: usize, now: u64) -> Vec<f32> {
        let behind = usize::try_from(now - self.last_look).unwrap_or(count).min(count);
        let mut newest_first: Vec<f32> = vec![f32::NAN; if self.last_look == 0 { count } else { behind }];
        match &self.values {
            Values::Flat { value, length } => newest_first.extend(std::iter::repeat_n(*value, *length)),
            Values::Moving(moving) => newest_first.extend(moving.values.iter().rev()),
        }
        newest_first.resize(count, f32::NAN);
        newest_first.reverse();
        newest_first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_keeps_the_last_points_in_order_and_knows_its_gaps() {
        let mut series = Series::default();
        assert!(series.last(2, 0).iter().all(|value| value.is_nan()));
        for look in 1..=400_u64 {
            series.push(look, Some(look as f64));
        }
        let last = series.last(POINTS, 400);
        assert_eq!((last.len(), last[0], last[POINTS - 1]), (POINTS, 221.0, 400.0));
        series.push(403, Some(7.0));
        let last = series.last(4, 403);
        assert_eq!((last[0], last[3]), (400.0, 7.0));
        assert!(last[1].is_nan() && last[2].is_nan());
        assert!(series.last(2, 404)[1].is_nan(), "nothing is known of a look that it missed");
    }

    #[test]
    fn what_does_not_move_takes_no_room_and_what_came_to_rest_gives_it_back() {
        let mut series = Series::default();
        (1..=50).for_each(|look| series.push(look, Some(3.0)));
        assert!(!series.moves());
        series.push(51, Some(4.0));
        assert!(series.moves());
        let last = series.last(POINTS, 51);
        assert!(last[POINTS - 52].is_nan(), "it began at the first look");
        assert_eq!((last[POINTS - 51], last[POINTS - 2], last[POINTS - 1]), (3.0, 3.0, 4.0));
        let until = 51 + POINTS as u64;
        (52..until).for_each(|look| series.push(look, Some(4.0)));
        assert!(!series.moves());
        assert!(series.last(POINTS, until - 1).iter().all(|value| *value == 4.0));
    }
}
