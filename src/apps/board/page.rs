//! The board's page, rendered before any script runs.

use std::sync::Arc;

use super::message::{MAX_AUTHOR, MAX_CONTENT, Message};
use crate::web::{Part, human};

/// The page.
#[derive(askama::Template)]
#[template(path = "board/index.html")]
pub struct BoardPage {
    /// Messages, newest first.
    pub messages: Vec<MessageView>,
    /// The id of the newest message known to the feed.
    pub last_event_id: String,
    /// Where older messages begin.
    pub next_cursor: Option<String>,
    /// Whether this is a page of older messages, without live updates.
    pub older: bool,
    /// Who posted last from this browser.
    pub author: String,
    /// What a refused form had for content.
    pub draft: String,
    /// Why a form was refused.
    pub error: Option<String>,
    /// Longest content, in Unicode characters.
    pub max_content: usize,
    /// Longest author, in Unicode characters.
    pub max_author: usize,
    /// What the site has besides.
    pub site: Arc<[Part]>,
    /// The version of this build.
    pub version: &'static str,
}

/// A message as the page shows it.
pub struct MessageView {
    /// Its id.
    pub id: String,
    /// Its content.
    pub content: String,
    /// Its author.
    pub author: String,
    /// Its time, exactly.
    pub iso: String,
    /// Its time, as people say it.
    pub relative: String,
}

impl Default for BoardPage {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            last_event_id: String::new(),
            next_cursor: None,
            older: false,
            author: String::new(),
            draft: String::new(),
            error: None,
            max_content: MAX_CONTENT,
            max_author: MAX_AUTHOR,
            site: Arc::default(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl MessageView {
    /// Shows `message` at the time `now_ms`.
    pub fn new(message: Message<'_>, now_ms: i64) -> Self {
        Self {
            iso: human::iso(message.timestamp),
            relative: human::ago(now_ms, message.timestamp),
            id: message.id.into_owned(),
            content: message.content.into_owned(),
            author: message.author.into_owned(),
        }
    }

    /// First letter or digit of the name, in upper case. `text.js` does the same.
    pub fn initial(&self) -> String {
        self.author.chars().find(|c| c.is_alphanumeric()).map_or("?".to_owned(), |c| c.to_uppercase().collect())
    }

    /// One of 12 avatar colours: FNV-1a over the name. `text.js` does the same.
    pub fn hue(&self) -> u32 {
        self.author.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)) % 12
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn times_read_as_people_say_them() {
        let message = |timestamp| Message { id: "".into(), content: "".into(), author: "zoë".into(), timestamp };
        let now = 1_795_247_359_123;
        for (age_s, words) in
            [(-5, "just now"), (59, "just now"), (60, "1 min ago"), (7_199, "1 h ago"), (2 * DAY, "2 d ago")]
        {
            assert_eq!(MessageView::new(message(now - age_s * 1000), now).relative, words);
        }
        let view = MessageView::new(message(now), now + 30 * DAY * 1000);
        assert_eq!((view.relative.as_str(), view.iso.as_str()), ("21 Nov 2026", "2026-11-21T07:49:19.123Z"));
        assert_eq!(view.initial(), "Z");
    }
}
