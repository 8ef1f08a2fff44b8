//! From tokens to an [`Expression`].
//!
//! ```text
//! any        = all { "||" all }
//! all        = term { "&&" term }
//! term       = "!" term | "(" any ")" | comparison
//! comparison = operand ( "==" | "!=" | "<" | "<=" | ">" | ">=" | "contains" ) operand
//!            | path ( "=~" | "!~" ) ( /pattern/ | "pattern" )
//!            | path "exists"
//! ```

use jiff::Timestamp;

use super::lexer::{Kind, Token, tokens};
use super::number::Number;
use super::syntax::{Expression, Field, Literal, Operand, Operator, Path, Pattern, Step};
use super::{ParseError, regex};

/// Parentheses and negations within each other: far more than anyone writes, far less than the stack bears.
const MAX_DEPTH: usize = 50;
/// Comparisons in one expression.
const MAX_TERMS: usize = 200;
/// The paths there are, for errors.
const ROOTS: &str = "$.field, $key, $value, $header.name, $partition, $offset, $timestamp or $size";

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
    terms: usize,
}

/// Reads an expression.
pub fn expression(text: &str) -> Result<Expression, ParseError> {
    let mut parser = Parser::new(text)?;
    let expression = parser.any()?;
    match parser.peek() {
        Kind::End => Ok(expression),
        _ => parser.expected("&&, || or the end"),
    }
}

/// Reads paths with commas between them; none of an empty text.
pub fn paths(text: &str) -> Result<Vec<Path>, ParseError> {
    let mut parser = Parser::new(text)?;
    let mut paths = Vec::new();
    if *parser.peek() == Kind::End {
        return Ok(paths);
    }
    loop {
        paths.push(parser.path()?);
        if !parser.eat(",") {
            break;
        }
    }
    match parser.peek() {
        Kind::End => Ok(paths),
        _ => parser.expected("a comma or the end"),
    }
}

impl Parser {
    fn new(text: &str) -> Result<Self, ParseError> {
        Ok(Self { tokens: tokens(text)?.into_iter().peekable(), depth: 0, terms: 0 })
    }

    fn peek(&mut self) -> &Kind {
        self.tokens.peek().map_or(&Kind::End, |token| &token.kind)
    }

    fn column(&mut self) -> usize {
        self.tokens.peek().map_or(0, |token| token.column)
    }

    /// The next token; the end stays where it is, so that there is always one more.
    fn next(&mut self) -> Kind {
        match self.tokens.next_if(|token| token.kind != Kind::End) {
            Some(token) => token.kind,
            None => Kind::End,
        }
    }

    fn eat(&mut self, symbol: &str) -> bool {
        self.tokens.next_if(|token| matches!(token.kind, Kind::Symbol(found) if found == symbol)).is_some()
    }

    fn expected<T>(&mut self, what: &str) -> Result<T, ParseError> {
        Err(ParseError::new(self.column(), format!("expected {what}")))
    }

    fn any(&mut self) -> Result<Expression, ParseError> {
        self.joined("||", Self::all, Expression::Any)
    }

    fn all(&mut self) -> Result<Expression, ParseError> {
        self.joined("&&", Self::term, Expression::All)
    }

