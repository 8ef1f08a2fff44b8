//! An expression made ready to be asked of millions of records.
//!
//! A comparison is asked of the bytes first: what can't be there is not looked for in the JSON.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::{self, Display, Formatter};

use memchr::memmem::Finder;
use regex::bytes::Regex;

use super::number::{View, is_number};
use super::subject::Subject;
use super::syntax::{Expression, Field, Literal, Operand, Operator, Path, Step};
use super::{lookup, regex};

/// An expression, made ready.
pub enum Plan {
    /// Every one must hold.
    All(Vec<Plan>),
    /// One must hold.
    Any(Vec<Plan>),
    /// The opposite.
    Not(Box<Plan>),
    /// Something is there.
    Exists(Place),
    /// Two sides are compared.
    Compare(Side, Operator, Side),
    /// A pattern is looked for.
    Matches {
        /// Where.
        place: Place,
        /// What.
        regex: Box<Regex>,
        /// Whether it must not be there.
        negated: bool,
    },
}

/// One side of a comparison.
pub enum Side {
    /// Of the record.
    Place(Place),
    /// Written in the expression.
    Literal(Literal),
}

/// A path, and the bytes without which it leads nowhere, or to nothing that could be meant.
pub struct Place {
    path: Path,
    needles: Vec<Finder<'static>>,
}

