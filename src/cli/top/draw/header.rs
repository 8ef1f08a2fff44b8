//! The cluster as a whole.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Sparkline};

use super::{Theme, split};
use crate::cli::output::counted;
use crate::cli::top::columns::Tone;
use crate::cli::top::facts::Facts;
use crate::cli::top::model::{Model, TABS, Tab};
use crate::cli::top::words;

/// What is multiplied, so that rates below 1 are seen in charts of whole numbers.
const FINE: f32 = 1_000.0;

/// Where one is, and how much there is of it.
pub fn title(frame: &mut Frame, area: Rect, model: &Model, theme: &Theme) {
    let facts = &model.facts;
    let mut line =
        Line::from_iter([Span::styled(" kboard top ", theme.title()), Span::raw(format!(" {}", model.servers))]);
    if facts.taken_at > 0 {
        let counts = [
            (facts.brokers, "broker"),
            (facts.topic_count, "topic"),
            (facts.partitions, "partition"),
            (facts.groups.len(), "group"),
        ];
        let counts = counts.map(|(count, noun)| counted(count, noun)).join(" · ");
        line.push_span(Span::styled(format!("   {counts}"), theme.tone(Tone::Faint)));
    }
    let right = match model.is_paused {
        true => Line::styled(" PAUSED ", theme.chosen()),
        false => {
            let interval = crate::time::length(model.interval.as_secs_f64());
            Line::styled(format!(" every {} ", interval.replace(".0", "")), theme.tone(Tone::Faint))
        }
    };
    split(frame, area, line, right);
}

/// What the cluster does, in one line.
pub fn totals(frame: &mut Frame, area: Rect, facts: &Facts, theme: &Theme) {
    let spans = told(facts).into_iter().flat_map(|(name, number)| {
        [Span::styled(format!(" {name} "), theme.title()), Span::raw(format!("{number}   "))]
    });
    frame.render_widget(Line::from_iter(spans), area);
}

/// The same with what it did before.
pub fn charts(frame: &mut Frame, area: Rect, facts: &Facts, theme: &Theme) {
    let areas: [Rect; 3] = Layout::horizontal([Constraint::Fill(1); 3]).areas(area);
    let courses = [&facts.courses.written, &facts.courses.read, &facts.courses.lag];
    for ((area, points), (name, number)) in areas.into_iter().zip(courses).zip(told(facts)) {
        let title =
            Line::from_iter([Span::styled(format!(" {name} "), theme.title()), Span::raw(format!("{number} "))]);
        let block = Block::bordered().border_style(theme.tone(Tone::Faint)).title(title);
        let room = usize::from(block.inner(area).width);
        let last = &points[points.len().saturating_sub(room)..];
        // Now is at the right.
        let unknown = std::iter::repeat_n(None, room - last.len());
        let known = last.iter().map(|point| (!point.is_nan()).then_some((point * FINE) as u64));
        let bars = Sparkline::default().data(unknown.chain(known)).style(theme.tone(Tone::Course)).block(block);
        frame.render_widget(bars.absent_value_symbol(" "), area);
    }
}

fn told(facts: &Facts) -> [(&'static str, String); 3] {
    let written = match facts.bytes {
        Some(_) => format!("{}/s  {}/s", words::rate(facts.written), words::bytes_rate(facts.bytes)),
        None => format!("{}/s", words::rate(facts.written)),
    };
    [("In", written), ("Out", format!("{}/s", words::rate(facts.read))), ("Lag", words::count(facts.lag))]
}

/// The tables, and whether all is well.
pub fn tabs(frame: &mut Frame, area: Rect, model: &Model, theme: &Theme) {
    let facts = &model.facts;
    let spans = TABS.iter().enumerate().map(|(number, tab)| {
        let (name, count) = match tab {
            Tab::Topics => ("Topics", facts.topic_count),
            Tab::Groups => ("Groups", facts.group_count),
            Tab::Rebalances => ("Rebalances", facts.groups.iter().map(|group| group.rebalances).sum()),
            Tab::Problems => ("Problems", facts.problems.len()),
        };
        let style = match (*tab == model.tab, tab) {
            (true, _) => theme.chosen(),
            (false, Tab::Problems) if count > 0 => theme.tone(Tone::Bad),
            (false, _) => theme.tone(Tone::Plain),
        };
        Span::styled(format!(" {} {name} {count} ", number + 1), style)
    });
    let (tabs, health) = (Line::from_iter(spans), health(facts, theme));
    // What is wrong is counted in its tab, too.
    let has_room = tabs.width() + health.width() < area.width.into();
    split(frame, area, tabs, if has_room { health } else { Line::default() });
}

fn health(facts: &Facts, theme: &Theme) -> Line<'static> {
    let counts =
        [(facts.offline, "offline"), (facts.under_replicated, "under-replicated"), (facts.unknown_groups, "unknown")];
    let wrong: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| match *what {
            "unknown" => format!("{} unknown", counted(*count, "group")),
            what => format!("{} {what}", counted(*count, "partition")),
        })
        .collect();
    match wrong.is_empty() {
        false => Line::styled(format!("{} ", wrong.join(", ")), theme.tone(Tone::Bad)),
        true if facts.taken_at == 0 => Line::default(),
        true => Line::styled("every partition led and replicated ", theme.tone(Tone::Good)),
    }
}
