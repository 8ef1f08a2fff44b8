//! A table as it stands: sorted, with a cursor, and with text for what has room.

use jiff::tz::TimeZone;

use super::columns::{Cell, Column, Row};
use super::cursor::{Cursor, first_shown};

/// How somebody looks at a table.
#[derive(Clone, Debug)]
pub struct View {
    /// The row.
    pub cursor: Cursor,
    /// The column that it is sorted by.
    pub sorted_by: usize,
    /// Whether what would come first comes last.
    pub is_reversed: bool,
}

impl View {
    /// At the first row, in the usual order.
    pub fn of<R: Row>() -> Self {
        Self { cursor: Cursor::default(), sorted_by: R::SORTED_BY, is_reversed: false }
    }
}

/// A table.
pub struct Sheet {
    /// The columns.
    pub heads: Vec<Head>,
    /// The column that it is sorted by, and whether the other way round.
    pub sorted_by: (usize, bool),
    /// What makes each row the same at the next look.
    pub keys: Vec<String>,
    /// The row of the cursor.
    pub at: usize,
    /// The first row that is shown.
    pub first: usize,
    /// The cells of those that are shown.
    pub rows: Vec<Vec<Cell>>,
}

/// A column without its rows.
pub struct Head {
    /// Its title.
    pub title: &'static str,
    /// How wide it is; 0 for what is left.
    pub width: u16,
    /// Whether it stands at the right.
    pub is_number: bool,
    /// When it gives way.
    pub rank: u8,
    /// Whether it can be sorted by.
    pub is_sortable: bool,
}

impl Sheet {
    /// `rows` as they are looked at, `height` of them with their text.
    pub fn new<R: Row>(mut rows: Vec<&R>, view: &View, height: usize, zone: &TimeZone) -> Self {
        if let Some(order) = R::COLUMNS.get(view.sorted_by).and_then(|column| column.order) {
            // The sort is stable: what is alike stays in the order of names that it comes in.
            match view.is_reversed {
                false => rows.sort_by(|a, b| order(a, b)),
                true => rows.sort_by(|a, b| order(b, a)),
            }
        }
        let keys: Vec<String> = rows.iter().map(|row| row.key().into_owned()).collect();
        let at = view.cursor.at(&keys);
        let first = first_shown(at, rows.len(), height);
        let cells = |row: &&R| R::COLUMNS.iter().map(|column| (column.cell)(row, zone)).collect();
        Self {
            heads: R::COLUMNS.iter().map(head).collect(),
            sorted_by: (view.sorted_by, view.is_reversed),
            at,
            first,
            rows: rows.iter().skip(first).take(height).map(cells).collect(),
            keys,
        }
    }

    /// The key of the row of the cursor.
    pub fn selected(&self) -> Option<&str> {
        self.keys.get(self.at).map(String::as_str)
    }

    /// The next column that can be sorted by.
    pub fn next_order(&self) -> usize {
        let (current, count) = (self.sorted_by.0, self.heads.len());
        let mut following = (1..=count).map(|step| (current + step) % count);
        following.find(|column| self.heads[*column].is_sortable).unwrap_or(current)
    }
}

fn head<R>(column: &Column<R>) -> Head {
    let Column { title, width, is_number, rank, order, .. } = *column;
    Head { title, width, is_number, rank, is_sortable: order.is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::facts::TopicRow;

    fn topics() -> Vec<TopicRow> {
        let topic =
            |(name, written): (&str, Option<f64>)| TopicRow { topic: name.to_owned(), written, ..TopicRow::default() };
        [("a", None), ("b", Some(5.0)), ("c", Some(70.0)), ("d", Some(5.0))].into_iter().map(topic).collect()
    }

    fn sheet(view: &View, height: usize) -> Sheet {
        Sheet::new(topics().iter().collect(), view, height, &TimeZone::UTC)
    }

    #[test]
    fn the_busiest_come_first_and_last_those_of_which_nothing_is_known() {
        let mut view = View::of::<TopicRow>();
        assert_eq!(sheet(&view, 0).keys, ["c", "b", "d", "a"]);
        view.is_reversed = true;
        assert_eq!(sheet(&view, 0).keys, ["a", "b", "d", "c"]);
        view = View { sorted_by: 0, is_reversed: false, ..view };
        assert_eq!(sheet(&view, 0).keys, ["a", "b", "c", "d"]);
    }

    #[test]
    fn only_what_has_room_is_written_out() {
        let mut view = View::of::<TopicRow>();
        view.cursor.move_by(3, &sheet(&view, 0).keys);
        let sheet = sheet(&view, 2);
        assert_eq!((sheet.first, sheet.rows.len(), sheet.selected()), (2, 2, Some("a")));
        assert_eq!((sheet.rows[0][0].text.as_str(), sheet.rows[0][2].text.as_str()), ("d", "5.0"));
    }

    #[test]
    fn sorting_goes_through_the_columns_that_can_be_sorted_by() {
        let mut view = View::of::<TopicRow>();
        let mut titles = Vec::new();
        for _ in 0..8 {
            let sheet = sheet(&view, 0);
            titles.push(sheet.heads[view.sorted_by].title);
            view.sorted_by = sheet.next_order();
        }
        assert_eq!(titles, ["IN/S", "BYTES/S", "OUT/S", "MESSAGES", "SIZE", "STATE", "TOPIC", "PARTS"]);
    }
}
