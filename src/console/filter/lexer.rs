//! From an expression's text to its tokens.

use super::ParseError;
use super::syntax::{Pattern, is_name};

/// A token, and the column where it begins, from 1, in characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub column: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `$`, and the word behind it, which may be empty.
    Root(String),
    /// `.name`
    Dot(String),
    /// `[0]`
    Index(usize),
    /// `["name"]`
    Quoted(String),
    /// `"text"`
    Text(String),
    /// `/text/`
    Pattern(Pattern),
    /// A number's text; the parser judges it.
    Number(String),
    /// A word: `true`, `contains`, …
    Word(String),
    /// An operator, a parenthesis or a comma.
    Symbol(&'static str),
    /// Nothing more.
    End,
}

/// The longest symbols first.
const SYMBOLS: [&str; 14] = ["==", "!=", "<=", ">=", "=~", "!~", "&&", "||", "<", ">", "!", "(", ")", ","];

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    column: usize,
}

/// All tokens of `text`, [`Kind::End`] last.
pub fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer { text, at: 0, column: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.take_while(char::is_whitespace);
        let column = lexer.column;
        let kind = lexer.next()?;
        let last = kind == Kind::End;
        tokens.push(Token { kind, column });
        if last {
            return Ok(tokens);
        }
    }
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.column += 1;
        Some(c)
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.peek() == Some(wanted) && self.bump().is_some()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.bump();
        }
        &self.text[start..self.at]
    }

    fn expected<T>(&self, what: &str) -> Result<T, ParseError> {
        Err(ParseError::new(self.column, format!("expected {what}")))
    }

    fn next(&mut self) -> Result<Kind, ParseError> {
        let Some(c) = self.peek() else { return Ok(Kind::End) };
        match c {
            '$' => {
                self.bump();
                Ok(Kind::Root(self.take_while(is_name).to_owned()))
            }
            '.' => {
                self.bump();
                match self.take_while(is_name) {
                    "" => self.expected(r#"a name behind the dot; odd ones go into brackets: ["odd name"]"#),
                    name => Ok(Kind::Dot(name.to_owned())),
                }
            }
            '[' => self.bracket(),
            '"' => self.string().map(Kind::Text),
            '/' => self.pattern().map(Kind::Pattern),
            '-' | '0'..='9' => {
                let number = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-');
                Ok(Kind::Number(self.take_while(number).to_owned()))
            }
            c if c.is_alphabetic() || c == '_' => Ok(Kind::Word(self.take_while(is_name).to_owned())),
            c => {
                let rest = &self.text[self.at..];
                let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) else {
                    return self.expected(&format!("a path such as $.level, a value or an operator, not {c:?}"));
                };
                self.at += symbol.len();
                self.column += symbol.len();
                Ok(Kind::Symbol(symbol))
            }
        }
    }

    fn bracket(&mut self) -> Result<Kind, ParseError> {
        self.bump();
        let step = if self.peek() == Some('"') {
            Kind::Quoted(self.string()?)
        } else {
            match self.take_while(|c| c.is_ascii_digit()).parse() {
                Ok(index) => Kind::Index(index),
                Err(_) => return self.expected(r#"a number or a name in quotes: [0] or ["name"]"#),
            }
        };
        if self.eat(']') { Ok(step) } else { self.expected("]") }
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.bump();
        let mut text = String::new();
        loop {
            let column = self.column;
            match self.bump() {
                None => return self.expected("a quotation mark that ends the text"),
                Some('"') => return Ok(text),
                Some('\\') => {
                    let escape = self.escape();
                    let explain = || {
                        ParseError::new(
                            column,
                            r#"expected \" \\ \/ \b \f \n \r \t or \u and four digits; a backslash itself is \\"#,
                        )
                    };
                    text.push(escape.ok_or_else(explain)?);
                }
                Some(c) => text.push(c),
            }
        }
    }

    /// What stands behind a backslash, as in JSON.
    fn escape(&mut self) -> Option<char> {
        Some(match self.bump()? {
            c @ ('"' | '\\' | '/') => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.unit()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first);
                }
                let second = (self.eat('\\') && self.eat('u')).then(|| self.unit())??;
                let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low)?
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit * 16 + self.bump()?.to_digit(16)?))
    }

    fn pattern(&mut self) -> Result<Pattern, ParseError> {
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return self.expected("a slash that ends the pattern; one within it is written \\/"),
                Some('/') => return Ok(Pattern { text, insensitive: self.eat('i') }),
                Some('\\') => match self.bump() {
                    Some('/') => text.push('/'),
                    Some(c) => text.extend(['\\', c]),
                    None => {}
                },
                Some(c) => text.push(c),
            }
        }
    }
}
