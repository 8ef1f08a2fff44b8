//! HTML made of texts that nobody vouches for: everything is escaped on the way in.

use std::fmt::{self, Display, Formatter};

/// A piece of HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Markup(String);

impl Markup {
    /// Adds a tag or text of our own, as it is.
    pub fn raw(&mut self, html: &'static str) {
        self.0.push_str(html);
    }

    /// Adds a text.
    pub fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'', '\r']) {
            self.0.push_str(&rest[..at]);
            self.0.push_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&#39;",
                // As itself, the browser would take it for a line feed.
                _ => "&#13;",
            });
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
    }

    /// Adds a text of this class, with what can't be seen in it made visible.
    pub fn token(&mut self, class: &'static str, text: &str) {
        self.open(class);
        self.visible(text);
        self.raw("</span>");
    }

    /// Adds a text of our own, of this class.
    pub fn note(&mut self, class: &'static str, text: &str) {
        self.open(class);
        self.text(text);
        self.raw("</span>");
    }

    /// Adds a text with what can't be seen in it as escapes.
    pub fn visible(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(is_unseen) {
            self.text(&rest[..at]);
            let Some(c) = rest[at..].chars().next() else { break };
            let escape = match c {
                '\r' => "\\r".to_owned(),
                c if u32::from(c) < 0x100 => format!("\\x{:02x}", u32::from(c)),
                c => format!("\\u{{{:x}}}", u32::from(c)),
            };
            self.note("escape", &escape);
            rest = &rest[at + c.len_utf8()..];
        }
        self.text(rest);
    }

    /// Adds bytes that are no UTF-8 as escapes.
    pub fn invalid(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.note("escape", &format!("\\x{byte:02x}"));
        }
    }

    fn open(&mut self, class: &'static str) {
        self.raw("<span class=\"");
        self.raw(class);
        self.raw("\">");
    }
}

/// Controls but for tab and line feed, and what turns the direction of writing or takes no room: it would let one text
/// look like another.
fn is_unseen(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

impl Display for Markup {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Markup {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_becomes_html() {
        let mut markup = Markup::default();
        markup.token("t", "<img onerror='a'>&\"\r\0\u{202e}é\n");
        assert_eq!(
            markup.to_string(),
            concat!(
                "<span class=\"t\">&lt;img onerror=&#39;a&#39;&gt;&amp;&quot;<span class=\"escape\">\\r</span>",
                "<span class=\"escape\">\\x00</span><span class=\"escape\">\\u{202e}</span>é\n</span>"
            )
        );
    }
}
