//! What a producer sends as a batch, with a length and a checksum that are right: the first byte says whether the count is
//! made to fit as well, and whether what follows the header is compressed first.

use bytes::{Bytes, BytesMut};
use kafka_protocol::compression::{Compressor, Gzip, Lz4, Snappy, Zstd};
use kafka_protocol::records::Compression;
use kboard::embedded::kafka::log::Log;

use super::{NOW, OVERHEAD, folder, produced, seal, settings};

const HEADER: usize = 61;
const MAGIC: usize = 16;
const ATTRIBUTES: usize = 22;
const LAST_OFFSET_DELTA: usize = 23;
const COUNT: usize = 57;

/// Appends it, searches it, and opens the log again.
pub fn run(data: &[u8]) {
    let [how, batch @ ..] = data else { return };
    let Some((header, records)) = batch.split_first_chunk::<HEADER>() else { return };
    let mut batch = header.to_vec();
    batch[..LENGTH_END].fill(0);
    batch[MAGIC] = 2;
    let records = if how & 1 == 0 { Bytes::copy_from_slice(records) } else { compressed(header[ATTRIBUTES], records) };
    batch.extend_from_slice(&records);
    if how & 2 == 0 {
        let count = i32::from(batch[COUNT + 3]).max(1);
        batch[COUNT..COUNT + 4].copy_from_slice(&count.to_be_bytes());
        batch[LAST_OFFSET_DELTA..LAST_OFFSET_DELTA + 4].copy_from_slice(&(count - 1).to_be_bytes());
    }
    seal(&mut batch);
    let batch = Bytes::from(batch);

    let dir = folder();
    let open = || Log::open(dir.path().to_owned(), settings(), false).expect("the log opens");
    let mut log = open().log;
    let first = produced(1, 0, &[5, 7], "v", Compression::None);
    log.append(first, NOW).expect("a good batch is taken");
    let Ok(appended) = log.append(batch.clone(), NOW) else { return };
    assert!(appended.end_offset > appended.base_offset);
    let end = log.end_offset();
    assert_eq!(appended.end_offset, end);
    let read = log.read(appended.base_offset, usize::MAX, true).expect("it can be read");
    assert_eq!(read[OVERHEAD + 4..], batch[OVERHEAD + 4..]);
    for time in [0, 5, 6, NOW, i64::MAX] {
        if let Some((offset, found)) = log.offset_for_time(time).expect("it can be searched") {
            assert!(found >= time && (log.start_offset()..end).contains(&offset));
        }
    }
    log.max_timestamp().expect("it can be searched");
    log.delete_before(end - 1).expect("it is not beyond the end");
    log.max_timestamp().expect("it can be searched");
    let producers = log.producers();
    drop(log);
    let opened = open();
    assert_eq!((opened.cut, opened.log.end_offset(), opened.log.producers()), (0, end, producers));
}

/// Where the length ends: before it, there is nothing that a producer decides.
const LENGTH_END: usize = OVERHEAD;

fn compressed(attributes: u8, records: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    let write = |buffer: &mut BytesMut| {
        buffer.extend_from_slice(records);
        Ok(())
    };
    let done = match attributes & 7 {
        1 => Gzip::compress(&mut bytes, write),
        2 => Snappy::compress(&mut bytes, write),
        3 => Lz4::compress(&mut bytes, write),
        4 => Zstd::compress(&mut bytes, write),
        _ => write(&mut bytes),
    };
    done.expect("bytes can be compressed");
    bytes.freeze()
}

/// Batches under every compression, as they are and to be compressed.
pub fn seeds() -> Vec<Vec<u8>> {
    let all = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let plain = produced(2, 0, &[5, 8, 6], "value", Compression::None);
    let mut seeds = Vec::new();
    for (number, compression) in (0..).zip(all) {
        seeds.push([&[0], &produced(2, 0, &[5, 8, 6], "value", compression)[..]].concat());
        let mut to_compress = [&[1], &plain[..]].concat();
        to_compress[1 + ATTRIBUTES] |= number;
        seeds.push(to_compress);
    }
    seeds
}