    fn joined(
        &mut self,
        operator: &str,
        part: fn(&mut Self) -> Result<Expression, ParseError>,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, ParseError> {
        let first = part(self)?;
        if !self.eat(operator) {
            return Ok(first);
        }
        let mut parts = vec![first];
        loop {
            parts.push(part(self)?);
            if !self.eat(operator) {
                return Ok(join(parts));
            }
        }
    }

    fn term(&mut self) -> Result<Expression, ParseError> {
        let column = self.column();
        self.depth += 1;
        self.terms += 1;
        if self.depth > MAX_DEPTH || self.terms > MAX_TERMS {
            return Err(ParseError::new(
                column,
                format!("expected fewer than {MAX_TERMS} comparisons, {MAX_DEPTH} deep"),
            ));
        }
        let term = if self.eat("!") {
            Expression::Not(Box::new(self.term()?))
        } else if self.eat("(") {
            let inner = self.any()?;
            if !self.eat(")") {
                return self.expected("), && or ||");
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(term)
    }

    fn comparison(&mut self) -> Result<Expression, ParseError> {
        let start = self.column();
        let left = self.operand()?;
        let column = self.column();
        let operator = match self.next() {
            Kind::Symbol("==") => Operator::Equal,
            Kind::Symbol("!=") => Operator::Unequal,
            Kind::Symbol("<") => Operator::Less,
            Kind::Symbol("<=") => Operator::AtMost,
            Kind::Symbol(">") => Operator::Greater,
            Kind::Symbol(">=") => Operator::AtLeast,
            Kind::Word(word) if word == "contains" => Operator::Contains,
            Kind::Symbol(symbol @ ("=~" | "!~")) => {
                let Operand::Path(path) = left else {
                    return Err(ParseError::new(start, format!("expected {ROOTS} before {symbol}")));
                };
                return Ok(Expression::Matches { path, pattern: self.pattern()?, negated: symbol == "!~" });
            }
            Kind::Word(word) if word == "exists" => {
                let Operand::Path(path) = left else {
                    return Err(ParseError::new(start, format!("expected {ROOTS} before exists")));
                };
                return Ok(Expression::Exists(path));
            }
            _ => {
                return Err(ParseError::new(column, "expected an operator: == != < <= > >= =~ !~ contains or exists"));
            }
        };
        let behind = self.column();
        let right = self.operand()?;
        if let (Operand::Literal(_), Operand::Literal(_)) = (&left, &right) {
            return Err(ParseError::new(start, format!("expected {ROOTS} on one side")));
        }
        let left = timed(left, &right).map_err(|reason| ParseError::new(start, reason))?;
        let right = timed(right, &left).map_err(|reason| ParseError::new(behind, reason))?;
        Ok(Expression::Compare { left, operator, right })
    }

    fn operand(&mut self) -> Result<Operand, ParseError> {
        let column = self.column();
        let literal = match self.peek() {
            Kind::Root(_) => return self.path().map(Operand::Path),
            Kind::Text(_) | Kind::Number(_) | Kind::Word(_) => self.next(),
            _ => return self.expected(&format!("{ROOTS}, or a text in quotes, a number, true, false or null")),
        };
        let literal = match literal {
            Kind::Text(text) => Some(Literal::Text(text)),
            Kind::Number(text) => Number::parse(&text).map(Literal::Number),
            Kind::Word(word) => match &*word {
                "true" => Some(Literal::Bool(true)),
                "false" => Some(Literal::Bool(false)),
                "null" => Some(Literal::Null),
                _ => None,
            },
            _ => None,
        };
        let explain = || ParseError::new(column, "expected a text in quotes, a number as in JSON, true, false or null");
        literal.map(Operand::Literal).ok_or_else(explain)
    }

    fn pattern(&mut self) -> Result<Pattern, ParseError> {
        let column = self.column();
        let pattern = match self.next() {
            Kind::Pattern(pattern) => pattern,
            Kind::Text(text) => Pattern { text: without_escaped_slashes(&text), insensitive: false },
            _ => return Err(ParseError::new(column, "expected a pattern: /text/ or \"text\"")),
        };
        regex(&pattern).map_err(|reason| ParseError::new(column, reason))?;
        Ok(pattern)
    }

    fn path(&mut self) -> Result<Path, ParseError> {
        let column = self.column();
        let Kind::Root(root) = self.next() else {
            return Err(ParseError::new(column, format!("expected {ROOTS}")));
        };
        let mut steps = Vec::new();
        while let Kind::Dot(_) | Kind::Index(_) | Kind::Quoted(_) = self.peek() {
            steps.push(match self.next() {
                Kind::Dot(name) | Kind::Quoted(name) => Step::Name(name),
                Kind::Index(index) => Step::Index(index),
                _ => break,
            });
        }
        let field = match &*root {
            "" => Field::Value,
            "key" => Field::Key,
            "value" => Field::Text,
            "header" => match steps.first() {
                Some(Step::Name(name)) => {
                    let name = name.clone();
                    steps.remove(0);
                    Field::Header(name)
                }
                _ => {
                    let what = r#"expected a header's name: $header.name or $header["odd name"]"#;
                    return Err(ParseError::new(column, what));
                }
            },
            "partition" => Field::Partition,
            "offset" => Field::Offset,
            "timestamp" => Field::Timestamp,
            "size" => Field::Size,
            _ => return Err(ParseError::new(column, format!("expected {ROOTS}; not ${root}"))),
        };
        let leads_nowhere = !matches!(field, Field::Value | Field::Key | Field::Header(_)) && !steps.is_empty();
        if leads_nowhere {
            let what = format!("expected nothing behind ${root}; the JSON in the value begins with $. alone");
            return Err(ParseError::new(column, what));
        }
        Ok(Path { field, steps })
    }
}

/// A text beside `$timestamp` is a time.
fn timed(operand: Operand, other: &Operand) -> Result<Operand, String> {
    match (operand, other) {
        (Operand::Literal(Literal::Text(text)), Operand::Path(Path { field: Field::Timestamp, .. })) => {
            match text.parse::<Timestamp>() {
                Ok(time) => Ok(Operand::Literal(Literal::Number(time.as_millisecond().into()))),
                Err(_) => Err("expected a time such as \"2026-01-31T12:00:00Z\", or milliseconds".to_owned()),
            }
        }
        (operand, _) => Ok(operand),
    }
}

/// `\/` means `/` to a regular expression, too; with one way to write it, what is printed reads back the same.
fn without_escaped_slashes(text: &str) -> String {
    let (mut plain, mut chars) = (String::new(), text.chars().peekable());
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('/')) => {}
            ('\\', Some(_)) => plain.extend([Some(c), chars.next()].into_iter().flatten()),
            _ => plain.push(c),
        }
    }
    plain
}