/// A question that has no answer for a record, e.g. whether a text is less than a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Box<str>);

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands at a place.
enum Found<'a> {
    Null,
    Bool(bool),
    Number(View<'a>),
    /// A text of the JSON or of the expression.
    Text(Cow<'a, [u8]>),
    /// A key, a header or a value as it is: it may be meant as a number.
    Bytes(&'a [u8]),
    Array(&'a str),
    Object(&'a str),
}

impl Plan {
    /// Makes `expression` ready.
    pub fn new(expression: &Expression) -> Self {
        let all = |parts: &[Expression]| parts.iter().map(Self::new).collect();
        match expression {
            Expression::All(parts) => Self::All(all(parts)),
            Expression::Any(parts) => Self::Any(all(parts)),
            Expression::Not(inner) => Self::Not(Box::new(Self::new(inner))),
            Expression::Exists(path) => Self::Exists(Place::new(path, None)),
            Expression::Compare { left, operator, right } => {
                Self::Compare(Side::new(left, *operator, right), *operator, Side::new(right, *operator, left))
            }
            Expression::Matches { path, pattern, negated } => match regex(pattern) {
                Ok(regex) => Self::Matches { place: Place::new(path, None), regex: Box::new(regex), negated: *negated },
                // The parser has compiled it before: it can't fail now. If it did, nothing would match.
                Err(_) => Self::Any(Vec::new()),
            },
        }
    }

    /// Whether it holds. What is false whatever the answer to a faulty part, is false: `false && fault`.
    pub fn holds(&self, subject: &Subject<'_>) -> Result<bool, Fault> {
        match self {
            Self::All(parts) => joined(parts, subject, false),
            Self::Any(parts) => joined(parts, subject, true),
            Self::Not(inner) => inner.holds(subject).map(|holds| !holds),
            Self::Exists(place) => {
                let mut exists = false;
                place.each(subject, &mut |_| {
                    exists = true;
                    Ok(true)
                })?;
                Ok(exists)
            }
            Self::Compare(left, operator, right) => left.each(subject, &mut |ours| {
                right.each(subject, &mut |theirs| compare(ours, *operator, theirs, left, right))
            }),
            Self::Matches { place, regex, negated } => place.each(subject, &mut |found| {
                let matches = match found {
                    Found::Text(text) => regex.is_match(text),
                    Found::Bytes(text) => regex.is_match(text),
                    Found::Number(number) => regex.is_match(number.text().as_bytes()),
                    Found::Bool(bool) => regex.is_match(if *bool { b"true" } else { b"false" }),
                    Found::Null => return Ok(false),
                    Found::Array(_) | Found::Object(_) => {
                        return Err(fault(format_args!("{} is {}; =~ takes a text", place.path, found.kind())));
                    }
                };
                Ok(matches != *negated)
            }),
        }
    }
}

/// The first part that is `decisive` decides; after that, faults count.
fn joined(parts: &[Plan], subject: &Subject<'_>, decisive: bool) -> Result<bool, Fault> {
    let mut first = None;
    for part in parts {
        match part.holds(subject) {
            Ok(holds) if holds == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(fault) => first = first.or(Some(fault)),
        }
    }
    first.map_or(Ok(!decisive), Err)
}

impl Side {
    fn new(operand: &Operand, operator: Operator, other: &Operand) -> Self {
        match (operand, other) {
            (Operand::Literal(literal), _) => Self::Literal(literal.clone()),
            (Operand::Path(path), Operand::Literal(Literal::Text(text)))
                if matches!(operator, Operator::Equal | Operator::Contains) =>
            {
                Self::Place(Place::new(path, Some(text)))
            }
            (Operand::Path(path), _) => Self::Place(Place::new(path, None)),
        }
    }

    fn each(&self, subject: &Subject<'_>, ask: &mut Ask<'_>) -> Result<bool, Fault> {
        match self {
            Self::Place(place) => place.each(subject, ask),
            Self::Literal(Literal::Text(text)) => ask(&Found::Text(Cow::Borrowed(text.as_bytes()))),
            Self::Literal(Literal::Number(number)) => ask(&Found::Number(number.view())),
            Self::Literal(Literal::Bool(bool)) => ask(&Found::Bool(*bool)),
            Self::Literal(Literal::Null) => ask(&Found::Null),
        }
    }
}

impl Display for Side {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(place) => place.path.fmt(f),
            Self::Literal(literal) => literal.fmt(f),
        }
    }
}

/// A question to what was found.
type Ask<'q> = dyn FnMut(&Found<'_>) -> Result<bool, Fault> + 'q;

impl Place {
    fn new(path: &Path, wanted: Option<&str>) -> Self {
        let mut needles = Vec::new();
        if path.field == Field::Value {
            needles.extend(wanted.filter(|wanted| is_plain(wanted)).map(|wanted| Finder::new(wanted).into_owned()));
            let last = path.steps.iter().rev().find_map(|step| match step {
                Step::Name(name) if is_plain(name) => Some(format!("\"{name}\"")),
                _ => None,
            });
            needles.extend(last.map(|name| Finder::new(&name).into_owned()));
        }
        Self { path: path.clone(), needles }
    }

    /// Asks of everything that stands there, which is more than one thing only for headers: whether the answer is yes for
    /// any. No, when nothing stands there.
    fn each(&self, subject: &Subject<'_>, ask: &mut Ask<'_>) -> Result<bool, Fault> {
        let steps = &self.path.steps;
        match &self.path.field {
            Field::Value => match subject.value {
                Some(value) if self.may_be_in(value) => {
                    let found = subject.value_text().and_then(|text| lookup::find(text, steps));
                    found.map_or(Ok(false), |json| ask(&Found::json(json)))
                }
                _ => Ok(false),
            },
            Field::Text => ask(&Found::bytes(subject.value)),
            Field::Key => Self::text_or_json(subject.key, steps, ask),
            Field::Header(name) => {
                let mut first = None;
                for (_, value) in subject.headers.iter().filter(|(found, _)| *found == name.as_bytes()) {
                    match Self::text_or_json(value, steps, ask) {
                        Ok(true) => return Ok(true),
                        Ok(false) => {}
                        Err(fault) => first = first.or(Some(fault)),
                    }
                }
                first.map_or(Ok(false), Err)
            }
            Field::Partition => ask(&Found::Number(View::small(subject.partition.into()))),
            Field::Offset => ask(&Found::Number(View::small(subject.offset))),
            Field::Timestamp => ask(&Found::Number(View::small(subject.timestamp))),
            Field::Size => ask(&Found::Number(View::small(i64::try_from(subject.size()).unwrap_or(i64::MAX)))),
        }
    }

    fn text_or_json(bytes: Option<&[u8]>, steps: &[Step], ask: &mut Ask<'_>) -> Result<bool, Fault> {
        if steps.is_empty() {
            return ask(&Found::bytes(bytes));
        }
        let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.and_then(|text| lookup::find(text, steps)).map_or(Ok(false), |json| ask(&Found::json(json)))
    }

    /// Whether all needles are in `value`. JSON may write any character as an escape, so one backslash leaves it open.
    fn may_be_in(&self, value: &[u8]) -> bool {
        self.needles.iter().all(|needle| needle.find(value).is_some()) || memchr::memchr(b'\\', value).is_some()
    }
}

/// Whether JSON may write `text` as it is; what it has to escape comes with a backslash.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c >= ' ' && c != '"' && c != '\\')
}

