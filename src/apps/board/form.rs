//! The HTML form, for browsers without JavaScript.

use super::message::Draft;

/// The cookie that remembers the author.
pub const AUTHOR_COOKIE: &str = "kboard_author";

/// Reads an urlencoded form. Bytes that are no UTF-8 become U+FFFD, as browsers have it.
pub fn parse(body: &[u8]) -> Draft {
    let mut draft = Draft::default();
    for (name, value) in url::form_urlencoded::parse(body) {
        match &*name {
            "content" => draft.content = Some(value.into_owned()),
            "author" => draft.author = Some(value.into_owned()),
            _ => {}
        }
    }
    draft
}

/// The `Set-Cookie` header that remembers `author` for a year.
pub fn author_cookie(author: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(author.as_bytes()).collect();
    // A form's "+" is no space in a cookie that JavaScript decodes.
    let encoded = encoded.replace('+', "%20");
    format!("{AUTHOR_COOKIE}={encoded}; Path=/; Max-Age=31536000; SameSite=Lax")
}

/// The author that a `Cookie` header remembers.
pub fn author_of(cookies: &str) -> Option<String> {
    let value = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(AUTHOR_COOKIE)?.strip_prefix('='))?;
    let pair = format!("a={}", value.replace('+', "%2B"));
    let (_, author) = url::form_urlencoded::parse(pair.as_bytes()).next()?;
    Some(author.chars().filter(|c| !c.is_control()).take(super::message::MAX_AUTHOR).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_author_survives_its_cookie() {
        for author in ["Ada", "Zoë & co", "a+b=c; d", "李雷"] {
            let cookie = author_cookie(author);
            let pair = cookie.split(';').next().unwrap();
            assert_eq!(author_of(&format!("x=1; {pair}")).as_deref(), Some(author));
        }
        assert_eq!(author_of("x=1"), None);
    }

    #[test]
    fn a_form_is_a_draft() {
        let draft = parse(b"content=a%0D%0Ab+c&author=%C3%BC&other=1");
        assert_eq!(draft.content.as_deref(), Some("a\r\nb c"));
        assert_eq!(draft.author.as_deref(), Some("\u{fc}"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_a_form_or_a_cookie_panic(bytes: Vec<u8>, author in ".{1,50}") {
            let _ = parse(&bytes);
            let _ = author_of(&String::from_utf8_lossy(&bytes));
            let cookie = author_cookie(&author);
            prop_assert!(cookie.is_ascii() && !cookie.contains(['\r', '\n']));
        }
    }
}
