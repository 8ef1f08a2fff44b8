//! A dead letter as it is read: the record that failed, and what became of it.

use bytes::Bytes;

use super::{ATTEMPTS, ERROR, FAILED_AT, GROUP, OF_RETRY, ORIGIN_OFFSET, ORIGIN_PARTITION, ORIGIN_TOPIC, OURS};
use super::{SENT_BACK, VALUE_BYTES, origin_of};
use crate::kafka::bulk::BulkRecord;
use crate::kafka::event::{Headers, RETRY_COUNT, RETRY_GROUP, header_str};
use crate::kafka::fetch::Record;

/// A word of an error at least this long that has a digit in it is taken for an id.
const ID_LENGTH: usize = 16;

/// A dead letter.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    /// The dead-letter topic.
    pub topic: String,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its time, in milliseconds since the epoch; -1 if it has none.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers, with those of the dead letter.
    pub headers: Headers,
    /// The topic it came from: as its headers say, else by the name of the dead-letter topic.
    pub origin: Option<String>,
    /// The partition it came from.
    pub origin_partition: Option<i32>,
    /// Its offset there.
    pub origin_offset: Option<i64>,
    /// The group that gave up.
    pub group: Option<String>,
    /// Why.
    pub error: Option<String>,
    /// How often it was tried.
    pub attempts: Option<u32>,
    /// When it was given up, in milliseconds since the epoch.
    pub failed_at: Option<i64>,
    /// How many bytes its value had, when the dead-letter topic did not take it.
    pub missing_bytes: Option<u64>,
    /// How often it was sent back before.
    pub retries: u32,
}

impl Letter {
    /// Reads `record` of a partition of `topic`; `None` of a marker.
    pub fn read(topic: &str, partition: i32, record: &Record) -> Option<Self> {
        // It outlives the answer that it came in.
        let Record { offset, timestamp, key, value, .. } = record.detached();
        let (topic, headers) = (topic.to_owned(), headers(record));
        let letter = Self { topic, partition, offset, timestamp, key, value, headers, ..Self::default() };
        marked(&letter.headers).is_none().then(|| letter.told())
    }

    /// Fills in what the headers say.
    fn told(self) -> Self {
        let text = |name| header_str(&self.headers, name).map(str::to_owned);
        Self {
            origin: text(ORIGIN_TOPIC).or_else(|| origin_of(&self.topic).map(str::to_owned)),
            origin_partition: number(&self.headers, ORIGIN_PARTITION),
            origin_offset: number(&self.headers, ORIGIN_OFFSET),
            group: text(GROUP),
            error: text(ERROR),
            attempts: number(&self.headers, ATTEMPTS),
            failed_at: number(&self.headers, FAILED_AT),
            missing_bytes: number(&self.headers, VALUE_BYTES),
            retries: number(&self.headers, RETRY_COUNT).unwrap_or(0),
            ..self
        }
    }

    /// What kind of error it died of: the error without what differs from record to record, so that kinds can be counted.
    pub fn kind(&self) -> String {
        self.error.as_deref().map_or_else(|| "no error given".to_owned(), kind_of)
    }

    /// The topic that it can go back to with its value, or one that somebody gave it anew, or with none; or why it can't.
    pub fn way_back(&self, has_value: bool) -> Result<&str, &'static str> {
        if self.missing_bytes.is_some() && !has_value {
            return Err("its value was too large for the dead-letter topic and is not in the letter");
        }
        self.origin.as_deref().ok_or("it does not say which topic it came from")
    }

    /// The record as it is sent back: without what a retry or a dead letter added, counting that it is tried once more, and
    /// for the group that gave it up: the others of its topic have dealt with it.
    pub fn revived(&self) -> BulkRecord {
        let own = |name: &str| !name.starts_with(OURS) && !name.starts_with(OF_RETRY);
        let mut headers: Headers = self.headers.iter().filter(|(name, _)| own(name)).cloned().collect();
        headers.push((RETRY_COUNT.to_owned(), Some((self.retries + 1).to_string().into())));
        headers.extend(self.group.clone().map(|group| (RETRY_GROUP.to_owned(), Some(group.into()))));
        BulkRecord {
            key: self.key.clone(),
            value: self.value.clone(),
            headers,
            partition: self.origin_partition,
            timestamp: None,
        }
    }
}

/// The headers of `record`; a name that is not text keeps what of it is.
pub(super) fn headers(record: &Record) -> Headers {
    let owned = |(name, value): (&[u8], Option<&[u8]>)| {
        (String::from_utf8_lossy(name).into_owned(), value.map(Bytes::copy_from_slice))
    };
    record.headers.iter().map(owned).collect()
}

/// The offsets that a record with these headers says were sent back; `None` when it is no marker.
pub(super) fn marked(headers: &Headers) -> Option<Vec<i64>> {
    let text = header_str(headers, SENT_BACK)?;
    let runs = text.split(',').filter_map(|run| {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        Some(first.parse::<i64>().ok()?..=last.parse().ok()?)
    });
    // A run is of letters that were in hand together; one that is longer was not written by us.
    Some(runs.filter(|run| run.end() - run.start() < super::send_back::AT_ONCE as i64).flatten().collect())
}

