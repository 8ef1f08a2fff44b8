//! Looks and keys, and what is shown then.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::cli::top::testing::{SECONDS, START, blank, look, model, press, seen};
use crate::kafka::watch::testing::past;

fn keys(model: &Model) -> Vec<String> {
    model.sheet(0).keys
}

#[test]
fn tabs_go_round_and_have_numbers() {
    let mut model = model();
    let mut after = |keys: &str| {
        press(&mut model, keys);
        model.tab
    };
    assert_eq!(
        [after("<tab>"), after("l"), after("<tab>"), after("<tab>")],
        [Tab::Groups, Tab::Rebalances, Tab::Problems, Tab::Topics]
    );
    assert_eq!(
        [after("<backtab>"), after("h"), after("2"), after("9")],
        [Tab::Problems, Tab::Rebalances, Tab::Groups, Tab::Groups]
    );
}

#[test]
fn each_table_remembers_where_one_was() {
    let mut model = model();
    press(&mut model, "2j1");
    assert_eq!(model.sheet(0).selected(), Some("orders"));
    press(&mut model, "2");
    assert_eq!(model.sheet(0).selected(), Some("mailer"));
    press(&mut model, "k");
    assert_eq!(model.sheet(0).selected(), Some("billing"));
    press(&mut model, "Gg");
    assert_eq!(model.sheet(0).selected(), Some("billing"));
}

#[test]
fn a_filter_is_typed_kept_and_dropped() {
    let mut model = model();
    press(&mut model, "/PAY");
    assert_eq!((keys(&model).len(), model.is_typing), (0, true));
    press(&mut model, "<back><back><back>pqys<back><back><back>ay<enter>");
    assert_eq!((keys(&model), model.is_typing), (vec!["payments".to_owned()], false));
    assert_eq!((press(&mut model, "2"), keys(&model).len()), (Next::Draw, 0));
    press(&mut model, "<esc>");
    assert_eq!(keys(&model), ["billing", "mailer"]);
    press(&mut model, "/x<esc>");
    assert_eq!((model.filter.text(), model.is_typing), ("", false));
}

#[test]
fn topics_of_kafka_itself_are_shown_when_asked_for() {
    let mut model = model();
    assert_eq!(keys(&model), ["orders", "payments"]);
    press(&mut model, "i");
    assert_eq!(keys(&model), ["orders", "__consumer_offsets", "payments"]);
}

#[test]
fn sorting_is_changed_and_turned_round() {
    let mut model = model();
    press(&mut model, "S");
    assert_eq!(keys(&model), ["payments", "orders"]);
    press(&mut model, "rs");
    assert_eq!(model.sheet(0).heads[model.sheet(0).sorted_by.0].title, "BYTES/S");
}

#[test]
fn a_topic_or_group_is_opened_and_left() {
    let mut model = model();
    press(&mut model, "<enter>");
    assert_eq!(keys(&model), ["0", "1", "2"]);
    press(&mut model, "<enter>s");
    assert_eq!(keys(&model), ["0", "1", "2"], "the busiest partition is the first anyway");
    press(&mut model, "<esc>2<enter>");
    assert_eq!(keys(&model), ["orders[0]", "orders[1]", "orders[2]"]);
    press(&mut model, "<back>");
    assert_eq!(keys(&model), ["billing", "mailer"]);
    press(&mut model, "<enter><tab>");
    assert!(model.opened.is_none() && model.tab == Tab::Rebalances);
    press(&mut model, "<enter>");
    assert_eq!(model.opened.as_ref().map(|opened| opened.name.as_str()), Some("billing"), "the group that changed");
}

#[test]
fn a_problem_leads_to_what_has_it() {
    let mut last = look(1);
    last.topics.get_mut("orders").unwrap().partitions[1].leader = None;
    let mut model = seen(&[last]);
    press(&mut model, "4<enter>");
    assert_eq!(model.opened.as_ref().map(|opened| opened.name.as_str()), Some("orders"));
    let mut model = blank();
    press(&mut model, "4<enter>");
    assert!(model.opened.is_none(), "there is none");
}

#[test]
fn nothing_changes_while_it_is_paused_and_then_all_at_once() {
    let mut model = model();
    let (before, later) = (model.facts.lag, look(SECONDS + 9));
    press(&mut model, "p");
    model.look(&Arc::new(later.clone()), &past(std::slice::from_ref(&later)));
    assert_eq!(model.facts.lag, before);
    press(&mut model, "p");
    model.look(&Arc::new(later.clone()), &past(std::slice::from_ref(&later)));
    assert!(model.facts.lag > before);
}

#[test]
fn a_broker_that_is_away_is_complained_of_until_it_is_back() {
    let mut model = model();
    let now = START + 1_000 * SECONDS;
    assert_eq!(model.complaint(), None);
    model.tick(now + 2_900);
    assert_eq!(model.complaint(), None, "a look may be late");
    model.tick(now + 12_000);
    assert_eq!(model.complaint().as_deref(), Some("Kafka has not answered for 12s"));
    let away = Snapshot { away: Some("connection refused".to_owned()), ..look(SECONDS) };
    model.look(&Arc::new(away), &past(&[]));
    let complaint = model.complaint().unwrap();
    assert_eq!(complaint, "Kafka does not answer; seen 12s ago, trying again: connection refused");
    assert_eq!(keys(&model), ["orders", "payments"], "what was seen is still shown");
    model.tick(now + 13_000);
    model.look(&Arc::new(look(SECONDS + 13)), &past(&[look(SECONDS + 13)]));
    assert_eq!(model.complaint(), None);
}

#[test]
fn help_goes_away_with_any_key_and_quitting_is_asked_for_in_two_ways() {
    let mut model = model();
    assert_eq!((press(&mut model, "?q"), model.shows_help), (Next::Draw, false));
    assert_eq!(press(&mut model, "/q"), Next::Draw, "it is typed");
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(model.key(interrupt), Next::Quit);
    assert_eq!(press(&mut model, "<esc>q"), Next::Quit);
}
