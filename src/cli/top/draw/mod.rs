//! A model on a screen.
//!
//! - [`header`]: the cluster as a whole; [`table`]: a table; [`opened`]: what stands over the table of one topic or group.
//! - [`help`]: the keys; [`theme`]: what tones look like.

mod header;
mod help;
mod opened;
mod table;
#[cfg(test)]
mod tests;
mod theme;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use ratatui::text::{Line, Span};

pub use theme::Theme;

use super::columns::Tone;
use super::model::{Model, Tab};
use super::sheet::Sheet;

/// Lines that a screen must have for charts to be worth their room.
const CHARTS_FROM: u16 = 26;
/// Lines of charts, with their frames.
const CHARTS: u16 = 6;
/// The keys that are named at the bottom; the others are in the help.
const KEYS: &str = "? help  q quit  Tab next table  Enter details  / filter  s sort  p pause";
const KEYS_OPENED: &str = "? help  q quit  Esc back  s sort  p pause";

/// Draws all of it.
pub fn draw(frame: &mut Frame, model: &Model, theme: &Theme) {
    let has_charts = frame.area().height >= CHARTS_FROM;
    let totals = if has_charts { CHARTS } else { 1 };
    let lines = [Constraint::Length(1), Constraint::Length(totals), Constraint::Length(1), Constraint::Fill(1)];
    let [title, totals, tabs, body] = Layout::vertical(lines).areas(frame.area());
    let [body, foot] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(body);
    header::title(frame, title, model, theme);
    match has_charts {
        true => header::charts(frame, totals, &model.facts, theme),
        false => header::totals(frame, totals, &model.facts, theme),
    }
    header::tabs(frame, tabs, model, theme);
    let body = match &model.opened {
        Some(opened) => opened::head(frame, body, model, opened, theme),
        None => body,
    };
    let body = body.inner(Margin::new(1, 0));
    let sheet = model.sheet(body.height.saturating_sub(1).into());
    table::draw(frame, body, &sheet, nothing(model), theme);
    bottom(frame, foot, model, &sheet, theme);
    if model.shows_help {
        help::draw(frame, theme);
    }
}

/// What is said where there are no rows.
fn nothing(model: &Model) -> &'static str {
    match model.tab {
        _ if model.facts.taken_at == 0 => "Looking at the cluster…",
        _ if model.opened.is_some() => "It has no partitions.",
        _ if !model.filter.text().is_empty() => "Nothing matches the filter; Esc drops it.",
        Tab::Topics => "There are no topics.",
        Tab::Groups => "There are no groups.",
        Tab::Rebalances => "No group has changed since the start.",
        Tab::Problems => "Nothing is wrong that can be seen from here.",
    }
}

/// The last line: what is typed, what is wrong, or the keys; and where one is.
fn bottom(frame: &mut Frame, area: Rect, model: &Model, sheet: &Sheet, theme: &Theme) {
    let place = match sheet.keys.len() {
        0 => String::new(),
        count => format!(" {} of {count} ", sheet.at + 1),
    };
    let filter = || Span::styled(format!(" /{} ", model.filter.text()), theme.title());
    let line = if model.is_typing {
        let typed = Span::styled(format!(" /{}█", model.filter.text()), theme.title());
        Line::from_iter([typed, Span::styled("  Enter keeps it, Esc drops it", theme.tone(Tone::Faint))])
    } else if let Some(complaint) = model.complaint() {
        Line::styled(format!(" {complaint}"), theme.tone(Tone::Bad))
    } else {
        let keys = if model.opened.is_some() { KEYS_OPENED } else { KEYS };
        let keys = Span::styled(format!(" {keys}"), theme.tone(Tone::Faint));
        match model.filter.text().is_empty() {
            true => Line::from(keys),
            false => Line::from_iter([filter(), keys]),
        }
    };
    split(frame, area, line, Line::styled(place, theme.tone(Tone::Faint)));
}

/// One line at the left, and one at the right that gives way to nothing.
fn split(frame: &mut Frame, area: Rect, left: Line, right: Line) {
    let width = u16::try_from(right.width()).unwrap_or(u16::MAX);
    let [first, last] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(width)]).areas(area);
    frame.render_widget(left, first);
    frame.render_widget(right, last);
}
