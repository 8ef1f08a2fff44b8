//! What a request for messages asks for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cut::Cut;
use crate::console::decode::Format;
use crate::console::refusal::Refusal;
use crate::kafka::fetch::Isolation;
use crate::time;

/// Records of a page, or found by a search, unless the reader wants another number.
const DEFAULT_LIMIT: usize = 50;
/// The most of them.
const MAX_LIMIT: usize = 500;

/// What is looked at, in which order, and how it is shown. An address with it shows the same to everyone.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Query {
    /// A search: text, `/regular expression/`, or an expression such as `$.level == "ERROR"`.
    pub q: String,
    /// Whether text and patterns match only in the case they are written in.
    pub case: bool,
    /// Where to begin, and with it the order.
    pub from: From,
    /// The offset or the time to begin at.
    pub at: String,
    /// Only records from this time on: RFC 3339, milliseconds, or how long ago (`15m`).
    pub since: String,
    /// Only records before this time.
    pub until: String,
    /// Only this partition.
    pub partition: Option<i32>,
    /// The page that ends here: `older` of another page.
    pub before: Option<String>,
    /// The page that begins here: `newer` of another page.
    pub after: Option<String>,
    /// How many records; 50, and at most 500.
    pub limit: Option<usize>,
    /// Places in the records to show as columns, with commas between them: `$.level,$key.id`.
    pub columns: String,
    /// How keys are read.
    pub key: Format,
    /// How values are read.
    pub value: Format,
    /// Whether records of aborted and open transactions are there, too.
    pub transactions: Transactions,
    /// For pages: the search is done by the page's script.
    pub live: bool,
    /// For the stream of a search: goes on with what comes from now on.
    pub follow: bool,
    /// For the stream of a search: what is sent of each record.
    pub view: ViewKind,
    /// For the export: how it is written.
    pub format: ExportFormat,
}

/// Where a page begins, and the order of its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
    /// From this offset of each partition on.
    Offset,
    /// From this time on.
    Time,
}

/// Which records of transactions are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transactions {
    /// All of them; the aborted ones are marked.
    #[default]
    All,
    /// Those of committed transactions, as most consumers see them.
    Committed,
}

/// What a search sends of each record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ViewKind {
    /// The record.
    #[default]
    Records,
    /// A row of the page's table.
    Rows,
}

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// JSON, a record a line.
    #[default]
    Ndjson,
    /// Comma-separated values (RFC 4180).
    Csv,
}

impl From {
    /// All of them, with their names in addresses and for people.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Newest, "newest", "Newest first"),
        (Self::Oldest, "oldest", "Oldest first"),
        (Self::Offset, "offset", "From an offset"),
        (Self::Time, "time", "From a time"),
    ];
}

impl Query {
    /// How many records, within bounds.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
    }

    /// Whether the newest records come first.
    pub fn is_newest_first(&self) -> bool {
        self.from == From::Newest
    }

    /// Whether it is of `partition` alone.
    pub fn is_of(&self, partition: &i32) -> bool {
        self.partition == Some(*partition)
    }

    /// Whether so many records are wanted.
    pub fn has_limit(&self, limit: &usize) -> bool {
        self.limit() == *limit
    }

    /// Whether there is anything of what is seldom asked for.
    pub fn has_more(&self) -> bool {
        let Self { since, until, key, value, transactions, .. } = self;
        let plain = since.is_empty() && until.is_empty() && *key == Format::Auto && *value == Format::Auto;
        !plain || *transactions != Transactions::All
    }

    /// What of transactions is read.
    pub fn isolation(&self) -> Isolation {
        match self.transactions {
            Transactions::All => Isolation::All,
            Transactions::Committed => Isolation::Committed,
        }
    }
}

/// Reads a time in milliseconds since the epoch; `None` of an empty text.
///
/// # Errors
/// It is none, in words for the field.
pub fn millis(field: &'static str, text: &str) -> Result<Option<i64>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    match time::parse(text) {
        Ok(time) => Ok(Some(time.as_millisecond().max(0))),
        Err(reason) => Err(Refusal::field(field, format!("{field}: {reason}"))),
    }
}

/// Reads a place between records; `None` when none was given.
///
/// # Errors
/// It is none.
pub fn cut(field: &'static str, text: Option<&str>) -> Result<Option<Cut>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let explain = || Refusal::field(field, format!("{field}: {text:?} is no place that a page of this topic named"));
    Cut::parse(text).map(Some).ok_or_else(explain)
}

/// `query` with these values in it instead of those it has; `None` takes a name out. Begins with a question mark, unless
/// nothing is left.
pub fn with(query: &str, changes: &[(&str, Option<&str>)]) -> String {
    let mut written = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if !value.is_empty() && changes.iter().all(|(changed, _)| *changed != name) {
            written.append_pair(&name, &value);
        }
    }
    for (name, value) in changes {
        if let Some(value) = value {
            written.append_pair(name, value);
        }
    }
    let written = written.finish();
    if written.is_empty() { written } else { format!("?{written}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_change_only_where_they_are_told() {
        let query = "q=%24.a+%3D%3D+1&before=1.2&columns=&limit=20";
        assert_eq!(with(query, &[("before", Some("0.1")), ("after", None)]), "?q=%24.a+%3D%3D+1&limit=20&before=0.1");
        assert_eq!(with("live=true", &[("live", None)]), "");
    }

    #[test]
    fn limits_have_bounds() {
        let limit = |limit| Query { limit, ..Query::default() }.limit();
        assert_eq!((limit(None), limit(Some(0)), limit(Some(7)), limit(Some(1_000_000))), (50, 1, 7, 500));
    }

    #[test]
    fn what_is_no_time_or_place_names_its_field() {
        assert_eq!(millis("since", "soon").unwrap_err().field, Some("since"));
        assert_eq!(millis("since", "2026-01-31T12:00:00Z").unwrap(), Some(1_769_860_800_000));
        assert_eq!(cut("before", Some("a.-1")).unwrap_err().field, Some("before"));
        assert_eq!(cut("before", None).unwrap(), None);
    }
}
