//! The search language of the console.
//!
//! - Anything is looked for as text in keys, values, and the names and values of headers. In quotes (`"$5"`) it is
//!   that whatever it looks like.
//! - `/text/` is a regular expression, looked for in the same places; `/text/i` in any case.
//! - What begins with `$`, behind any `!` and `(`, is an expression:
//!
//! ```text
//! $.level == "ERROR" && ($.service =~ /^pay/ || $header.x-retry-count > 2)
//!
//! paths       $.a.b[0]["odd name"]  $  $value  $key  $key.a  $header.name  $partition  $offset  $timestamp  $size
//! operators   == != < <= > >= contains   =~ !~ /pattern/   exists   && || ! ( )
//! literals    "text"  -1.5e3  true  false  null
//! ```
//!
//! `$` is the value as JSON. Where a path leads nowhere, because there is no such field or the value is no JSON, no
//! comparison holds. Numbers are compared exactly, whatever their size. A comparison without an answer, such as a text
//! that is less than a number, is a [`Fault`], which is told and never counts as "no match".

mod lexer;
mod lookup;
mod number;
mod parser;
mod plan;
mod subject;
mod syntax;

use std::ops::Range;

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};

pub use plan::Fault;
use plan::Plan;
pub use subject::Subject;
use syntax::{Path, Pattern};

/// The longest search, in bytes.
pub const MAX_LENGTH: usize = 4096;
/// Bytes that a regular expression may take when it is compiled.
const MAX_PATTERN: usize = 1 << 20;

/// A search, made ready.
pub struct Filter(Kind);

enum Kind {
    /// A text, in this case.
    Text(Box<Finder<'static>>),
    /// A text in any case, or a pattern.
    Pattern(Regex),
    /// An expression.
    Expression(Plan),
}

/// Why a search can't be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct ParseError {
    /// Where, in characters from 1.
    pub column: usize,
    /// What was expected there.
    pub reason: String,
}

impl ParseError {
    fn new(column: usize, reason: impl Into<String>) -> Self {
        Self { column, reason: reason.into() }
    }
}

impl Filter {
    /// Reads a search; `None` when it is empty and everything matches. Without `match_case`, texts and patterns match in
    /// any case; expressions are always exact.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(search: &str, match_case: bool) -> Result<Option<Self>, ParseError> {
        let text = search.trim();
        if text.len() > MAX_LENGTH {
            return Err(ParseError::new(1, format!("expected at most {MAX_LENGTH} bytes")));
        }
        if text.is_empty() {
            return Ok(None);
        }
        // Columns count from where the reader began to write.
        let column = 1 + search.len() - search.trim_start().len();
        let kind = match written(text) {
            Written::Text(text) => Self::text(text, match_case),
            Written::Pattern { text, insensitive } => {
                let pattern = Pattern { text: text.to_owned(), insensitive: insensitive || !match_case };
                regex(&pattern).map(Kind::Pattern).map_err(|reason| ParseError::new(column, reason))
            }
            Written::Expression => parser::expression(search).map(|parsed| Kind::Expression(Plan::new(&parsed))),
        };
        kind.map(|kind| Some(Self(kind)))
    }

    fn text(text: &str, match_case: bool) -> Result<Kind, ParseError> {
        if match_case {
            return Ok(Kind::Text(Box::new(Finder::new(text).into_owned())));
        }
        let pattern = Pattern { text: regex::escape(text), insensitive: true };
        regex(&pattern).map(Kind::Pattern).map_err(|reason| ParseError::new(1, reason))
    }

    /// Whether it matches.
    ///
    /// # Errors
    /// [`Fault`] when there is no answer for this record.
    pub fn matches(&self, subject: &Subject<'_>) -> Result<bool, Fault> {
        match &self.0 {
            Kind::Text(finder) => Ok(anywhere(subject, |bytes| finder.find(bytes).is_some())),
            Kind::Pattern(regex) => Ok(anywhere(subject, |bytes| regex.is_match(bytes))),
            Kind::Expression(plan) => plan.holds(subject),
        }
    }

    /// Where in `bytes` the text or pattern is first found; expressions look at no text in particular.
    pub fn find(&self, bytes: &[u8]) -> Option<Range<usize>> {
        match &self.0 {
            Kind::Text(finder) => finder.find(bytes).map(|start| start..start + finder.needle().len()),
            Kind::Pattern(regex) => regex.find(bytes).map(|found| found.range()),
            Kind::Expression(_) => None,
        }
    }
}

