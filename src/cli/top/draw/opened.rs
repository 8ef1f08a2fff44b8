//! What stands over the partitions of one topic or group.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span, Text};

use super::Theme;
use crate::cli::output::counted;
use crate::cli::top::columns::{self, Cell, Tone, numbers};
use crate::cli::top::details;
use crate::cli::top::facts::GroupRow;
use crate::cli::top::model::{Model, Opened};
use crate::cli::top::trouble::Subject;
use crate::cli::top::words;
use crate::kafka::admin::groups::{Group, Member};

/// Members, or readers of a topic, that are named; more are counted.
const NAMED: usize = 6;
/// Points of a course.
const COURSE: usize = 40;

/// Draws it, and gives what is left for the partitions.
pub fn head(frame: &mut Frame, area: Rect, model: &Model, opened: &Opened, theme: &Theme) -> Rect {
    let lines = match opened.subject {
        Subject::Topic => topic(model, &opened.name, theme),
        _ => group(model, &opened.name, theme),
    };
    let lines = lines.unwrap_or_else(|| {
        let (subject, name) = (opened.subject.name(), &opened.name);
        vec![Line::styled(format!(" The {subject} {name} is gone."), theme.tone(Tone::Warn))]
    });
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let [above, below] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Text::from(lines), above);
    below
}

fn topic(model: &Model, name: &str, theme: &Theme) -> Option<Vec<Line<'static>>> {
    let row = model.facts.topics.iter().find(|row| row.topic == name)?;
    let topic = details::topic(&model.looks, name)?;
    let layout = format!(
        "{} · {} each · {} messages · {}",
        counted(row.partitions, "partition"),
        counted(topic.replication_factor(), "replica"),
        words::count(row.messages),
        words::bytes(row.size),
    );
    let rates = format!(
        " In {}/s, {}/s · out {}/s ",
        words::rate(row.written),
        words::bytes_rate(row.bytes),
        words::rate(row.read)
    );
    let mut lines = vec![
        named("Topic", name, [Span::raw(layout)], theme),
        Line::from_iter([Span::raw(rates), course(&row.course, theme)]),
    ];
    let readers = details::readers(&model.looks, name);
    let told = readers.iter().take(NAMED).map(|reader| {
        let state = toned(&columns::state(&reader.group.state), theme);
        let name = Span::raw(format!(" Read by {} · lag {} · ", reader.group.group, words::count(reader.lag)));
        Line::from_iter([name, state])
    });
    lines.extend(told);
    lines.extend(more(readers.len(), "group", theme));
    lines.push(Line::default());
    Some(lines)
}

fn group(model: &Model, name: &str, theme: &Theme) -> Option<Vec<Line<'static>>> {
    let row = model.facts.groups.iter().find(|row| row.group == name)?;
    let group = details::group(&model.looks, name)?;
    let assignor = group.assignor.as_ref().map(|assignor| format!(" · {assignor}")).unwrap_or_default();
    let coordinator = &group.coordinator;
    let about = format!("  {}{assignor} · coordinator {} ({})", group.kind, coordinator.id, coordinator.address);
    let state = toned(&columns::state(&group.state), theme);
    let mut lines = vec![named("Group", name, [state, Span::raw(about)], theme), course_of(row, model, theme)];
    if let Some(problem) = &row.problem {
        lines.push(Line::styled(format!(" {problem}"), theme.tone(Tone::Bad)));
    }
    lines.extend(group.members.iter().take(NAMED).map(|member| Line::raw(format!(" {}", described(group, member)))));
    lines.extend(more(group.members.len(), "member", theme));
    lines.push(Line::default());
    Some(lines)
}

fn course_of(row: &GroupRow, model: &Model, theme: &Theme) -> Line<'static> {
    let rebalances = match row.last_rebalance {
        Some(_) => {
            let last = words::clock(row.last_rebalance, &model.zone);
            format!("{}, the last at {last} ", counted(row.rebalances, "rebalance"))
        }
        None => "no rebalance seen ".to_owned(),
    };
    Line::from_iter([
        Span::raw(format!(" Lag {} ", words::lag(row.lag, row.lag_is_partial))),
        toned(&columns::trend(row.trend), theme),
        Span::raw(format!(" · behind {} · drains: ", words::seconds(row.lag_seconds))),
        toned(&columns::drain(row), theme),
        Span::raw(format!(" · out {}/s · {rebalances}", words::rate(row.read))),
        course(&row.course, theme),
    ])
}

/// `client at host reads orders 0,1`, with the member's name where the client's is not enough.
fn described(group: &Group, member: &Member) -> String {
    let topics = member.partitions.iter().map(|(topic, partitions)| format!("{topic} {}", numbers(partitions)));
    let reads = match member.partitions.is_empty() {
        true => "nothing".to_owned(),
        false => topics.collect::<Vec<_>>().join(", "),
    };
    let is_one_of_many = group.members.iter().filter(|other| other.client == member.client).count() > 1;
    let name = if is_one_of_many { &member.member } else { &member.client };
    format!("{name} at {} reads {reads}", member.host)
}

fn named<const N: usize>(what: &str, name: &str, about: [Span<'static>; N], theme: &Theme) -> Line<'static> {
    let mut line = Line::from_iter([Span::raw(format!(" {what} ")), Span::styled(format!("{name}  "), theme.title())]);
    line.extend(about);
    line
}

fn more(count: usize, noun: &str, theme: &Theme) -> Option<Line<'static>> {
    let more = count.checked_sub(NAMED).filter(|more| *more > 0)?;
    Some(Line::styled(format!(" and {} more", counted(more, noun)), theme.tone(Tone::Faint)))
}

fn toned(cell: &Cell, theme: &Theme) -> Span<'static> {
    Span::styled(cell.text.clone(), theme.tone(cell.tone))
}

fn course(points: &[f32], theme: &Theme) -> Span<'static> {
    Span::styled(words::spark(points, COURSE).trim_start().to_owned(), theme.tone(Tone::Course))
}
