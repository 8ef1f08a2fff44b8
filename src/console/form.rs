//! The fields of a form, as the browser sent them.

use serde::de::DeserializeOwned;

use super::refusal::Refusal;

/// Fields in their order; names may repeat.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The fields of a form. Browsers send every line break as two characters; a reader typed one.
    pub fn new(fields: Vec<(String, String)>) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name, value.replace("\r\n", "\n"))).collect())
    }

    /// The value of `name`; empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// All values of `name`, in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The value of `name`, unless it is empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// The value of `name` as a number, unless it is empty.
    ///
    /// # Errors
    /// It is none.
    pub fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.given(name) else { return Ok(None) };
        let text = text.replace([',', ' '], "");
        text.parse().map(Some).map_err(|_| Refusal::field(name, format!("expected a whole number, not {text:?}")))
    }

    /// The fields as a value; those that are empty count as not given.
    ///
    /// # Errors
    /// A value has the wrong form.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let given = self.0.iter().filter(|(_, value)| !value.is_empty());
        let given = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
        serde_html_form::from_str(&given).map_err(|error| Refusal::bad_request(format!("the form: {error}")))
    }
}

/// Refuses what destroys unless the name of what is destroyed was typed.
///
/// # Errors
/// Something else was typed.
pub fn confirmed(typed: &str, name: &str) -> Result<(), Refusal> {
    if typed.trim() == name { Ok(()) } else { Err(Refusal::field("confirm", format!("type {name} to confirm"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_what_was_typed() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = Fields::new(vec![field("a", "1\r\n2"), field("n", " 1,000 "), field("a", ""), field("bad", "x")]);
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1\n2", ""]);
        assert_eq!((fields.text("missing"), fields.given("missing")), ("", None));
        assert_eq!(fields.number::<u32>("n").unwrap(), Some(1_000));
        assert_eq!(fields.number::<u32>("bad").unwrap_err().field, Some("bad"));
    }

    #[test]
    fn only_the_name_confirms() {
        assert!(confirmed(" orders ", "orders").is_ok());
        assert!(confirmed("", "orders").is_err() && confirmed("order", "orders").is_err());
    }
}
