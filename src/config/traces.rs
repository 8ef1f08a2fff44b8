//! Where traces go, and which.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use url::Url;

use super::ConfigError;
use super::values::Values;

/// Where traces go.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The endpoint that takes them; `None` for nowhere.
    pub endpoint: Option<Url>,
    /// Which of those that begin here are recorded.
    pub sample: Sample,
}

/// How many of the traces that begin here are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample {
    /// That share of them, from 0 to 1.
    Share(f64),
    /// All, up to so many a second.
    PerSecond(NonZeroU32),
}

/// It is no [`Sample`].
#[derive(Debug)]
pub struct NoSample;

impl FromStr for Sample {
    type Err = NoSample;

    fn from_str(text: &str) -> Result<Self, NoSample> {
        match text.strip_suffix("/s") {
            Some(rate) => rate.parse().map(Self::PerSecond).map_err(|_| NoSample),
            None => text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).map(Self::Share).ok_or(NoSample),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => write!(f, "{share}"),
            Self::PerSecond(rate) => write!(f, "{rate}/s"),
        }
    }
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
        let sample = values.required("otlp-sample", "a number from 0 to 1, or so many a second, such as 200/s")?;
        Ok(Self { endpoint, sample })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_share_or_a_rate() {
        let read = |text: &str| text.parse().ok();
        assert_eq!(read("0.25"), Some(Sample::Share(0.25)));
        assert_eq!((read("0"), read("1")), (Some(Sample::Share(0.0)), Some(Sample::Share(1.0))));
        assert_eq!(read("1000/s"), NonZeroU32::new(1_000).map(Sample::PerSecond));
        for text in ["", "1.5", "-1", "NaN", "0/s", "-1/s", "0.5/s", "/s", "10/m", "all"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
