//! Which letters are meant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kafka::dead_letter::letter::Letter;

/// Which letters are meant; what is not given does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Filter {
    /// The kind of error: the error with # for numbers and ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The topic that they came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The group that gave up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// A text in the error, the key or the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
}

impl Filter {
    /// Whether `letter` is meant.
    pub fn wants(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found.unwrap_or_default() == wanted)
        };
        is(&self.origin, letter.origin.as_deref())
            && is(&self.group, letter.group.as_deref())
            && self.error.as_deref().is_none_or(|wanted| letter.kind() == wanted)
            && self.q.as_deref().is_none_or(|text| has(letter, text.as_bytes()))
    }

    /// It as a query of an address.
    pub fn query(&self) -> String {
        // Plain texts always have a form.
        serde_html_form::to_string(self).unwrap_or_default()
    }

    /// What is given, by name, as the hidden fields of a form.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let named = [("error", &self.error), ("origin", &self.origin), ("group", &self.group), ("q", &self.q)];
        named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }

    /// What it says, for people.
    pub fn words(&self) -> Vec<String> {
        let word = |name| match name {
            "origin" => "from",
            "q" => "with",
            name => name,
        };
        self.fields().into_iter().map(|(name, value)| format!("{} {value}", word(name))).collect()
    }
}

fn has(letter: &Letter, text: &[u8]) -> bool {
    let fields = [letter.error.as_deref().map(str::as_bytes), letter.key.as_deref(), letter.value.as_deref()];
    fields.into_iter().flatten().any(|field| memchr::memmem::find(field, text).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_meant_when_all_that_is_given_fits() {
        let letter = Letter {
            error: Some("no price for 17".into()),
            origin: Some("orders".into()),
            group: Some("billing".into()),
            value: Some("{\"id\":4711}".into()),
            ..Letter::default()
        };
        let filter = |error: Option<&str>, origin: Option<&str>, q: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            Filter { error: owned(error), origin: owned(origin), group: None, q: owned(q) }.wants(&letter)
        };
        assert!(filter(None, None, None));
        assert!(filter(Some("no price for #"), Some("orders"), Some("4711")));
        assert!(!filter(Some("no price for 17"), None, None), "kinds are asked for, not errors");
        assert!(!filter(None, Some("payments"), None));
        assert!(!filter(None, None, Some("4712")));
        assert!(Filter { group: Some("billing".into()), ..Filter::default() }.wants(&letter));
    }
}
