//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Model, Opened, TABS, Tab};
use crate::cli::top::columns::Row;
use crate::cli::top::details::{PartitionRow, PositionRow};
use crate::cli::top::filter::Filter;
use crate::cli::top::sheet::View;
use crate::cli::top::trouble::Subject;

/// What is to be done after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Draw.
    Draw,
    /// End.
    Quit,
}

impl Model {
    /// A key was pressed.
    pub fn key(&mut self, key: KeyEvent) -> Next {
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if with_control => return Next::Quit,
            _ if self.is_typing => self.type_filter(key.code),
            // Any key, so that nobody has to look for the one.
            _ if self.shows_help => self.shows_help = false,
            KeyCode::Char('q') => return Next::Quit,
            KeyCode::Char('?') | KeyCode::F(1) => self.shows_help = true,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Char('i') => self.shows_internal = !self.shows_internal,
            KeyCode::Char('s') => self.view().sorted_by = self.sheet(0).next_order(),
            KeyCode::Char('S' | 'r') => self.view().is_reversed ^= true,
            KeyCode::Enter => self.open(),
            KeyCode::Esc | KeyCode::Backspace if self.opened.is_some() => self.opened = None,
            KeyCode::Esc => self.filter = Filter::default(),
            KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => self.turn(1),
            KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h') => self.turn(TABS.len() - 1),
            KeyCode::Char(digit @ '1'..='4') => self.turn_to(digit as usize - '1' as usize),
            KeyCode::Down | KeyCode::Char('j') => self.go(1),
            KeyCode::Up | KeyCode::Char('k') => self.go(-1),
            KeyCode::PageDown => self.go(self.page),
            KeyCode::PageUp => self.go(-self.page),
            KeyCode::Home | KeyCode::Char('g') => self.view().cursor.home(),
            KeyCode::End | KeyCode::Char('G') => self.go(isize::MAX),
            _ => {}
        }
        Next::Draw
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => (self.is_typing, self.filter) = (false, Filter::default()),
            KeyCode::Backspace => self.filter = self.filter.without_last(),
            KeyCode::Char(typed) => self.filter = self.filter.with(typed),
            _ => {}
        }
    }

    fn view(&mut self) -> &mut View {
        match &mut self.opened {
            Some(opened) => &mut opened.view,
            None => &mut self.views[self.tab as usize],
        }
    }

    fn go(&mut self, rows: isize) {
        let keys = self.sheet(0).keys;
        self.view().cursor.move_by(rows, &keys);
    }

    fn turn(&mut self, tabs: usize) {
        self.turn_to((self.tab as usize + tabs) % TABS.len());
    }

    fn turn_to(&mut self, tab: usize) {
        (self.tab, self.opened) = (TABS[tab], None);
    }

    fn open(&mut self) {
        if self.opened.is_some() {
            return;
        }
        let sheet = self.sheet(0);
        let Some(key) = sheet.selected() else { return };
        let (subject, name) = match self.tab {
            Tab::Topics => (Subject::Topic, key.to_owned()),
            Tab::Groups => (Subject::Group, key.to_owned()),
            Tab::Rebalances => {
                let Some(change) = self.facts.changes.iter().find(|change| change.key() == key) else { return };
                (Subject::Group, change.group.clone())
            }
            Tab::Problems => {
                let Some(trouble) = self.facts.problems.iter().find(|trouble| trouble.key() == key) else { return };
                (trouble.subject, trouble.name.clone())
            }
        };
        let view = match subject {
            Subject::Topic => View::of::<PartitionRow>(),
            Subject::Group => View::of::<PositionRow>(),
            Subject::Cluster | Subject::Broker => return,
        };
        self.opened = Some(Opened { subject, name, view });
    }
}
