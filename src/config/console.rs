//! What the console may do, and what `/metrics` tells of the cluster.

use regex::Regex;

use super::values::Values;
use super::{ConfigError, listed};

/// What the console may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleMode {
    /// Everything.
    Full,
    /// Look.
    ReadOnly,
    /// Nothing: there is none.
    Off,
}

impl ConsoleMode {
    /// Reads it.
    ///
    /// # Errors
    /// A value of another form.
    pub(super) fn read(values: &Values) -> Result<Option<Self>, ConfigError> {
        match values.text("console").as_deref() {
            None => Ok(None),
            Some("full") => Ok(Some(Self::Full)),
            Some("read-only") => Ok(Some(Self::ReadOnly)),
            Some("off") => Ok(Some(Self::Off)),
            Some(_) => Err(values.error("console", "expected full, read-only or off")),
        }
    }

    /// Its name among the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read-only",
            Self::Off => "off",
        }
    }
}

/// The names that the console may be asked for by.
pub(super) fn hosts(values: &Values) -> Vec<String> {
    listed(&values.text("console-hosts").unwrap_or_default())
}

/// What `/metrics` tells of the cluster.
#[derive(Clone, Debug, Default)]
pub struct ExportSettings {
    /// Whether it does; as the console when `None`, which has the cluster watched anyway.
    pub on: Option<bool>,
    /// Only topics whose name matches; all when `None`.
    pub topics: Option<Regex>,
    /// Only groups whose name matches; all when `None`.
    pub groups: Option<Regex>,
}

impl ExportSettings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// A value of another form.
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self {
            on: match values.text("export").as_deref() {
                None => None,
                Some("on") => Some(true),
                Some("off") => Some(false),
                Some(_) => return Err(values.error("export", "expected on or off")),
            },
            topics: values.parse("export-topics", "a regular expression, such as ^orders")?,
            groups: values.parse("export-groups", "a regular expression, such as ^billing")?,
        })
    }

    /// Whether a topic of this name is told of.
    pub fn has_topic(&self, name: &str) -> bool {
        self.topics.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }

    /// Whether a group of this name is told of.
    pub fn has_group(&self, name: &str) -> bool {
        self.groups.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }
}