impl<'a> Found<'a> {
    fn bytes(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::Null, Self::Bytes)
    }

    /// Of a JSON text that is known to be valid.
    fn json(json: &'a str) -> Self {
        match json.as_bytes() {
            [b'"', ..] => Self::Text(unescaped(json)),
            [b'{', ..] => Self::Object(json),
            [b'[', ..] => Self::Array(json),
            b"true" => Self::Bool(true),
            b"false" => Self::Bool(false),
            b"null" => Self::Null,
            _ => Self::Number(View::of(json)),
        }
    }

    /// As a number, if it can be meant as one.
    fn number(&self) -> Option<View<'_>> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok().filter(|text| is_number(text)).map(View::of),
            _ => None,
        }
    }

    fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) | Self::Bytes(_) => "a text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// The text that a JSON string stands for; one with half a surrogate pair stands for none, and is taken as it is written.
fn unescaped(json: &str) -> Cow<'_, [u8]> {
    let inner = &json[1..json.len() - 1];
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner.as_bytes());
    }
    match serde_json::from_str::<String>(json) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(inner.as_bytes()),
    }
}

fn compare(ours: &Found<'_>, operator: Operator, theirs: &Found<'_>, left: &Side, right: &Side) -> Result<bool, Fault> {
    let order = |expected: fn(Ordering) -> bool| match ordering(ours, theirs) {
        Some(ordering) => Ok(expected(ordering)),
        // Null is less than nothing: most often it is a field that is not there.
        None if matches!(ours, Found::Null) || matches!(theirs, Found::Null) => Ok(false),
        None => Err(impossible(ours, operator, theirs, left, right)),
    };
    match operator {
        Operator::Equal => equal(ours, theirs).ok_or_else(|| impossible(ours, operator, theirs, left, right)),
        Operator::Unequal => {
            equal(ours, theirs).map(|equal| !equal).ok_or_else(|| impossible(ours, operator, theirs, left, right))
        }
        Operator::Less => order(Ordering::is_lt),
        Operator::AtMost => order(Ordering::is_le),
        Operator::Greater => order(Ordering::is_gt),
        Operator::AtLeast => order(Ordering::is_ge),
        Operator::Contains => contains(ours, theirs).ok_or_else(|| impossible(ours, operator, theirs, left, right)),
    }
}

/// `None` for what can't be compared: arrays and objects.
fn equal(ours: &Found<'_>, theirs: &Found<'_>) -> Option<bool> {
    Some(match (ours, theirs) {
        (Found::Null, Found::Null) => true,
        (Found::Null, _) | (_, Found::Null) => false,
        (Found::Array(_) | Found::Object(_), _) | (_, Found::Array(_) | Found::Object(_)) => return None,
        (Found::Bool(ours), Found::Bool(theirs)) => ours == theirs,
        (Found::Bool(bool), Found::Bytes(bytes)) | (Found::Bytes(bytes), Found::Bool(bool)) => {
            *bytes == if *bool { "true".as_bytes() } else { b"false" }
        }
        _ => ordering(ours, theirs).is_some_and(Ordering::is_eq),
    })
}

/// Of two numbers or two texts.
fn ordering(ours: &Found<'_>, theirs: &Found<'_>) -> Option<Ordering> {
    match (ours.text(), theirs.text()) {
        (Some(ours), Some(theirs)) => Some(ours.cmp(theirs)),
        _ => Some(ours.number()?.compare(&theirs.number()?)),
    }
}

/// A text within a text, or an element of an array; `None` for anything else.
fn contains(ours: &Found<'_>, theirs: &Found<'_>) -> Option<bool> {
    match ours {
        Found::Null => Some(false),
        Found::Array(array) => {
            Some(lookup::elements(array).into_iter().any(|element| equal(&Found::json(element), theirs) == Some(true)))
        }
        _ => Some(memchr::memmem::find(ours.text()?, theirs.text()?).is_some()),
    }
}

fn impossible(ours: &Found<'_>, operator: Operator, theirs: &Found<'_>, left: &Side, right: &Side) -> Fault {
    let (ours, theirs, operator) = (ours.kind(), theirs.kind(), operator.symbol());
    fault(format_args!("{left} is {ours} and {right} is {theirs}; {operator} has no answer for that"))
}

fn fault(reason: fmt::Arguments<'_>) -> Fault {
    Fault(reason.to_string().into())
}

/// What `path` leads to, for people to read.
pub fn shown(path: &Path, subject: &Subject<'_>) -> Option<String> {
    let mut shown = None;
    let mut show = |found: &Found<'_>| {
        shown = Some(match found {
            Found::Null => "null".to_owned(),
            Found::Bool(bool) => bool.to_string(),
            Found::Number(number) => number.text().into_owned(),
            Found::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Found::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Found::Array(json) | Found::Object(json) => (*json).to_owned(),
        });
        Ok(true)
    };
    // Showing asks nothing that could have no answer.
    Place::new(path, None).each(subject, &mut show).ok()?;
    shown
}