/// How a search is written.
enum Written<'a> {
    Text(&'a str),
    Pattern { text: &'a str, insensitive: bool },
    Expression,
}

fn written(text: &str) -> Written<'_> {
    let inside = |text: &'_ str| -> Option<(usize, usize)> { (text.len() >= 2).then_some((1, text.len() - 1)) };
    if let (Some((start, end)), true) = (inside(text), text.starts_with('"') && text.ends_with('"')) {
        return Written::Text(&text[start..end]);
    }
    if let Some(rest) = text.strip_prefix('/') {
        if let Some(pattern) = rest.strip_suffix("/i") {
            return Written::Pattern { text: pattern, insensitive: true };
        }
        if let Some(pattern) = rest.strip_suffix('/').filter(|pattern| !pattern.is_empty()) {
            return Written::Pattern { text: pattern, insensitive: false };
        }
    }
    // A price is no path.
    let mut path = text.trim_start_matches(|c: char| matches!(c, '!' | '(') || c.is_whitespace()).chars();
    let names = |c: char| matches!(c, '.' | '[' | '=' | '!' | '<' | '>') || c.is_alphabetic() || c.is_whitespace();
    match (path.next(), path.next()) {
        (Some('$'), Some(next)) if names(next) => Written::Expression,
        _ => Written::Text(text),
    }
}

/// Whether `found` is true of the key, the value, or a header's name or value.
fn anywhere(subject: &Subject<'_>, found: impl Fn(&[u8]) -> bool) -> bool {
    subject.value.is_some_and(&found)
        || subject.key.is_some_and(&found)
        || subject.headers.iter().any(|(name, value)| found(name) || value.is_some_and(&found))
}

/// Compiles a pattern.
fn regex(pattern: &Pattern) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(&pattern.text)
        .case_insensitive(pattern.insensitive)
        .size_limit(MAX_PATTERN)
        .dfa_size_limit(MAX_PATTERN)
        .build();
    compiled.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "expected a smaller regular expression".to_owned(),
        // The last line says what is wrong; those before it draw the place, which takes a fixed width.
        error => {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("expected a regular expression: {reason}")
        }
    })
}

/// A column of a list: a path, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column(Path);

impl Column {
    /// Reads columns with commas between them: `$.level, $key.id`.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse_all(text: &str) -> Result<Vec<Self>, ParseError> {
        Ok(parser::paths(text)?.into_iter().map(Self).collect())
    }

    /// What stands there in a record: a text as it reads, all else as it is written; `None` when nothing does.
    pub fn of(&self, subject: &Subject<'_>) -> Option<String> {
        plan::shown(&self.0, subject)
    }
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads `text` as a search in both cases and as columns; what is read and written must be read the same again.
#[cfg(test)]
fn read_and_write(text: &str) {
    let _ = Filter::parse(text, true);
    let _ = Filter::parse(text, false);
    if let Ok(expression) = parser::expression(text) {
        let written = expression.to_string();
        assert_eq!(parser::expression(&written).as_ref(), Ok(&expression), "{text:?} was written as {written:?}");
    }
    if let Ok(columns) = Column::parse_all(text) {
        let written = columns.iter().map(Column::to_string).collect::<Vec<_>>().join(",");
        assert_eq!(Column::parse_all(&written), Ok(columns), "{text:?} was written as {written:?}");
    }
}

#[cfg(test)]
mod tests;
