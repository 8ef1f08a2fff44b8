//! What is told of a span, once it has ended.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::TraceContext;

/// What a span is to others, by its number in OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A part of the work of this process.
    Internal = 1,
    /// The answer to a request.
    Server = 2,
    /// A request.
    Client = 3,
    /// A message that is sent, for somebody to deal with later.
    Producer = 4,
    /// A message that is dealt with.
    Consumer = 5,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The span.
    pub context: TraceContext,
    /// The span that it is a part of, or follows from.
    pub parent: Option<u64>,
    /// Other spans that it is a part of, or follows from.
    pub links: Vec<TraceContext>,
    /// What it is to others.
    pub kind: Kind,
    /// What was done, with a name of few.
    pub name: Cow<'static, str>,
    /// When it began, in nanoseconds since the epoch.
    pub began_ns: u64,
    /// When it ended, in nanoseconds since the epoch.
    pub ended_ns: u64,
    /// More about it, named as the semantic conventions have it (<https://opentelemetry.io/docs/specs/semconv/>).
    pub attributes: Vec<(&'static str, Value)>,
    /// What went wrong, if anything did.
    pub error: Option<Cow<'static, str>>,
}

/// Attributes that a span has at most, usually.
const ATTRIBUTES: usize = 12;

impl Span {
    /// A span that `took` so long and has ended just now.
    pub fn ended(kind: Kind, name: impl Into<Cow<'static, str>>, context: TraceContext, took: Duration) -> Self {
        let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            context,
            parent: None,
            links: Vec::new(),
            kind,
            name: name.into(),
            began_ns: nanos(since_epoch.saturating_sub(took)),
            ended_ns: nanos(since_epoch),
            attributes: Vec::with_capacity(ATTRIBUTES),
            error: None,
        }
    }

    /// It is a part of that span.
    #[must_use]
    pub fn under(self, parent: Option<u64>) -> Self {
        Self { parent, ..self }
    }

    /// It is a part of those spans, too.
    #[must_use]
    pub fn linked(self, links: Vec<TraceContext>) -> Self {
        Self { links, ..self }
    }

    /// With an attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// With an attribute, if there is anything to say.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Something went wrong, if `error` says what: its kind, of few, and in words.
    #[must_use]
    pub fn failed(self, error: Option<(impl Into<Value>, String)>) -> Self {
        match error {
            Some((kind, words)) => Self { error: Some(words.into()), ..self.with("error.type", kind) },
            None => self,
        }
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&[u8]> for Value {
    fn from(text: &[u8]) -> Self {
        Self::Text(String::from_utf8_lossy(text).into_owned().into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}
