//! A record as a row of a table.

use std::sync::Arc;

use askama::Template;

use super::query::Query;
use super::reader::Item;
use crate::console::decode::{self, Format, Markup};
use crate::console::filter::{Column, Filter, ParseError, Subject};
use crate::console::{human, topics};
use crate::kafka::fetch::Record;

/// Characters of a column.
const COLUMN: usize = 120;

/// A row.
pub struct Row {
    /// Its partition.
    pub partition: i32,
    /// Its offset; of a piece that can't be read, the first.
    pub offset: i64,
    /// The address of its own page.
    pub address: String,
    /// Its time; `None` for what has none.
    pub time: Option<Moment>,
    /// What is in it.
    pub content: Content,
}

/// What a row shows.
pub enum Content {
    /// Of a record.
    Record {
        /// The key.
        key: Markup,
        /// The columns that were asked for instead of the value.
        columns: Vec<Markup>,
        /// The value, when no columns were asked for.
        value: Option<Markup>,
        /// The bytes of the value.
        size: String,
        /// How many headers it has.
        headers: usize,
        /// Whether its transaction was aborted.
        aborted: bool,
    },
    /// Why it can't be read, up to which offset.
    Unreadable {
        /// The last offset.
        last: i64,
        /// Why.
        reason: String,
        /// How many columns it takes.
        width: usize,
    },
}

/// A moment in time.
pub struct Moment {
    /// For machines.
    pub iso: String,
    /// For people.
    pub text: String,
}

impl Moment {
    /// Of milliseconds since the epoch; `None` before it, which is how Kafka says "none".
    pub fn new(millis: i64) -> Option<Self> {
        (millis >= 0).then(|| Self { iso: human::iso(millis), text: human::moment(millis) })
    }
}

/// How rows are made.
pub struct Rows {
    address: String,
    key: Format,
    value: Format,
    columns: Vec<Column>,
    search: Option<Arc<Filter>>,
}

impl Rows {
    /// Rows as `query` wants them, with what `search` finds marked.
    ///
    /// # Errors
    /// The columns are no paths.
    pub fn new(topic: &str, query: &Query, search: Option<Arc<Filter>>) -> Result<Self, ParseError> {
        let columns = Column::parse_all(&query.columns)?;
        Ok(Self { address: topics::address(topic), key: query.key, value: query.value, columns, search })
    }

    /// The names of the columns.
    pub fn columns(&self) -> Vec<String> {
        self.columns.iter().map(Column::to_string).collect()
    }

    /// The row of an item.
    pub fn row(&self, partition: i32, item: Item<'_>) -> Row {
        let (offset, time, content) = match item {
            Item::Record(record) => (record.offset, Moment::new(record.timestamp), self.content(partition, record)),
            Item::Unreadable(piece) => {
                let (last, reason) = (piece.last_offset, piece.reason.clone());
                // The key, the headers and the size, and the columns or the value.
                let width = 3 + self.columns.len().max(1);
                (piece.base_offset, None, Content::Unreadable { last, reason, width })
            }
        };
        let address = format!("{}/messages/{partition}/{offset}", self.address);
        Row { partition, offset, address, time, content }
    }

    fn content(&self, partition: i32, record: &Record) -> Content {
        let subject = Subject::new(partition, record);
        let column = |column: &Column| {
            let mut shown = Markup::default();
            if let Some(text) = column.of(&subject) {
                let end = text.char_indices().nth(COLUMN).map_or(text.len(), |(end, _)| end);
                shown.visible(&text[..end]);
                shown.raw(if end < text.len() { "<span class=\"more\">…</span>" } else { "" });
            }
            shown
        };
        let columns: Vec<Markup> = self.columns.iter().map(column).collect();
        let whole = columns.is_empty();
        Content::Record {
            key: self.preview(record.key.as_deref(), self.key),
            value: whole.then(|| self.preview(record.value.as_deref(), self.value)),
            columns,
            size: record
                .value
                .as_ref()
                .map_or_else(|| human::UNKNOWN.to_owned(), |value| human::size(Some(value.len() as u64))),
            headers: record.headers.len(),
            aborted: record.aborted,
        }
    }

    fn preview(&self, bytes: Option<&[u8]>, format: Format) -> Markup {
        let found = bytes.zip(self.search.as_deref()).and_then(|(bytes, search)| search.find(bytes));
        decode::preview(bytes, format, found)
    }
}

/// A row alone, for a script to put into a table.
#[derive(Template)]
#[template(path = "console/messages/row.html")]
pub struct RowHtml<'a> {
    /// The row.
    pub row: &'a Row,
}
