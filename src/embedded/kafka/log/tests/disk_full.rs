//! A disk that fills up: a limit on the size of files does the same to a write, down to the part of it that still fits.
//! It holds for a whole process, so the test runs in one of its own.

use std::env;
use std::process::Command;

use kafka_protocol::error::ResponseError;
use rlimit::{Resource, setrlimit};

use super::*;

/// Set in the process that has the limit.
const LIMITED: &str = "LOG_TEST_DISK_FULL";

fn batch_of(sequence: i32) -> Bytes {
    produced(&[(5, &"v".repeat(700))], 0, Some(Producer { id: 1, epoch: 0, sequence }))
}

#[test]
fn nothing_corrupt_stays_and_it_goes_on_when_there_is_room() {
    if env::var_os(LIMITED).is_some() {
        return limited();
    }
    // Beyond the limit there is a signal as well, which is not to end the process.
    let name = concat!(module_path!(), "::nothing_corrupt_stays_and_it_goes_on_when_there_is_room");
    let name = name.split_once("::").unwrap().1;
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact \"$1\""])
        .arg(env::current_exe().unwrap())
        .arg(name)
        .env(LIMITED, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn limited() {
    let dir = dir();
    let mut log = open(&dir, &settings(), true);
    let batches: Vec<_> = (0..10).map(|sequence| append(&mut log, &batch_of(sequence))).collect();
    let size = log.size();
    // Room for a part of the next batch; and then not even for that.
    for room in [100, 30, 0] {
        setrlimit(Resource::FSIZE, size + room, u64::MAX).unwrap();
        assert_eq!(log.append(batch_of(10), NOW), Err(ResponseError::KafkaStorageError));
        assert_eq!((log.size(), segment_files(&dir, "log")[0].metadata().unwrap().len()), (size, size));
        assert_eq!((all(&log), log.end_offset()), (batches.concat().into(), 10));
    }
    setrlimit(Resource::FSIZE, u64::MAX, u64::MAX).unwrap();
    let last = append(&mut log, &batch_of(10));
    let duplicate = log.append(batch_of(10), NOW).unwrap();
    assert!(duplicate.duplicate && duplicate.base_offset == 10);
    drop(log);
    let log = open(&dir, &settings(), false);
    assert_eq!(all(&log), [batches.concat().into(), last].concat());
}
