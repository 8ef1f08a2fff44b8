//! The groups' journal: entries that are cut at the byte 0, each with a length and a checksum that are right; or, after a
//! first byte that is odd, the bytes as they are.

use std::fs;

use kboard::embedded::kafka::groups::{Commit, Coordinator, GroupSettings, Identity};
use tempfile::TempDir;

use super::folder;

const MAGIC: &[u8] = b"kbgroup1";

/// Opens it, looks at everything, commits something, and opens it again.
pub fn run(data: &[u8]) {
    let [how, entries @ ..] = data else { return };
    let mut journal = MAGIC.to_vec();
    if how & 1 == 1 {
        journal.extend_from_slice(entries);
    } else {
        for entry in entries.split(|byte| *byte == 0) {
            journal.extend_from_slice(&(entry.len() as u32).to_be_bytes());
            journal.extend_from_slice(&crc32c::crc32c(entry).to_be_bytes());
            journal.extend_from_slice(entry);
        }
    }
    let dir = folder();
    fs::write(dir.path().join("groups.journal"), journal).expect("it can be written");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let Ok(groups) = Coordinator::open(dir.path(), GroupSettings::default()) else { return };
        let nobody = Identity { member_id: String::new(), instance_id: None };
        let commit =
            Commit { topic: "t".to_owned(), partition: 0, offset: 7, leader_epoch: 0, metadata: String::new() };
        groups.commit("fuzz", -1, &nobody, vec![commit]).ok();
        tokio::task::yield_now().await;
        let before = everything(&groups);
        groups.close();
        drop(groups);
        assert_eq!(before, reopened(&dir));
    });
}

fn reopened(dir: &TempDir) -> Vec<String> {
    everything(&Coordinator::open(dir.path(), GroupSettings::default()).expect("what it wrote can be read"))
}

/// Everything that is to be told of all groups.
fn everything(groups: &Coordinator) -> Vec<String> {
    let told = |group: &str| format!("{:?} {:?}", groups.describe(group), groups.committed(group, None));
    groups.list().into_iter().map(|listing| format!("{listing:?} {}", told(&listing.group))).collect()
}

/// An entry of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let member = r#"{"member_id":"m","instance_id":"i","client_id":"c","client_host":"/h","session_timeout_ms":10000,"rebalance_timeout_ms":60000,"protocols":[["range","AAA="]],"assignment":"AQI="}"#;
    let group = format!(
        r#"{{"Group":{{"group":"g","generation":3,"protocol_type":"consumer","protocol":"range","leader":"m","members":[{member}]}}}}"#
    );
    let entries = [
        group.as_str(),
        r#"{"Offsets":{"group":"g","offsets":[{"topic":"t","partition":0,"offset":5,"leader_epoch":-1,"metadata":""}]}}"#,
        r#"{"DeletedOffsets":{"group":"g","partitions":[["t",0]]}}"#,
        r#"{"DeletedTopic":{"topic":"t"}}"#,
        r#"{"DeletedGroup":{"group":"h"}}"#,
    ];
    let mut seeds: Vec<_> = entries.iter().map(|entry| [&[0], entry.as_bytes()].concat()).collect();
    seeds.push([&[0], entries.join("\0").as_bytes()].concat());
    seeds
}
