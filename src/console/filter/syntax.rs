//! What an expression consists of, and how it is written: what [`Display`] writes, the parser reads back the same.

use std::fmt::{self, Display, Formatter, Write};

use super::number::Number;

/// A condition on a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// `a && b && …`
    All(Vec<Expression>),
    /// `a || b || …`
    Any(Vec<Expression>),
    /// `!(a)`
    Not(Box<Expression>),
    /// `$.a exists`
    Exists(Path),
    /// `$.a == 1`
    Compare {
        /// Before the operator.
        left: Operand,
        /// Which one.
        operator: Operator,
        /// Behind it.
        right: Operand,
    },
    /// `$.a =~ /text/`, or `!~` when negated.
    Matches {
        /// What is looked at.
        path: Path,
        /// What it must look like.
        pattern: Pattern,
        /// Whether it must not.
        negated: bool,
    },
}

/// A side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// Something of the record.
    Path(Path),
    /// Something written down.
    Literal(Literal),
}

/// How two sides are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `contains`: a text within a text, or an element of an array.
    Contains,
}

/// A value written down.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `"text"`
    Text(String),
    /// `-1.5e3`
    Number(Number),
    /// `true`, `false`
    Bool(bool),
    /// `null`
    Null,
}

/// A regular expression, known to be a valid one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As it is written between the slashes, with no `\/` in it.
    pub text: String,
    /// Whether upper and lower case are the same: `/text/i`.
    pub insensitive: bool,
}

/// A place in a record: `$.a.b[0]["odd name"]`, `$key`, `$header.name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The part of the record.
    pub field: Field,
    /// The way into its JSON; empty for what has none.
    pub steps: Vec<Step>,
}

/// A part of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `$`: the value as JSON.
    Value,
    /// `$value`: the value as text.
    Text,
    /// `$key`: as text, or as JSON when steps lead into it.
    Key,
    /// `$header.name`: likewise; of several with one name, any may match.
    Header(String),
    /// `$partition`
    Partition,
    /// `$offset`
    Offset,
    /// `$timestamp`, in milliseconds since the epoch.
    Timestamp,
    /// `$size`: the bytes of key, value and headers.
    Size,
}

/// One step into JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `.name` or `["name"]`
    Name(String),
    /// `[0]`
    Index(usize),
}

impl Operator {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Contains => "contains",
        }
    }
}

/// Whether `c` may stand in a name without quotes. Hyphens may: header names are full of them.
pub fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '@')
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut Formatter<'_>, parts: &[Expression], operator: &str| {
            for (place, part) in parts.iter().enumerate() {
                if place > 0 {
                    write!(f, " {operator} ")?;
                }
                match part {
                    Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(parts) => joined(f, parts, "&&"),
            Self::Any(parts) => joined(f, parts, "||"),
            Self::Not(inner) => write!(f, "!({inner})"),
            Self::Exists(path) => write!(f, "{path} exists"),
            Self::Compare { left, operator, right } => write!(f, "{left} {} {right}", operator.symbol()),
            Self::Matches { path, pattern, negated } => {
                write!(f, "{path} {} {pattern}", if *negated { "!~" } else { "=~" })
            }
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Literal(literal) => literal.fmt(f),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => quoted(f, text),
            Self::Number(number) => number.fmt(f),
            Self::Bool(bool) => bool.fmt(f),
            Self::Null => f.write_str("null"),
        }
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('/')?;
        let mut escaped = false;
        for c in self.text.chars() {
            if c == '/' && !escaped {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
            escaped = c == '\\' && !escaped;
        }
        f.write_str(if self.insensitive { "/i" } else { "/" })
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.field {
            Field::Value => f.write_str("$")?,
            Field::Text => f.write_str("$value")?,
            Field::Key => f.write_str("$key")?,
            Field::Header(name) => {
                f.write_str("$header")?;
                named(f, name)?;
            }
            Field::Partition => f.write_str("$partition")?,
            Field::Offset => f.write_str("$offset")?,
            Field::Timestamp => f.write_str("$timestamp")?,
            Field::Size => f.write_str("$size")?,
        }
        for step in &self.steps {
            match step {
                Step::Name(name) => named(f, name)?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn named(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    if !name.is_empty() && name.chars().all(is_name) {
        return write!(f, ".{name}");
    }
    f.write_char('[')?;
    quoted(f, name)?;
    f.write_char(']')
}

/// As JSON writes a text.
fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}
