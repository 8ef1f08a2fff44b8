//! A record as filters see it.

use std::cell::OnceCell;

use crate::kafka::fetch::{Headers, Record};

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
    pub headers: &'a Headers,
    /// The value as text, looked at when it is first needed.
    text: OnceCell<Option<&'a str>>,
}

impl<'a> Subject<'a> {
    /// A record of `partition`.
    pub fn new(partition: i32, record: &'a Record) -> Self {
        let Record { offset, timestamp, key, value, headers, .. } = record;
        let (key, value) = (key.as_deref(), value.as_deref());
        Self { partition, offset: *offset, timestamp: *timestamp, key, value, headers, text: OnceCell::new() }
    }

    /// The value as text, if it is UTF-8.
    pub fn value_text(&self) -> Option<&'a str> {
        *self.text.get_or_init(|| self.value.and_then(|value| std::str::from_utf8(value).ok()))
    }

    /// The bytes of key, value and headers.
    pub fn size(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        length(self.key) + length(self.value) + self.headers.size()
    }
}
