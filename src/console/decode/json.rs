//! JSON laid out to be read, with every token as it is stored: digits of long numbers, names that come twice, escapes.

use serde::de::IgnoredAny;

use super::markup::Markup;

/// Containers within each other that are laid out; what lies deeper stays on one line.
const MAX_DEPTH: usize = 40;

/// Whether all of `text` is JSON, whatever its depth.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Lays out `json`, which has to be valid, up to about `limit` of its bytes. Returns how many bytes were laid out.
pub fn lay_out(json: &str, limit: usize, out: &mut Markup) -> usize {
    let mut printer = Printer { json, at: 0, limit, sizes: sizes(json).into_iter(), open: Vec::new(), out };
    printer.out.raw("<div class=\"json\">");
    printer.print();
    printer.out.raw("</div>");
    printer.at
}

/// How many members each container has, in the order in which they begin.
fn sizes(json: &str) -> Vec<usize> {
    let (mut sizes, mut open, bytes) = (Vec::new(), Vec::new(), json.as_bytes());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += string(json, at).len();
                continue;
            }
            b'{' | b'[' => {
                let empty = matches!(json[at + 1..].trim_ascii_start().as_bytes(), [b'}' | b']', ..]);
                open.push(sizes.len());
                sizes.push(usize::from(!empty));
            }
            b'}' | b']' => drop(open.pop()),
            b',' => {
                if let Some(container) = open.last() {
                    sizes[*container] += 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    sizes
}

/// The string token that begins at `at`, with its quotation marks.
fn string(json: &str, at: usize) -> &str {
    let mut end = at + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &json.as_bytes()[end.min(json.len())..]) {
        end += found;
        if json.as_bytes()[end] == b'"' {
            return &json[at..=end];
        }
        end += 2;
    }
    &json[at..]
}

struct Printer<'a> {
    json: &'a str,
    at: usize,
    limit: usize,
    sizes: std::vec::IntoIter<usize>,
    /// What ends each open container.
    open: Vec<u8>,
    out: &'a mut Markup,
}

