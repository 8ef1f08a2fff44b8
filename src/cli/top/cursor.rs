//! Where somebody is in rows that change places.

/// A place in a list: the first row until somebody moves, and then the row that was moved to, wherever it goes.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    key: Option<String>,
    at: usize,
}

impl Cursor {
    /// The place in rows with these keys; where the row that was moved to is gone, the one that took its place.
    pub fn at(&self, keys: &[String]) -> usize {
        let found = self.key.as_ref().and_then(|key| keys.iter().position(|other| other == key));
        found.unwrap_or_else(|| self.at.min(keys.len().saturating_sub(1)))
    }

    /// Goes `rows` down, or up where that is negative.
    pub fn move_by(&mut self, rows: isize, keys: &[String]) {
        let last = keys.len().saturating_sub(1);
        self.at = self.at(keys).saturating_add_signed(rows).min(last);
        self.key = keys.get(self.at).cloned();
    }

    /// Goes to the first row, whatever that is, and stays there.
    pub fn home(&mut self) {
        *self = Self::default();
    }
}

/// The first of `count` rows that are shown, of which `height` have room: the cursor is in the middle where it can be.
pub fn first_shown(at: usize, count: usize, height: usize) -> usize {
    at.saturating_sub(height / 2).min(count.saturating_sub(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &str) -> Vec<String> {
        names.chars().map(String::from).collect()
    }

    #[test]
    fn the_cursor_stays_with_its_row_once_it_was_moved() {
        let mut cursor = Cursor::default();
        assert_eq!((cursor.at(&keys("abc")), cursor.at(&keys("bac"))), (0, 0));
        cursor.move_by(1, &keys("abc"));
        assert_eq!((cursor.at(&keys("abc")), cursor.at(&keys("bca"))), (1, 0));
        cursor.move_by(-5, &keys("cab"));
        assert_eq!(cursor.at(&keys("cab")), 0);
        cursor.move_by(100, &keys("cab"));
        assert_eq!(cursor.at(&keys("abc")), 1, "it is with b");
        cursor.home();
        assert_eq!(cursor.at(&keys("abc")), 0);
    }

    #[test]
    fn where_its_row_is_gone_it_stays_in_its_place() {
        let mut cursor = Cursor::default();
        cursor.move_by(2, &keys("abcd"));
        assert_eq!((cursor.at(&keys("abde")), cursor.at(&keys("a")), cursor.at(&[])), (2, 0, 0));
    }

    #[test]
    fn the_cursor_is_in_the_middle_of_what_is_shown_but_at_the_ends() {
        assert_eq!([0, 4, 5, 50, 99].map(|at| first_shown(at, 100, 10)), [0, 0, 0, 45, 90]);
        assert_eq!([first_shown(2, 3, 10), first_shown(0, 0, 10), first_shown(7, 9, 0)], [0, 0, 7]);
    }
}
