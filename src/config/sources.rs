//! Where values come from: flag > environment > `kboard.toml` > default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::table::{SETTINGS, Setting, setting};

/// Who set a value; the first that did, in this order, wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag of the command line.
    Flag,
    /// A `KBOARD_*` variable.
    Environment,
    /// A key of the settings file.
    File(PathBuf),
    /// Nobody: the built-in default.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag => f.write_str("flag"),
            Source::Environment => f.write_str("environment"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Default => f.write_str("default"),
        }
    }
}

/// A setting with the value it ended up with.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value; `None` when it is unset and has no default.
    pub value: Option<String>,
    /// Who set it.
    pub source: Source,
}

/// What the process was started with, before any rule of precedence: the three places a value can come from.
#[derive(Debug, Default)]
pub struct Sources {
    /// Flags by key.
    pub flags: BTreeMap<String, String>,
    /// Environment variables by name; only those that start with `KBOARD_` matter.
    pub environment: BTreeMap<String, String>,
    /// The settings file to read, and whether it was asked for by name (then it must exist).
    pub file: Option<(PathBuf, bool)>,
}

/// Variables that are ours but no settings.
const OTHER_VARIABLES: &[&str] = &["KBOARD_CONFIG"];

/// Beginnings of variables that others set: the tests, and Kubernetes for a service that is called kboard.
const NOT_OURS: &[&str] = &["KBOARD_TEST_", "KBOARD_SERVICE_", "KBOARD_PORT"];

impl Sources {
    /// Applies the precedence to every setting.
    ///
    /// # Errors
    /// An unreadable or malformed file, or a key or `KBOARD_*` variable that names no setting.
    pub fn resolve(&self) -> Result<Vec<Resolved>, ConfigError> {
        self.reject_unknown_variables()?;
        let file = match &self.file {
            Some((path, required)) => read_file(path, *required)?,
            None => BTreeMap::new(),
        };
        let file_source = || Source::File(self.file.as_ref().map(|(path, _)| path.clone()).unwrap_or_default());
        Ok(SETTINGS
            .iter()
            .map(|setting| {
                let found = (self.flags.get(setting.key).map(|value| (value, Source::Flag)))
                    .or_else(|| self.environment.get(&setting.env()).map(|value| (value, Source::Environment)))
                    .or_else(|| file.get(setting.key).map(|value| (value, file_source())));
                match found {
                    Some((value, source)) => Resolved { setting, value: Some(value.clone()), source },
                    None => Resolved { setting, value: setting.default.map(str::to_owned), source: Source::Default },
                }
            })
            .collect())
    }

    fn reject_unknown_variables(&self) -> Result<(), ConfigError> {
        let unknown = self.environment.keys().find(|name| {
            name.starts_with("KBOARD_")
                && !NOT_OURS.iter().any(|prefix| name.starts_with(prefix))
                && !OTHER_VARIABLES.contains(&name.as_str())
                && !SETTINGS.iter().any(|setting| setting.env() == **name)
        });
        match unknown {
            Some(name) => Err(ConfigError::UnknownVariable(name.clone())),
            None => Ok(()),
        }
    }
}

/// Reads the flat TOML table of settings; strings, numbers and booleans are all taken as written.
fn read_file(path: &Path, required: bool) -> Result<BTreeMap<String, String>, ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return Ok(BTreeMap::new()),
        Err(error) => return Err(ConfigError::File { path: path.to_owned(), reason: error.to_string() }),
    };
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| ConfigError::File { path: path.to_owned(), reason: error.to_string() })?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        if setting(&key).is_none() {
            return Err(ConfigError::UnknownKey { path: path.to_owned(), key });
        }
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            other => {
                let reason = format!("{key} must be a string, number or boolean, not {}", other.type_str());
                return Err(ConfigError::File { path: path.to_owned(), reason });
            }
        };
        values.insert(key, text);
    }
    Ok(values)
}
