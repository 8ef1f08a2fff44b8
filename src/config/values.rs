//! Typed reads of the resolved values, and how values are shown.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::ConfigError;
use super::sources::{Resolved, Source};
use super::table::EMBEDDED;

/// Typed reads of the resolved values.
pub struct Values<'a>(pub &'a [Resolved]);

impl Values<'_> {
    fn get(&self, key: &'static str) -> Option<&Resolved> {
        self.0.iter().find(|resolved| resolved.setting.key == key)
    }

    /// The value as it was given.
    pub fn text(&self, key: &'static str) -> Option<String> {
        self.get(key).and_then(|resolved| resolved.value.clone())
    }

    /// Whether the value means kboard's own server.
    pub fn is_embedded(&self, key: &'static str) -> bool {
        self.text(key).is_some_and(|text| text == EMBEDDED)
    }

    /// The value as a path.
    pub fn path(&self, key: &'static str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// The value's typed form; `None` when it is unset.
    ///
    /// # Errors
    /// It has another form; then the error says that `expected` was.
    pub fn parse<T: FromStr>(&self, key: &'static str, expected: &str) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.error(key, &format!("expected {expected}")))
    }

    /// The typed form of a value that must be set.
    ///
    /// # Errors
    /// It is unset or has another form; then the error says that `expected` was.
    pub fn required<T: FromStr>(&self, key: &'static str, expected: &str) -> Result<T, ConfigError> {
        self.parse(key, expected)?.ok_or_else(|| self.error(key, &format!("expected {expected}")))
    }

    /// The value as a duration.
    ///
    /// # Errors
    /// It is none.
    pub fn duration(&self, key: &'static str) -> Result<Duration, ConfigError> {
        parse_duration(&self.text(key).unwrap_or_default()).map_err(|reason| self.error(key, &reason))
    }

    /// An error that names the setting, its value and who set it.
    pub fn error(&self, key: &'static str, reason: &str) -> ConfigError {
        let (value, source_) = match self.get(key) {
            Some(resolved) => (display_value(resolved), resolved.source.clone()),
            None => (String::new(), Source::Default),
        };
        ConfigError::Value { key, value, source_, reason: reason.to_owned() }
    }
}

/// Reads a duration such as `500ms`, `10s`, `1h 30m` or `7d`; a day has 24 hours.
///
/// # Errors
/// A sentence that shows the right form.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a duration such as 500ms, 10s, 1h 30m or 7d, not {text:?}");
    let span: jiff::Span = text.parse().map_err(|_| expected())?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| expected())?;
    Duration::try_from(duration).map_err(|_| expected())
}

/// The value as it may be shown: secrets, and passwords inside URLs, are masked.
pub fn display_value(resolved: &Resolved) -> String {
    match &resolved.value {
        None => String::new(),
        Some(_) if resolved.setting.secret => "********".to_owned(),
        Some(text) => match text.parse::<url::Url>() {
            Ok(url) if url.password().is_some() => masked_url(&url),
            Ok(_) => text.clone(),
            Err(_) => without_credentials(text),
        },
    }
}

/// The URL with its password hidden.
pub fn masked_url(url: &url::Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() {
        // A URL that has a password can have another one, so this can't fail.
        let _ = url.set_password(Some("********"));
    }
    url.to_string()
}

/// A text that should have been a URL: a password with a `#` or `/` in it is what most likely keeps it from being one, so
/// whatever stands where credentials do is masked.
fn without_credentials(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://********@{host}"),
        _ => text.to_owned(),
    }
}
