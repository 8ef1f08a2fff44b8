//! Money: whole cents inside, so that sums are exact; a JSON number with at most two decimals outside.

use std::fmt;
use std::iter::Sum;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Up to here, every amount of cents has a JSON number of its own: ten trillion, in whole units.
const MAX: i64 = 1_000_000_000_000_000;

/// An amount of money in cents. There is one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(pub i64);

impl Cents {
    /// `count` times as much.
    pub fn times(self, count: u32) -> Self {
        Self(self.0.saturating_mul(i64::from(count)))
    }

    /// The amount that a JSON number says; `None` when it has more than two decimals, or is beyond all amounts.
    pub fn from_number(number: f64) -> Option<Self> {
        let cents = (number * 100.0).round();
        // The nearest number to so many cents is the only one that says them: 12.345 has none.
        (cents.abs() <= MAX as f64 && cents / 100.0 == number).then_some(Self(cents as i64))
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, cents) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

impl Sum for Cents {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.fold(0, |sum, amount| sum.saturating_add(amount.0)))
    }
}

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 100 == 0 {
            serializer.serialize_i64(self.0 / 100)
        } else {
            // Division rounds to the nearest number, which is written with the fewest digits that say it.
            serializer.serialize_f64(self.0 as f64 / 100.0)
        }
    }
}

impl<'de> Deserialize<'de> for Cents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amount;

        impl Visitor<'_> for Amount {
            type Value = Cents;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of money with at most two decimals")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Cents, E> {
                let cents = number.checked_mul(100).filter(|cents| cents.abs() <= MAX);
                cents.map(Cents).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Cents, E> {
                match i64::try_from(number) {
                    Ok(number) => self.visit_i64(number),
                    Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                }
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Cents, E> {
                Cents::from_number(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
            }
        }

        deserializer.deserialize_any(Amount)
    }
}

impl JsonSchema for Cents {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "multipleOf": 0.01, "description": "An amount of money, with at most two decimals." })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn money_is_a_number_with_at_most_two_decimals() {
        for (cents, json) in [(0, "0"), (5, "0.05"), (1_250, "12.5"), (1_234, "12.34"), (-999, "-9.99"), (100, "1")] {
            assert_eq!(serde_json::to_string(&Cents(cents)).unwrap(), json);
            assert_eq!(serde_json::from_str::<Cents>(json).unwrap(), Cents(cents));
        }
        assert_eq!(serde_json::from_str::<Cents>("12.00").unwrap(), Cents(1_200));
        assert_eq!(Cents(123_456).to_string(), "1234.56");
        assert_eq!(Cents(-5).to_string(), "-0.05");
    }

    #[test]
    fn what_is_no_amount_is_refused_in_words() {
        for json in ["12.345", "0.001", "1e30", "\"12\"", "null", "99999999999999999999", "10000000000000.01"] {
            let error = serde_json::from_str::<Cents>(json).unwrap_err().to_string();
            assert!(error.contains("an amount of money with at most two decimals"), "{json}: {error}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_survives_its_json(cents in -MAX..=MAX) {
            let json = serde_json::to_string(&Cents(cents)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Cents>(&json).unwrap(), Cents(cents));
            prop_assert!(json.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 2), "{}", json);
        }
    }
}
