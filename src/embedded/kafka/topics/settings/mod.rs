//! The settings of topics.
//!
//! A topic has its own settings by Kafka's names; what it doesn't have is as the broker's [`Defaults`] say. Every
//! setting that Kafka knows is either honoured here or has one possible value, and setting it to any other is refused
//! with the reason: nothing is accepted that has no effect. But for `compression.type`, which is kept and told: it changes
//! nothing of what is read, and files that describe topics for any cluster have it.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;

use super::Refused;
use crate::embedded::kafka::log::LogSettings;
use definitions::{DEFINITIONS, Rule};

mod defaults;
mod definitions;
mod describe;

pub use defaults::{Defaults, Effective, Flush};
pub use definitions::{Definition, Kind};
pub use describe::{Described, Source, Synonym};

/// What is set on a topic itself.
pub type Settings = BTreeMap<String, String>;

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It becomes this.
    Set(String),
    /// The broker's default is in force again.
    Unset,
    /// These are added to a list.
    Append(String),
    /// These are taken out of a list.
    Subtract(String),
}

/// The definition of `name`.
///
/// # Errors
/// Kafka has no such setting.
pub fn definition(name: &str) -> Result<&'static Definition, Refused> {
    DEFINITIONS
        .iter()
        .find(|definition| definition.name == name)
        .ok_or_else(|| invalid(format!("Unknown topic config name: {name}")))
}

/// Checks settings as they come from a client; values may have spaces around them.
///
/// # Errors
/// One of them doesn't exist, or can't have its value.
pub fn checked<'a>(settings: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Result<Settings, Refused> {
    let mut checked = Settings::new();
    for (name, value) in settings {
        let Some(value) = value else {
            return Err(invalid(format!("Null value not supported for topic configs: {name}")));
        };
        let value = value.trim().to_owned();
        definition(name)?.check(&value)?;
        checked.insert(name.to_owned(), value);
    }
    Ok(checked)
}

/// `settings` with `changes`; none is made if one of them is refused.
///
/// # Errors
/// A setting doesn't exist, can't have the value, or is no list to add to.
pub fn changed<'a>(
    settings: &Settings,
    changes: impl IntoIterator<Item = (&'a str, Change)>,
) -> Result<Settings, Refused> {
    let mut changed = settings.clone();
    for (name, change) in changes {
        let definition = definition(name)?;
        let listed = || changed.get(name).map_or(definition.default, String::as_str).split(',').map(str::trim);
        let value = match &change {
            Change::Unset => {
                changed.remove(name);
                continue;
            }
            Change::Set(value) => value.trim().to_owned(),
            Change::Append(_) | Change::Subtract(_) if definition.kind != Kind::List => {
                let verb = if matches!(change, Change::Append(_)) { "APPEND" } else { "SUBTRACT" };
                return Err(invalid(format!("Can't {verb} to key {name} because its type is not LIST.")));
            }
            Change::Append(values) => {
                let mut all: Vec<&str> = listed().filter(|one| !one.is_empty()).collect();
                for one in values.split(',').map(str::trim) {
                    if !all.contains(&one) {
                        all.push(one);
                    }
                }
                all.join(",")
            }
            Change::Subtract(values) => {
                let gone: Vec<&str> = values.split(',').map(str::trim).collect();
                listed().filter(|one| !gone.contains(one)).collect::<Vec<_>>().join(",")
            }
        };
        definition.check(&value)?;
        changed.insert(name.to_owned(), value);
    }
    Ok(changed)
}

impl Definition {
    /// Checks a value for this setting.
    ///
    /// # Errors
    /// It can't have it.
    pub fn check(&self, value: &str) -> Result<(), Refused> {
        let refused =
            |reason: &str| Err(invalid(format!("Invalid value {value} for configuration {}: {reason}", self.name)));
        let (parsed, kind) = match self.kind {
            Kind::Int => (value.parse::<i32>().map(i64::from).ok(), "INT"),
            Kind::Long => (value.parse::<i64>().ok(), "LONG"),
            _ => (Some(0), ""),
        };
        let Some(parsed) = parsed else { return refused(&format!("Not a number of type {kind}")) };
        match self.rule {
            Rule::AtLeast(least) if parsed < least => refused(&format!("Value must be at least {least}")),
            Rule::AtLeast(_) => Ok(()),
            Rule::OneOf(values) if values.contains(&value) => Ok(()),
            Rule::OneOf(values) => refused(&format!("String must be one of: {}", values.join(", "))),
            Rule::Only(_) if value == self.default => Ok(()),
            Rule::Only(reason) if self.default.is_empty() => refused(&format!("it can't be set here: {reason}")),
            Rule::Only(reason) => refused(&format!("it can only be {} here: {reason}", self.default)),
        }
    }

