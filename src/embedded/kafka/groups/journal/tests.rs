use proptest::prelude::*;

use super::*;
use crate::embedded::kafka::groups::types::Commit;

fn record(group: &str, generation: i32, members: usize) -> GroupRecord {
    let member = |number| MemberRecord {
        member_id: format!("m{number}"),
        instance_id: (number % 2 == 0).then(|| format!("i{number}")),
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        protocols: vec![("range".to_owned(), Blob(vec![0, 255, number as u8].into()))],
        assignment: Blob(vec![number as u8; 3].into()),
    };
    GroupRecord {
        group: group.to_owned(),
        generation,
        protocol_type: Some("consumer".to_owned()),
        protocol: Some("range".to_owned()),
        leader: Some("m0".to_owned()),
        members: (0..members).map(member).collect(),
    }
}

fn offsets(group: &str, partition: i32, offset: i64) -> Entry {
    let commit = Commit { topic: "t".to_owned(), partition, offset, leader_epoch: 0, metadata: "ä\"\n".to_owned() };
    Entry::Offsets { group: group.to_owned(), offsets: vec![commit] }
}

fn entry() -> impl Strategy<Value = Entry> {
    let group = prop_oneof![Just("a"), Just("b")];
    prop_oneof![
        (group.clone(), 0..100_i32, 0..3_usize)
            .prop_map(|(group, generation, members)| Entry::Group(record(group, generation, members))),
        (group.clone(), 0..3_i32, 0..1_000_i64)
            .prop_map(|(group, partition, offset)| offsets(group, partition, offset)),
        (group.clone(), 0..3_i32).prop_map(|(group, partition)| Entry::DeletedOffsets {
            group: group.to_owned(),
            partitions: vec![("t".to_owned(), partition)],
        }),
        group.prop_map(|group| Entry::DeletedGroup { group: group.to_owned() }),
        prop_oneof![Just("t"), Just("u")].prop_map(|topic| Entry::DeletedTopic { topic: topic.to_owned() }),
    ]
}

fn path(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join(NAME)
}

fn length(dir: &tempfile::TempDir) -> u64 {
    fs::metadata(path(dir)).unwrap().len()
}

/// The images after no entry, after the first, and so on.
fn prefixes(entries: &[Entry]) -> Vec<Image> {
    let mut images = vec![Image::default()];
    for entry in entries {
        let mut image = images[images.len() - 1].clone();
        image.apply(entry.clone());
        images.push(image);
    }
    images
}

#[test]
fn what_was_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, image) = Journal::open(dir.path()).unwrap();
    assert_eq!(image, Image::default());
    journal.append(&Entry::Group(record("a", 3, 2))).unwrap();
    journal.append(&offsets("a", 0, 7)).unwrap();
    drop(journal);
    let (_, image) = Journal::open(dir.path()).unwrap();
    assert_eq!(image.groups["a"].record, Some(record("a", 3, 2)));
    assert_eq!(image.groups["a"].offsets.get("t", 0).unwrap().offset, 7);
}

#[test]
fn opening_leaves_out_what_no_longer_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(dir.path()).unwrap();
    for offset in 0..1_000 {
        journal.append(&offsets("a", 0, offset)).unwrap();
    }
    drop(journal);
    let before = length(&dir);
    let (_, image) = Journal::open(dir.path()).unwrap();
    assert!(length(&dir) < before / 100);
    assert_eq!(Journal::open(dir.path()).unwrap().1, image);
    assert!(!dir.path().join("groups.journal.new").exists());
}

#[test]
fn a_compact_journal_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(dir.path()).unwrap();
    journal.append(&Entry::Group(record("a", 3, 2))).unwrap();
    journal.append(&offsets("a", 0, 7)).unwrap();
    drop(journal);
    let before = fs::metadata(path(&dir)).unwrap().modified().unwrap();
    drop(Journal::open(dir.path()).unwrap());
    assert_eq!(fs::metadata(path(&dir)).unwrap().modified().unwrap(), before);
}

#[test]
fn a_journal_in_use_is_rewritten_when_it_is_mostly_garbage() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, mut image) = Journal::open(dir.path()).unwrap();
    let mut rewritten = 0;
    for offset in 0..100_000 {
        let entry = offsets("a", 0, offset);
        journal.append(&entry).unwrap();
        image.apply(entry);
        if journal.is_mostly_garbage() {
            journal.rewrite(image.entries());
            rewritten += 1;
        }
    }
    assert!((1..10).contains(&rewritten));
    assert!(length(&dir) < SMALL);
    drop(journal);
    assert_eq!(Journal::open(dir.path()).unwrap().1, image);
}

