//! Where traces go.

use url::Url;

use super::ConfigError;
use super::values::Values;

/// Where traces go.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The endpoint that takes them; `None` for nowhere.
    pub endpoint: Option<Url>,
    /// How many of those that begin here are recorded, from 0 to 1.
    pub sample: f64,
}

impl TraceSettings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// A value of another form.
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        let endpoint: Option<Url> = values.parse("otlp-endpoint", "a URL, such as http://127.0.0.1:4318")?;
        if endpoint.as_ref().is_some_and(|url| !matches!(url.scheme(), "http" | "https") || !url.has_host()) {
            return Err(values.error("otlp-endpoint", "expected http://host:port or https://host:port"));
        }
        if endpoint.as_ref().is_some_and(|url| !url.username().is_empty() || url.password().is_some()) {
            return Err(values.error("otlp-endpoint", "expected no user or password: the endpoint is told none"));
        }
        if endpoint.as_ref().is_some_and(|url| url.query().is_some() || url.fragment().is_some()) {
            return Err(values.error("otlp-endpoint", "expected nothing after the path"));
        }
        let sample: f64 = values.required("otlp-sample", "a number from 0 to 1")?;
        if !(0.0..=1.0).contains(&sample) {
            return Err(values.error("otlp-sample", "expected a number from 0 to 1"));
        }
        Ok(Self { endpoint, sample })
    }
}
