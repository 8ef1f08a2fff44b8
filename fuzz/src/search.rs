//! A search, and a value that it is asked of: the first line is the search, the rest is the value. Then the value is shown
//! in every way.

use std::sync::Arc;

use bytes::Bytes;
use kboard::console::decode::{Format, preview, show};
use kboard::console::filter::{Column, Filter, Subject};
use kboard::kafka::fetch::{Batch, Compression, Headers, Record, TimestampType};

/// Nothing panics, and what is written of columns is read the same.
pub fn run(data: &[u8]) {
    let line = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (search, value) = (String::from_utf8_lossy(&data[..line]), data.get(line + 1..).unwrap_or_default());
    let record = record(value);
    let subject = Subject::new(0, &record);
    if let Ok(columns) = Column::parse_all(&search) {
        columns.iter().for_each(|column| drop(column.of(&subject)));
        let written = columns.iter().map(Column::to_string).collect::<Vec<_>>().join(",");
        assert_eq!(Column::parse_all(&written), Ok(columns), "written as {written:?}");
    }
    for match_case in [false, true] {
        if let Ok(Some(filter)) = Filter::parse(&search, match_case) {
            let _ = filter.matches(&subject);
            drop(preview(Some(value), Format::Text, filter.find(value)));
        }
    }
    for format in Format::ALL {
        for limit in [search.len(), usize::MAX] {
            assert!(show(value, format, limit).bytes <= value.len());
        }
        drop(preview(Some(value), format, None));
    }
}

fn record(value: &[u8]) -> Record {
    let batch = Batch {
        compression: Compression::None,
        timestamp_type: TimestampType::Create,
        transactional: false,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        leader_epoch: 0,
        base_offset: 0,
        bytes: 0,
        records: 1,
    };
    Record {
        offset: 0,
        timestamp: 1_700_000_000_000,
        key: Some(Bytes::copy_from_slice(value)),
        value: Some(Bytes::copy_from_slice(value)),
        headers: Headers::default(),
        aborted: false,
        batch: Arc::new(batch),
    }
}

/// Searches of every kind, with values of every kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let searches = [
        r#"$.a.b[0]["odd name"] == "x" && !($key.a < 1.5e3 || $header.h =~ /a+/i)"#,
        r#"$.level contains "\u00e9" && $timestamp >= "2026-01-31T12:00:00Z""#,
        r"/(a|b)*c/i",
        "\"plain\"",
        r#"$.a, $["b"][0],$key,$header["x y"].z"#,
        "$ exists || $size != null && true == $.t",
    ];
    let values: [&[u8]; 5] = [
        br#"{"a":{"b":[{"odd name":"x"}]},"a":1.50,"t":true,"level":"\u00e9"}"#,
        b"[[[[[1,[2,{\"a\":\"\\ud800\"}]]]]]]",
        b"\x82\xa1a\x01\xa4list\x93\x01\xc3\xa3abc",
        b"text \xff\xfe \x00 \xe2\x80\xae and more",
        b"\0\0\0\x05",
    ];
    let pair = |search: &str, value: &[u8]| [search.as_bytes(), b"\n", value].concat();
    searches.iter().flat_map(|search| values.map(|value| pair(search, value))).collect()
}
