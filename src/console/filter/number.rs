//! Numbers as JSON writes them, compared exactly: 9007199254740993 is more than 9007199254740992, which doubles are not
//! able to tell apart.

use std::cmp::Ordering;
use std::fmt::{self, Display, Formatter};

/// A JSON number.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    text: String,
    small: Option<i64>,
}

impl Number {
    /// Reads one; `None` when `text` is not just a number as JSON writes it.
    pub fn parse(text: &str) -> Option<Self> {
        is_number(text).then(|| Self { text: text.to_owned(), small: text.parse().ok() })
    }

    /// To compare it.
    pub fn view(&self) -> View<'_> {
        View { text: &self.text, small: self.small }
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self { text: number.to_string(), small: Some(number) }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A number that stands somewhere else.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Empty when the number is small and was never written.
    text: &'a str,
    small: Option<i64>,
}

impl<'a> View<'a> {
    /// Of a token that is known to be a JSON number.
    pub fn of(text: &'a str) -> Self {
        Self { text, small: text.parse().ok() }
    }

    /// Of an integer.
    pub fn small(number: i64) -> Self {
        Self { text: "", small: Some(number) }
    }

    /// As it is written.
    pub fn text(&self) -> std::borrow::Cow<'a, str> {
        match self.small {
            Some(small) if self.text.is_empty() => small.to_string().into(),
            _ => self.text.into(),
        }
    }

    /// Which of the two is greater, exactly.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self.small, other.small) {
            (Some(ours), Some(theirs)) => ours.cmp(&theirs),
            _ => Decimal::read(&self.text()).compare(&Decimal::read(&other.text())),
        }
    }
}

/// Whether all of `text` is a number as JSON writes it.
pub fn is_number(text: &str) -> bool {
    let rest = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

/// 0.`digits` × 10^`exponent`, where the first and the last digit are not 0; zero has no digits.
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    fn read(text: &str) -> Self {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // An exponent that no i64 holds leaves nothing to tell but its sign.
        let beyond = if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
        let exponent = exponent.parse::<i64>().map_or(beyond, |e| e.clamp(i64::MIN / 2, i64::MAX / 2));
        let all = whole.bytes().chain(fraction.bytes());
        let zeros = all.clone().take_while(|digit| *digit == b'0').count();
        let mut digits: Vec<u8> = all.skip(zeros).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let exponent = exponent + whole.len() as i64 - zeros as i64;
        Self {
            negative: negative && !digits.is_empty(),
            exponent: if digits.is_empty() { 0 } else { exponent },
            digits,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| {
            let size = self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
            if self.negative { size.reverse() } else { size }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compare(a: &str, b: &str) -> Ordering {
        Number::parse(a).unwrap().view().compare(&Number::parse(b).unwrap().view())
    }

    #[test]
    fn numbers_are_told_apart_exactly() {
        for (less, more) in [
            ("9007199254740992", "9007199254740993"),
            ("18446744073709551615", "18446744073709551616"),
            ("0.1", "0.10000000000000000001"),
            ("-2", "-1.5"),
            ("-1", "0"),
            ("0", "1e-400"),
            ("1e400", "1e401"),
            ("-1e99999999999999999999", "1e-99999999999999999999"),
            ("9.99", "10"),
        ] {
            assert_eq!(compare(less, more), Ordering::Less, "{less} < {more}");
            assert_eq!(compare(more, less), Ordering::Greater, "{more} > {less}");
        }
        for (a, b) in [("1", "1.0"), ("100", "1e2"), ("0", "-0.0"), ("12.5e1", "125"), ("0e7", "0")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} = {b}");
        }
    }

    #[test]
    fn only_what_json_takes_is_a_number() {
        for text in ["", "-", "01", "1.", ".5", "1e", "1e+", "+1", "0x1", "1 ", "NaN", "1.5.1"] {
            assert_eq!(Number::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn doubles_keep_their_order(a in -1e15_f64..1e15, b in -1e15_f64..1e15) {
            prop_assert_eq!(Some(compare(&format!("{a}"), &format!("{b:e}"))), a.partial_cmp(&b));
        }

        #[test]
        fn integers_keep_their_order(a: i64, b: i64) {
            prop_assert_eq!(compare(&a.to_string(), &b.to_string()), a.cmp(&b));
            prop_assert_eq!(compare(&format!("{a}.0"), &format!("{b}")), a.cmp(&b));
        }
    }
}
