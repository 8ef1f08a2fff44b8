//! How commands print: tables for people, JSON and YAML for scripts, always on stdout.

use std::fmt::Display;
use std::io::Write;

use comfy_table::{CellAlignment, Table};
use serde::Serialize;

/// The form of what a command prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// Prints `data` as JSON or YAML, or what `table` makes of it for people.
///
/// # Errors
/// When stdout is gone.
pub fn print<T: Serialize>(format: Format, data: &T, table: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
    let text = match format {
        Format::Table => table(data),
        Format::Json => serde_json::to_string_pretty(data)?,
        Format::Yaml => serde_yaml_ng::to_string(data)?,
    };
    line(&text)
}

/// Prints `text` and ends the line.
///
/// # Errors
/// When stdout is gone.
pub fn line(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", text.trim_end_matches('\n'))?;
    stdout.flush()?;
    Ok(())
}

/// The text without what would move the cursor of a terminal, or begin another line.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `1 partition`, `3 partitions`.
pub fn counted<T: Display + PartialEq + From<u8>>(count: T, noun: &str) -> String {
    let plural = if count == T::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A table without borders, as `kubectl` and Kafka's tools print them: easy to read, to grep and to cut.
/// `right` names the columns (from 0) that hold numbers. Whatever others have put into a name stays in its cell.
pub fn table<const N: usize>(
    header: [&str; N],
    right: &[usize],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new()).set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| one_line(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for &index in right {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_cell() {
        let rows = [["g\u{1b}[31m\nFAKE  3".to_owned(), "1".to_owned()]];
        assert_eq!(table(["GROUP", "LAG"], &[1], rows), "GROUP           LAG\ng [31m FAKE  3    1");
    }
}
