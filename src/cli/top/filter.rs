//! What names must match to be shown.

use regex::{Regex, RegexBuilder};

/// A regular expression that may be half typed. Its case counts once it has a capital letter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    text: String,
    regex: Option<Regex>,
}

impl Filter {
    /// Lets through what `text` matches anywhere in it; all, if it is empty. What is no regular expression is taken as it
    /// stands.
    pub fn new(text: &str) -> Self {
        let compile = |pattern: &str| {
            let has_capital = text.chars().any(char::is_uppercase);
            RegexBuilder::new(pattern).case_insensitive(!has_capital).build()
        };
        let regex = compile(text).or_else(|_| compile(&regex::escape(text))).ok();
        Self { text: text.to_owned(), regex: regex.filter(|_| !text.is_empty()) }
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `name` is shown.
    pub fn matches(&self, name: &str) -> bool {
        self.regex.as_ref().is_none_or(|regex| regex.is_match(name))
    }

    /// The same with one character more.
    pub fn with(&self, typed: char) -> Self {
        Self::new(&format!("{}{typed}", self.text))
    }

    /// The same without its last character.
    pub fn without_last(&self) -> Self {
        let end = self.text.char_indices().last().map_or(0, |(at, _)| at);
        Self::new(&self.text[..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_regular_expression_or_else_text() {
        assert!(Filter::default().matches("anything") && Filter::new("").matches(""));
        assert!(Filter::new("^ord.*v1$").matches("orders.v1") && !Filter::new("^rders").matches("orders.v1"));
        assert!(Filter::new("orders.(").matches("orders.(x") && !Filter::new("orders.(").matches("orders.v1"));
    }

    #[test]
    fn case_counts_once_a_capital_is_typed() {
        assert!(Filter::new("orders").matches("Orders") && !Filter::new("Orders").matches("orders"));
    }

    #[test]
    fn what_is_typed_is_taken_back_letter_by_letter() {
        let filter = Filter::new("o").with('é').with('x').without_last();
        assert_eq!(filter.text(), "oé");
        assert_eq!(filter.without_last().without_last().without_last().text(), "");
    }
}
