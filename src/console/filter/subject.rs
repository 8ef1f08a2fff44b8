//! A record as filters see it.

use std::cell::OnceCell;

use bytes::Bytes;

/// A record's header: the name's bytes, and the value's.
pub type Header = (Bytes, Option<Bytes>);

/// What is asked whether it matches.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: &'a [Header],
    /// The value as text, looked at when it is first needed.
    pub text: OnceCell<Option<&'a str>>,
}

impl<'a> Subject<'a> {
    /// The value as text, if it is UTF-8.
    pub fn value_text(&self) -> Option<&'a str> {
        *self.text.get_or_init(|| self.value.and_then(|value| std::str::from_utf8(value).ok()))
    }

    /// The bytes of key, value and headers.
    pub fn size(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + length(value.as_deref()));
        length(self.key) + length(self.value) + headers.sum::<usize>()
    }
}
