//! The keys, over what is shown.

use ratatui::Frame;
use ratatui::layout::{Constraint, Flex, Layout};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::Theme;

const KEYS: [(&str, &str); 13] = [
    ("Tab, → ←, 1 to 4", "topics, groups, rebalances, problems"),
    ("↓ ↑, j k", "the next row, the one before"),
    ("PgDn PgUp", "half a screen"),
    ("Home End, g G", "the first row, the last"),
    ("Enter", "one topic or group, by partition"),
    ("Esc", "back; drops the filter"),
    ("/", "only names that match a regular expression"),
    ("s", "sort by the next column"),
    ("S, r", "the other way round"),
    ("i", "topics of Kafka itself, or not"),
    ("p, Space", "pause, or go on"),
    ("?", "this"),
    ("q, Ctrl-C", "quit"),
];

/// What the numbers mean that don't say it themselves.
const NOTES: [&str; 3] = [
    "Rates are told over the last ten seconds.",
    "BYTES/S is what the logs grow by, on one replica.",
    "OUT/S is what groups commit; 12+ is a lag of 12 or more.",
];

/// Draws them in the middle.
pub fn draw(frame: &mut Frame, theme: &Theme) {
    let key = |(keys, what): (&str, &'static str)| {
        Line::from_iter([Span::styled(format!(" {keys:<18}"), theme.title()), Span::raw(what)])
    };
    let notes = NOTES.iter().map(|note| Line::raw(format!(" {note}")));
    let lines: Text = KEYS.into_iter().map(key).chain([Line::default()]).chain(notes).collect();
    let (width, height) = (lines.width() as u16 + 3, lines.height() as u16 + 2);
    let [across] = Layout::horizontal([Constraint::Max(width)]).flex(Flex::Center).areas(frame.area());
    let [area] = Layout::vertical([Constraint::Max(height)]).flex(Flex::Center).areas(across);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Keys ")), area);
}
