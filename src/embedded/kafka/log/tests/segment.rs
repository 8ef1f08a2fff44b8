//! Writes that fail, and indexes that lead astray.

use std::collections::VecDeque;

use super::super::tests::{batch, dir, placed};
use super::*;

/// Takes as much as it is told to, and then nothing more.
struct Disk {
    takes: VecDeque<io::Result<usize>>,
    written: Vec<u8>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.takes.pop_front().unwrap_or(Ok(0))?.min(bytes.len());
        self.written.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(takes: impl IntoIterator<Item = io::Result<usize>>) -> (io::Result<()>, Vec<u8>) {
    let mut disk = Disk { takes: takes.into_iter().collect(), written: Vec::new() };
    let result = write_all(&mut disk, [b"abc", b"defg"]);
    (result, disk.written)
}

fn segment(dir: &Arc<Path>, count: i64) -> Segment {
    let mut segment = Segment::create(dir, 0).unwrap();
    (0..count).for_each(|offset| append(&mut segment, offset).unwrap());
    segment
}

fn append(segment: &mut Segment, offset: i64) -> io::Result<()> {
    let batch = placed(&batch(&[(offset, &"v".repeat(900))]), offset);
    segment.append(&Header::read(&batch).unwrap(), &batch[super::super::batch::HEADER..])
}

#[test]
fn a_write_that_stops_halfway_goes_on() {
    let interrupted = || Err(ErrorKind::Interrupted.into());
    let (result, written) = write([Ok(2), interrupted(), Ok(9), Ok(1), Ok(9)]);
    assert_eq!((result.is_ok(), &written[..]), (true, &b"abcdefg"[..]));
    let (result, written) = write([Ok(3), Ok(2), Err(ErrorKind::StorageFull.into())]);
    assert_eq!((result.unwrap_err().kind(), &written[..]), (ErrorKind::StorageFull, &b"abcde"[..]));
    assert_eq!(write([Ok(3)]).0.unwrap_err().kind(), ErrorKind::WriteZero);
}

#[cfg(target_os = "linux")]
#[test]
fn a_part_of_a_batch_that_cannot_be_cut_is_cut_by_the_next_append() {
    let dir = dir();
    let path: Arc<Path> = Arc::from(dir.path());
    let mut segment = segment(&path, 3);
    let size = segment.size();
    let file = segment.file.replace(Arc::new(OpenOptions::new().write(true).open("/dev/full").unwrap()));
    append(&mut segment, 3).unwrap_err();
    assert!(segment.torn && segment.size() == size && segment.next_offset() == 3);
    fs::write(segment.log_path(), [fs::read(segment.log_path()).unwrap(), vec![1; 500]].concat()).unwrap();
    segment.file = file;
    append(&mut segment, 3).unwrap();
    let (recovered, cut) = Segment::recover(&path, 0).unwrap();
    assert_eq!((recovered.next_offset(), cut), (4, 0));
}

#[test]
fn indexes_say_where_an_offset_and_a_time_are() {
    let dir = dir();
    let segment = segment(&Arc::from(dir.path()), 50);
    for offset in 0..50 {
        let (position, header) = segment.find(offset).unwrap();
        assert_eq!((position, header.base_offset()), (segment.size() / 50 * offset as u64, offset));
        let skipped = offset - segment.offset_before(offset);
        assert!((0..=6).contains(&skipped), "{skipped} batches to walk to {offset}");
        assert!(position - segment.position_before(offset) < INDEX_INTERVAL + 1_000);
    }
    assert_eq!((segment.offsets.len(), segment.times.len()), (9, 9));
    assert!(segment.find(50).is_err());
}

#[test]
fn an_index_that_leads_astray_costs_the_way_from_the_start() {
    let dir = dir();
    let path: Arc<Path> = Arc::from(dir.path());
    let mut segment = segment(&path, 50);
    segment.seal();
    let index = Segment::path(&path, 0, OFFSET_INDEX);
    let mut bytes = fs::read(&index).unwrap();
    bytes[4..32].fill(7);
    fs::write(&index, bytes).unwrap();
    let (segment, whole) = Segment::open(&path, 0).unwrap();
    assert!(whole);
    for offset in 0..50 {
        assert_eq!(segment.find(offset).unwrap().1.base_offset(), offset);
    }
}

#[test]
fn a_new_index_has_the_entries_of_the_old_one() {
    let dir = dir();
    let path: Arc<Path> = Arc::from(dir.path());
    segment(&path, 50).seal();
    let indexes = || [OFFSET_INDEX, TIME_INDEX].map(|extension| fs::read(Segment::path(&path, 0, extension)).unwrap());
    let before = indexes();
    for (extension, recover) in [(OFFSET_INDEX, false), (TIME_INDEX, false), (TIME_INDEX, true)] {
        fs::remove_file(Segment::path(&path, 0, extension)).unwrap();
        let segment = if recover { Segment::recover(&path, 0).unwrap().0 } else { Segment::open(&path, 0).unwrap().0 };
        assert_eq!((segment.next_offset(), segment.max_timestamp()), (50, 49));
        assert_eq!(indexes(), before);
    }
}