impl<'a> Printer<'a> {
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.json[self.at..];
        self.at += rest.len() - rest.trim_ascii_start().len();
        self.json.as_bytes().get(self.at).copied()
    }

    fn print(&mut self) {
        while let Some(byte) = self.peek() {
            if self.at >= self.limit {
                self.out.raw("<div class=\"line\"><span class=\"more\">…</span></div>");
                self.open.drain(..).for_each(|_| self.out.raw("</div></details>"));
                return;
            }
            if self.open.last() == Some(&byte) {
                self.open.pop();
                self.out.raw("</div><div class=\"line\">");
                self.end(byte);
                self.out.raw("</div></details>");
            } else {
                self.member();
            }
            if self.open.is_empty() {
                return;
            }
        }
    }

    /// A member of the open container, or the first line of it if it is a container itself.
    fn member(&mut self) {
        let name = (self.open.last() == Some(&b'}')).then(|| self.name());
        let Some(byte @ (b'{' | b'[')) = self.peek() else {
            self.begin("<div class=\"line\">", name);
            self.scalar();
            self.comma();
            self.out.raw("</div>");
            return;
        };
        let size = self.sizes.next().unwrap_or(0);
        let end = if byte == b'{' { b'}' } else { b']' };
        if size == 0 || self.open.len() >= MAX_DEPTH {
            self.begin("<div class=\"line\">", name);
            let whole = self.whole();
            self.out.token("json-deep", whole);
            self.comma();
            self.out.raw("</div>");
            return;
        }
        self.at += 1;
        self.open.push(end);
        self.begin("<details open><summary>", name);
        self.out.raw(if byte == b'{' { "{" } else { "[" });
        let what = match (byte, size) {
            (b'{', 1) => "field",
            (b'{', _) => "fields",
            (_, 1) => "element",
            _ => "elements",
        };
        self.out.note("folded", &format!(" {size} {what} {}", char::from(end)));
        self.out.raw("</summary><div class=\"inside\">");
    }

    fn begin(&mut self, tag: &'static str, name: Option<&str>) {
        self.out.raw(tag);
        if let Some(name) = name {
            self.out.token("json-name", name);
            self.out.raw(": ");
        }
    }

    fn name(&mut self) -> &'a str {
        let name = string(self.json, self.at);
        self.at += name.len();
        self.peek();
        self.at += 1;
        name
    }

    fn scalar(&mut self) {
        let rest = &self.json[self.at..];
        let (class, token) = match rest.as_bytes() {
            [b'"', ..] => ("json-text", string(self.json, self.at)),
            [first, ..] => {
                let end = rest.find(|c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace());
                let class = if first.is_ascii_digit() || *first == b'-' { "json-number" } else { "json-word" };
                (class, &rest[..end.unwrap_or(rest.len())])
            }
            [] => return,
        };
        self.at += token.len();
        // One long text is cut like everything else.
        let cut = token.floor_char_boundary(self.limit.saturating_sub(self.at - token.len()).max(1));
        self.out.token(class, &token[..cut]);
        if cut < token.len() {
            self.at -= token.len() - cut;
            self.out.raw("<span class=\"more\">…</span>");
            self.limit = self.at;
        }
    }

    /// A container in one piece.
    fn whole(&mut self) -> &'a str {
        let (start, mut depth) = (self.at, 0_usize);
        while let Some(byte) = self.json.as_bytes().get(self.at) {
            match byte {
                b'"' => {
                    self.at += string(self.json, self.at).len();
                    continue;
                }
                b'{' | b'[' => {
                    if depth > 0 {
                        self.sizes.next();
                    }
                    depth += 1;
                }
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
        let whole = &self.json[start..self.at];
        &whole[..whole.floor_char_boundary(self.limit)]
    }

    fn end(&mut self, byte: u8) {
        self.at += 1;
        self.out.raw(if byte == b'}' { "}" } else { "]" });
        self.comma();
    }

    fn comma(&mut self) {
        if self.at < self.limit && self.peek() == Some(b',') {
            self.at += 1;
            self.out.raw(",");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text that a browser shows, without white space outside of tokens.
    fn plain(html: &Markup) -> String {
        let (mut text, mut tag, mut folded) = (String::new(), String::new(), false);
        let mut inside = false;
        for c in html.to_string().chars() {
            match c {
                '<' => (inside, tag) = (true, String::new()),
                '>' if inside => {
                    inside = false;
                    folded = tag.contains("\"folded\"") || (folded && tag != "/span");
                }
                c if inside => tag.push(c),
                c if !folded => text.push(c),
                _ => {}
            }
        }
        let entities =
            [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#13;", "\r"), ("&amp;", "&")];
        entities.iter().fold(text, |text, (entity, c)| text.replace(entity, c))
    }

    fn laid_out(json: &str, limit: usize) -> (String, usize) {
        assert!(is_json(json), "{json}");
        let mut out = Markup::default();
        let end = lay_out(json, limit, &mut out);
        let html = out.to_string();
        let count = |what: &str| html.matches(what).count();
        for (open, close) in [("<div", "</div>"), ("<details", "</details>"), ("<span", "</span>")] {
            assert_eq!(count(open), count(close), "{html}");
        }
        (plain(&out), end)
    }

    #[test]
    fn tokens_stay_as_they_are_stored() {
        let stored = r#" {"id":73314510714175488, "id":1.50, "e":1E+2, "u":"\u00e9<b>\"", "n":null, "a":[], "o":{ }, "l":[true,[1]]} "#;
        let (text, end) = laid_out(stored, usize::MAX);
        let wanted = r#"{"id": 73314510714175488,"id": 1.50,"e": 1E+2,"u": "\u00e9<b>\"","n": null,"a": [],"o": { },"l": [true,[1]]}"#;
        assert_eq!((text.as_str(), stored[end..].trim()), (wanted, ""));
        assert_eq!(laid_out("-5", 100).0, "-5");
        assert_eq!(laid_out("\"\"", 100).0, "\"\"");
    }

    #[test]
    fn folded_containers_say_their_size() {
        let mut out = Markup::default();
        lay_out(r#"{"a":[1,2,[]],"b":{"c":{}}}"#, 1000, &mut out);
        let html = out.to_string();
        for folded in [" 2 fields }", " 3 elements ]", " 1 field }"] {
            assert_eq!(html.matches(&format!("<span class=\"folded\">{folded}</span>")).count(), 1, "{folded}: {html}");
        }
    }

    #[test]
    fn large_and_deep_ones_are_cut_and_closed() {
        let large = format!("[{}1]", "12345,".repeat(10_000));
        let (text, end) = laid_out(&large, 600);
        assert!((600..620).contains(&end) && text.ends_with('…') && text.len() < 700, "{end} {text}");
        let (text, end) = laid_out(&format!("[\"{}\",1]", "é".repeat(1000)), 100);
        assert!(text.contains('…') && end <= 100, "{end} {text}");
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let (text, _) = laid_out(&deep, 65_536);
        assert!(text.len() < 66_000, "{}", text.len());
        let (text, _) = laid_out(&format!("{}1{}", "[{\"a\":".repeat(60), "}]".repeat(60)), 65_536);
        assert_eq!(text.replace(' ', ""), format!("{}1{}", "[{\"a\":".repeat(60), "}]".repeat(60)));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "[a-z\\\\\"<&é,:{}\\[\\]]{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::Array),
                prop::collection::vec(("[a-z\\\\\" ]{0,4}", inner), 0..5)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_laid_out_is_the_same_json(value in json(), limit in 0_usize..200) {
            let stored = value.to_string();
            let (text, end) = laid_out(&stored, usize::MAX);
            prop_assert_eq!(end, stored.len());
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
            laid_out(&stored, limit);
        }
    }
}
