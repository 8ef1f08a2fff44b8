//! What a broker answers to a reader: the first byte says whether the first batch is sealed, the second from where it is
//! read.

use bytes::Bytes;
use kafka_protocol::records::Compression;
use kboard::record_batch::{Aborted, Decoder, Entry};

use super::{produced, seal};

/// Decompressed at most; the true limit is a matter of memory.
const LIMIT: usize = 1 << 20;

/// Reads all of it. Offsets grow, whatever happens; where it ends is where it was said to.
pub fn run(data: &[u8]) {
    let [how, from, batches @ ..] = data else { return };
    let mut batches = batches.to_vec();
    if how & 1 == 0 {
        seal(&mut batches);
    }
    let aborted = vec![Aborted { producer_id: 2, first_offset: 0 }];
    let mut decoder = Decoder::new(Bytes::from(batches), i64::from(*from), LIMIT).with_aborted(aborted, how & 2 == 0);
    let (end, mut next) = (decoder.end_offset(), decoder.next_offset());
    while let Some(entry) = decoder.next() {
        match entry {
            Entry::Record(record) => {
                assert!(record.offset >= next);
                assert_eq!(record.headers.iter().count(), record.headers.len());
                assert_eq!(record.detached(), record);
            }
            Entry::Unreadable(unreadable) => assert!(unreadable.base_offset <= unreadable.last_offset),
        }
        assert!(decoder.next_offset() >= next);
        next = decoder.next_offset();
    }
    let went_to = decoder.next_offset();
    assert!(end.is_none_or(|end| end == went_to), "it said {end:?} and went to {went_to}");
}

/// Batches under every compression.
pub fn seeds() -> Vec<Vec<u8>> {
    let all = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let batches = all.map(|compression| produced(2, 0, &[5, 8, 6], "value", compression));
    batches
        .iter()
        .flat_map(|batch| [[&[0, 0], &batch[..]].concat(), [&[3, 1], &batch[..], &batch[..]].concat()])
        .collect()
}