/// `offsets`, in order, as [`marked`] reads them.
pub(super) fn mark(offsets: &[i64]) -> String {
    let runs = offsets.chunk_by(|a, b| a + 1 == *b).filter_map(|run| match run {
        [] => None,
        [only] => Some(only.to_string()),
        [first, .., last] => Some(format!("{first}-{last}")),
    });
    runs.collect::<Vec<_>>().join(",")
}

fn number<T: std::str::FromStr>(headers: &Headers, name: &str) -> Option<T> {
    header_str(headers, name)?.parse().ok()
}

/// `error` with a # for each number and each id.
fn kind_of(error: &str) -> String {
    let mut kind = String::with_capacity(error.len());
    let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut rest = error;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_of_word(c) != is_of_word(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let has_digit = run.bytes().any(|byte| byte.is_ascii_digit());
        let differs = has_digit && (run.len() >= ID_LENGTH || run.starts_with(|c: char| c.is_ascii_digit()));
        kind.push_str(if differs { "#" } else { run });
        rest = after;
    }
    kind
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn letter(headers: &[(&str, &'static str)]) -> Letter {
        let header =
            |(name, value): &(&str, &'static str)| ((*name).to_owned(), Some(Bytes::from_static(value.as_bytes())));
        let headers = headers.iter().map(header).collect();
        Letter {
            topic: "orders.dlq".into(),
            key: Some("k".into()),
            value: Some("v".into()),
            headers,
            ..Letter::default()
        }
        .told()
    }

    #[test]
    fn a_letter_tells_its_history() {
        let told = letter(&[
            ("x-dlq-topic", "orders"),
            ("x-dlq-partition", "2"),
            ("x-dlq-offset", "41"),
            ("x-dlq-group", "billing"),
            ("x-dlq-error", "no price"),
            ("x-dlq-attempts", "3"),
            ("x-dlq-timestamp", "1700"),
            ("x-retry-count", "1"),
        ]);
        assert_eq!(
            (told.origin.as_deref(), told.origin_partition, told.origin_offset),
            (Some("orders"), Some(2), Some(41))
        );
        assert_eq!(
            (told.group.as_deref(), told.attempts, told.failed_at, told.retries),
            (Some("billing"), Some(3), Some(1700), 1)
        );
    }

    #[test]
    fn a_letter_of_another_program_comes_from_where_its_topic_says() {
        let bare = letter(&[]);
        assert_eq!(
            (bare.origin.as_deref(), bare.origin_partition, bare.kind()),
            (Some("orders"), None, "no error given".into())
        );
    }

    #[test]
    fn what_is_sent_back_is_the_record_with_one_try_more() {
        let record = letter(&[
            ("a", "1"),
            ("x-retry-count", "2"),
            ("x-retry-history", "[]"),
            ("x-dlq-error", "e"),
            ("a", "2"),
            ("x-dlq-partition", "1"),
        ])
        .revived();
        let headers: Vec<_> =
            record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref().unwrap())).collect();
        assert_eq!(headers, [("a", &b"1"[..]), ("a", b"2"), ("x-retry-count", b"3")]);
        assert_eq!(
            (record.key.as_deref(), record.value.as_deref(), record.partition),
            (Some(&b"k"[..]), Some(&b"v"[..]), Some(1))
        );
    }

    #[test]
    fn what_is_sent_back_is_for_the_group_that_gave_it_up() {
        let record = letter(&[("x-retry-group", "shipping"), ("x-dlq-group", "billing")]).revived();
        let groups: Vec<_> = record.headers.iter().filter(|(name, _)| name == RETRY_GROUP).collect();
        assert_eq!(groups, [&(RETRY_GROUP.to_owned(), Some(Bytes::from("billing")))]);
    }

    #[test]
    fn errors_of_one_kind_differ_in_numbers_and_ids() {
        for (error, kind) in [
            ("expected `,` at line 1 column 17", "expected `,` at line # column #"),
            ("no order 0195c3a2-8f7e-7cc1-b3c1-000000000001 here", "no order # here"),
            ("user a195c3a2-8f7e-7cc1-b3c1-000000000001: gone", "user #: gone"),
            ("not utf8", "not utf8"),
            ("", ""),
        ] {
            assert_eq!(kind_of(error), kind);
        }
    }

    proptest! {
        #[test]
        fn marks_are_read_as_written(offsets in proptest::collection::btree_set(0..400_i64, 0..100)) {
            let offsets: Vec<i64> = offsets.into_iter().collect();
            let marker = vec![(SENT_BACK.to_owned(), Some(mark(&offsets).into()))];
            prop_assert_eq!(marked(&marker), Some(offsets));
        }

        #[test]
        fn no_mark_makes_reading_panic(text in "[0-9,-]{0,40}") {
            drop(marked(&vec![(SENT_BACK.to_owned(), Some(text.into()))]));
        }
    }
}
