//! What screens look like, letter by letter.

use std::sync::Arc;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::*;
use crate::cli::top::testing::{SECONDS, blank, look, model, press, seen, shown};
use crate::kafka::admin::groups::Group;
use crate::kafka::watch::testing::past;
use crate::kafka::watch::{Part, Problem, Snapshot};

fn screen(model: &Model, (width, height): (u16, u16), theme: &Theme) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, theme)).unwrap();
    terminal.backend().clone()
}

fn lines(model: &Model, (width, height): (u16, u16)) -> String {
    let screen = screen(model, (width, height), &Theme::new(true));
    let line = |y| (0..width).map(|x| screen.buffer()[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

/// The model after these keys looks as `screens/NAME.txt` has it.
#[track_caller]
fn looks(mut model: Model, keys: &str, size: (u16, u16), name: &str) {
    press(&mut model, keys);
    assert_eq!(lines(&model, size), shown(name), "{name}");
}

/// A cluster where much is wrong.
fn troubled() -> Model {
    let mut snapshot = look(SECONDS);
    let orders = &mut snapshot.topics.get_mut("orders").unwrap().partitions;
    (orders[1].leader, orders[1].isr) = (None, Vec::new());
    orders[2].replicas = vec![1, 2];
    let mailer = snapshot.groups.remove("mailer").unwrap();
    let problem = Some("its coordinator, broker 2, does not list it: no answer".to_owned());
    let mailer = Group { state: "Unknown".to_owned(), problem, ..mailer };
    snapshot.groups.insert("mailer".to_owned(), mailer);
    snapshot.problems.push(Problem { part: Part::Groups, reason: "broker 2: no answer".to_owned() });
    seen(&[look(SECONDS - 1), snapshot])
}

#[test]
fn topics_with_their_rates() {
    looks(model(), "", (130, 10), "topics");
}

#[test]
fn groups_under_charts() {
    looks(model(), "2", (170, 26), "groups");
}

#[test]
fn rebalances() {
    looks(model(), "3", (130, 8), "rebalances");
}

#[test]
fn problems() {
    looks(troubled(), "4", (110, 12), "problems");
}

#[test]
fn one_topic() {
    looks(model(), "<enter>", (130, 16), "topic");
}

#[test]
fn one_group() {
    looks(model(), "2<enter>", (130, 16), "group");
}

#[test]
fn a_narrow_terminal_shows_what_matters_most() {
    looks(model(), "2", (64, 8), "narrow");
}

#[test]
fn help_over_what_is_shown() {
    looks(model(), "?", (90, 26), "help");
}

#[test]
fn the_last_line_says_what_is_typed_or_wrong() {
    let last = |model: &Model| lines(model, (110, 10)).lines().last().unwrap().to_owned();
    let mut model = model();
    press(&mut model, "/ord");
    assert!(last(&model).starts_with(" /ord█  Enter keeps it"), "{}", last(&model));
    press(&mut model, "<enter>");
    assert!(last(&model).starts_with(" /ord  ? help") && last(&model).ends_with("1 of 1"), "{}", last(&model));
    let away = Snapshot { away: Some("connection refused".to_owned()), ..look(SECONDS) };
    model.look(&Arc::new(away), &past(&[]));
    assert!(last(&model).starts_with(" Kafka does not answer"), "{}", last(&model));
    assert!(lines(&blank(), (80, 10)).contains("Looking at the cluster…"));
}

#[test]
fn what_is_wrong_is_red_and_nothing_is_where_no_colours_are_wanted() {
    let model = troubled();
    let colours = |theme: &Theme| -> Vec<Color> {
        let screen = screen(&model, (110, 30), theme);
        screen.buffer().content().iter().map(|cell| cell.fg).collect()
    };
    assert!(colours(&Theme::new(true)).contains(&Color::Red));
    assert!(colours(&Theme::new(false)).iter().all(|colour| *colour == Color::Reset));
}

#[test]
fn there_is_no_screen_too_small_to_be_drawn_on() {
    for keys in ["", "2", "3", "4", "<enter>", "2<enter>", "?", "/x"] {
        let mut model = troubled();
        press(&mut model, keys);
        for size in [(1, 1), (2, 40), (200, 1), (7, 3), (33, 9), (60, 26)] {
            lines(&model, size);
        }
    }
}