    /// Whether nothing but the default can be had.
    pub fn is_fixed(&self) -> bool {
        matches!(self.rule, Rule::Only(_))
    }
}

fn invalid(message: String) -> Refused {
    Refused::new(ResponseError::InvalidConfig, message)
}

impl Effective {
    /// What the log is told.
    pub fn log(&self) -> LogSettings {
        LogSettings {
            segment_bytes: self.segment_bytes,
            segment_ms: self.segment_ms,
            retention_bytes: self.retention_bytes,
            retention_ms: self.retention_ms,
            max_message_bytes: self.max_message_bytes,
            log_append_time: self.log_append_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, value: &str) -> String {
        checked([(name, Some(value))]).expect_err(name).message
    }

    #[test]
    fn what_kafka_refuses_is_refused_in_its_words() {
        for (name, value, words) in [
            ("retention.m", "1", "Unknown topic config name: retention.m"),
            ("message.format.version", "3.0", "Unknown topic config name: message.format.version"),
            ("retention.ms", "week", "Invalid value week for configuration retention.ms: Not a number of type LONG"),
            ("retention.ms", "-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"),
            ("segment.bytes", "9999999999", "Not a number of type INT"),
            ("segment.bytes", "1000", "Value must be at least 1048576"),
            ("message.timestamp.type", "Now", "String must be one of: CreateTime, LogAppendTime"),
        ] {
            assert!(message(name, value).contains(words), "{}", message(name, value));
        }
        let null = checked([("retention.ms", None)]).expect_err("null");
        assert_eq!(null.message, "Null value not supported for topic configs: retention.ms");
    }

    #[test]
    fn what_would_have_no_effect_is_refused_with_the_reason() {
        assert!(message("cleanup.policy", "compact").contains("doesn't compact"));
        assert!(message("cleanup.policy", "compact,delete").contains("doesn't compact"));
        assert!(message("min.insync.replicas", "2").contains("single node without replication"));
        assert!(message("compression.lz4.level", "1").contains("as producers compressed them"));
        assert!(message("compression.type", "zip").contains("one of: uncompressed, zstd"));
        for definition in DEFINITIONS.iter().filter(|definition| definition.is_fixed()) {
            definition.check(definition.default).expect(definition.name);
            assert!(!definition.default.is_empty() || definition.kind == Kind::List, "{}", definition.name);
        }
    }

    #[test]
    fn every_default_is_a_value_that_can_be_set_and_is_what_is_in_force() {
        for definition in DEFINITIONS {
            definition.check(definition.default).expect(definition.name);
            assert!(!definition.documentation.is_empty());
            assert_eq!(Defaults::default().value(definition), definition.default, "{}", definition.name);
        }
    }

    #[test]
    fn what_is_set_is_in_force() {
        let set = [
            ("segment.bytes", "2000000"),
            ("segment.ms", "1"),
            ("retention.bytes", "3"),
            ("retention.ms", " 4 "),
            ("max.message.bytes", "5"),
            ("message.timestamp.type", "LogAppendTime"),
            ("flush.messages", "6"),
            ("flush.ms", "7"),
        ];
        let settings = checked(set.map(|(name, value)| (name, Some(value)))).expect("valid");
        let effective = Defaults::default().with(&settings);
        let log = LogSettings {
            segment_bytes: 2_000_000,
            segment_ms: 1,
            retention_bytes: 3,
            retention_ms: 4,
            max_message_bytes: 5,
            log_append_time: true,
        };
        assert_eq!((effective.log(), effective.flush), (log, Flush { messages: 6, ms: 7 }));
    }

    #[test]
    fn changes_are_made_together_or_not_at_all() {
        let before = checked([("retention.ms", Some("1")), ("flush.ms", Some("2"))]).expect("valid");
        let set = |value: &str| Change::Set(value.to_owned());
        let after = changed(&before, [("retention.ms", Change::Unset), ("segment.ms", set("3"))]).expect("valid");
        assert_eq!(after, checked([("flush.ms", Some("2")), ("segment.ms", Some("3"))]).expect("valid"));
        changed(&before, [("retention.ms", Change::Unset), ("segment.ms", set("x"))]).expect_err("not a number");

        let appended = |values: &str| changed(&before, [("cleanup.policy", Change::Append(values.to_owned()))]);
        assert_eq!(appended("delete").expect("there already")["cleanup.policy"], "delete");
        appended("compact").expect_err("no compaction");
        let subtracted = changed(&before, [("retention.ms", Change::Subtract("1".to_owned()))]);
        let words = "Can't SUBTRACT to key retention.ms because its type is not LIST.";
        assert_eq!(subtracted.expect_err("not a list").message, words);
    }
}
