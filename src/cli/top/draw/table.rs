//! A table, with as many columns as have room.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table};

use super::Theme;
use crate::cli::top::columns::{self, LEAST, Tone};
use crate::cli::top::sheet::{Head, Sheet};

/// Between two columns.
const GAP: u16 = 1;

/// Draws `sheet`, or `nothing` where it has no rows.
pub fn draw(frame: &mut Frame, area: Rect, sheet: &Sheet, nothing: &str, theme: &Theme) {
    let shown = fitting(&sheet.heads, area.width);
    let header = shown.iter().map(|&column| title(sheet, column, theme));
    let rows = sheet.rows.iter().enumerate().map(|(number, cells)| {
        let is_chosen = sheet.first + number == sheet.at;
        let cells = shown.iter().map(|&column| cell(&cells[column], &sheet.heads[column], is_chosen, theme));
        Row::new(cells.collect::<Vec<_>>()).style(if is_chosen { theme.chosen() } else { theme.tone(Tone::Plain) })
    });
    let widths = shown.iter().map(|&column| match sheet.heads[column].width {
        0 => Constraint::Fill(1),
        width => Constraint::Length(width),
    });
    let table = Table::new(rows.collect::<Vec<_>>(), widths.collect::<Vec<_>>());
    frame.render_widget(table.header(Row::new(header.collect::<Vec<_>>())).column_spacing(GAP), area);
    if sheet.keys.is_empty() && area.height > 1 {
        let below = Rect { y: area.y + 1, height: 1, ..area };
        frame.render_widget(Line::styled(nothing.to_owned(), theme.tone(Tone::Faint)), below);
    }
}

fn title(sheet: &Sheet, column: usize, theme: &Theme) -> Cell<'static> {
    let head = &sheet.heads[column];
    let mark = match sheet.sorted_by {
        (sorted_by, false) if sorted_by == column => "▼",
        (sorted_by, true) if sorted_by == column => "▲",
        _ => "",
    };
    aligned(format!("{}{mark}", head.title), head).style(theme.title())
}

fn cell(cell: &columns::Cell, head: &Head, is_chosen: bool, theme: &Theme) -> Cell<'static> {
    // What is chosen is one bar, without colours in it.
    let tone = if is_chosen { Tone::Plain } else { cell.tone };
    aligned(cell.text.clone(), head).style(theme.tone(tone))
}

fn aligned(text: String, head: &Head) -> Cell<'static> {
    let line = Line::from(text);
    Cell::new(if head.is_number { line.right_aligned() } else { line })
}

/// The columns that have room in `width`; those that matter least give way.
fn fitting(heads: &[Head], width: u16) -> Vec<usize> {
    let least = |column: &usize| match heads[*column].width {
        0 => LEAST + GAP,
        width => width + GAP,
    };
    let mut kept: Vec<usize> = (0..heads.len()).collect();
    while kept.iter().map(least).sum::<u16>() > width + GAP {
        let can_go = kept.iter().copied().filter(|column| heads[*column].rank > 0);
        let Some(worst) = can_go.max_by_key(|column| heads[*column].rank) else { break };
        kept.retain(|column| *column != worst);
    }
    kept
}