#[test]
fn a_failed_write_leaves_nothing_behind_and_the_next_one_works() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(dir.path()).unwrap();
    journal.append(&offsets("a", 0, 1)).unwrap();
    // A handle that can only read: neither can what was begun be taken back.
    let writable = std::mem::replace(&mut journal.file, File::open(path(&dir)).unwrap());
    journal.append(&offsets("a", 0, 2)).unwrap_err();
    journal.append(&offsets("a", 0, 3)).unwrap_err();
    journal.file = writable;
    // As if the failed write had got halfway.
    OpenOptions::new().append(true).open(path(&dir)).unwrap().write_all(&[7; 10_000]).unwrap();
    journal.append(&offsets("a", 1, 4)).unwrap();
    assert_eq!(length(&dir), journal.length);
    journal.sync().unwrap();
    drop(journal);
    let (_, image) = Journal::open(dir.path()).unwrap();
    let found: Vec<i64> = image.groups["a"].offsets.iter().map(|(.., committed)| committed.offset).collect();
    assert_eq!(found, [1, 4]);
}

#[test]
fn a_rewrite_that_fails_keeps_the_old_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(dir.path()).unwrap();
    journal.append(&offsets("a", 0, 1)).unwrap();
    fs::create_dir(dir.path().join("groups.journal.new")).unwrap();
    journal.rewrite(std::iter::empty());
    journal.append(&offsets("a", 1, 2)).unwrap();
    drop(journal);
    // Opening can't rewrite it either, and does without.
    assert_eq!(Journal::open(dir.path()).unwrap().1.groups["a"].offsets.iter().count(), 2);
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(path(&dir), b"somebody's diary").unwrap();
    assert_eq!(Journal::open(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(fs::read(path(&dir)).unwrap(), b"somebody's diary");
}

#[test]
fn an_entry_of_a_later_version_is_not_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let payload = br#"{"Something":{"new":1}}"#;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(payload).to_be_bytes());
    bytes.extend_from_slice(payload);
    fs::write(path(&dir), &bytes).unwrap();
    assert!(Journal::open(dir.path()).unwrap_err().to_string().contains("doesn't know"));
    assert_eq!(fs::read(path(&dir)).unwrap(), bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_journal_that_was_cut_anywhere_says_what_was_true_at_some_time(
        entries in prop::collection::vec(entry(), 0..30),
        cut in 0.0..=1.0_f64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        let mut ends = vec![journal.length];
        for entry in &entries {
            journal.append(entry).unwrap();
            ends.push(journal.length);
        }
        drop(journal);
        let length = (length(&dir) as f64 * cut) as u64;
        OpenOptions::new().write(true).open(path(&dir)).unwrap().set_len(length).unwrap();
        let whole = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
        let (mut journal, image) = Journal::open(dir.path()).unwrap();
        prop_assert_eq!(&image, &prefixes(&entries)[whole]);
        // And it goes on from there.
        let next = offsets("a", 9, 9);
        journal.append(&next).unwrap();
        drop(journal);
        let mut expected = image;
        expected.apply(next);
        prop_assert_eq!(Journal::open(dir.path()).unwrap().1, expected);
    }

    #[test]
    fn a_flipped_bit_costs_what_follows_and_nothing_before(
        entries in prop::collection::vec(entry(), 1..20),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let mut bytes = MAGIC.to_vec();
        let mut ends = vec![bytes.len()];
        for entry in &entries {
            entry::encode(entry, &mut bytes).unwrap();
            ends.push(bytes.len());
        }
        let place = MAGIC.len() + place.index(bytes.len() - MAGIC.len());
        bytes[place] ^= 1 << bit;
        let (image, end) = read(&bytes).unwrap();
        let whole = ends.iter().filter(|end| **end <= place).count() - 1;
        prop_assert_eq!(end, ends[whole]);
        prop_assert_eq!(&image, &prefixes(&entries)[whole]);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), headed in any::<bool>()) {
        let mut all = if headed { MAGIC.to_vec() } else { Vec::new() };
        all.extend(bytes);
        let _ = read(&all);
    }

    #[test]
    fn compact_entries_say_the_same(entries in prop::collection::vec(entry(), 0..40)) {
        let image = prefixes(&entries).pop().unwrap();
        let mut again = Image::default();
        image.entries().for_each(|entry| again.apply(entry));
        prop_assert_eq!(again, image);
    }
}
