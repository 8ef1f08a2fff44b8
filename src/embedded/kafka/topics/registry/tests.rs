use std::fs;

use tempfile::TempDir;

use super::super::settings::Change;
use super::*;
use crate::embedded::kafka::testing::batch;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(folder: &TempDir) -> Registry {
    Registry::open(Options::new(folder.path())).expect("the folder opens")
}

fn create(registry: &Registry, name: &str, partitions: i32) -> Uuid {
    let new = NewTopic { name: name.to_owned(), partitions, settings: Settings::new() };
    registry.create(new, false).expect("a topic").id
}

fn append(registry: &Registry, topic: &str, index: i32, records: i64) {
    let partition = registry.partition(topic, index).expect("there");
    partition.append(batch(records), 0).expect("appended");
}

fn end(registry: &Registry, topic: &str, index: i32) -> i64 {
    *registry.partition(topic, index).expect("there").end_offset().borrow()
}

#[test]
fn topics_outlive_the_process_with_everything_about_them() {
    let folder = folder();
    let registry = open(&folder);
    let (cluster, a) = (registry.cluster_id().to_owned(), create(&registry, "a", 12));
    create(&registry, "b", 1);
    create(&registry, "c", 1);
    registry.add_partitions("b", 3, false).expect("more partitions");
    registry.change("a", vec![("retention.ms".to_owned(), Change::Set("5".to_owned()))], false).expect("a setting");
    registry.delete("c").expect("deleted");
    append(&registry, "a", 11, 3);
    registry.close().expect("closed");
    drop(registry);

    let registry = open(&folder);
    assert_eq!(registry.cluster_id(), cluster);
    let topics = registry.all();
    let found: Vec<_> = topics.iter().map(|topic| (topic.name.as_str(), topic.partitions.len())).collect();
    assert_eq!(found, [("a", 12), ("b", 3)]);
    assert_eq!(registry.get_by_id(a).expect("by id").settings["retention.ms"], "5");
    let indexes: Vec<_> = topics[0].partitions.iter().map(|partition| partition.index()).collect();
    assert_eq!(indexes, (0..12).collect::<Vec<_>>());
    assert_eq!((end(&registry, "a", 11), end(&registry, "a", 0)), (3, 0));
}

#[test]
fn only_an_end_in_order_is_taken_for_one() {
    let folder = folder();
    let mark = folder.path().join("clean");
    let registry = open(&folder);
    create(&registry, "a", 1);
    assert!(!mark.exists());
    registry.close().expect("closed");
    assert!(mark.exists());
    drop(registry);
    let registry = open(&folder);
    assert!(!mark.exists(), "what happens from here on is not in order yet");
    drop(registry);
    open(&folder);
    assert!(!mark.exists());
}

#[test]
fn a_closed_registry_answers_that_somebody_else_leads() {
    let folder = folder();
    let registry = open(&folder);
    create(&registry, "a", 1);
    let partition = registry.partition("a", 0).expect("there");
    registry.close().expect("closed");
    assert_eq!(partition.append(batch(1), 0).err(), Some(ResponseError::NotLeaderOrFollower));
    assert_eq!(registry.delete("a").expect_err("refused").error, ResponseError::NotController);
    let new = NewTopic { name: "b".to_owned(), partitions: 1, settings: Settings::new() };
    assert_eq!(registry.create(new, false).expect_err("refused").error, ResponseError::NotController);
}

#[test]
fn a_second_process_is_refused_with_the_folders_name() {
    let folder = folder();
    let registry = open(&folder);
    let refused = Registry::open(Options::new(folder.path())).err().expect("refused").to_string();
    assert!(refused.contains(&folder.path().display().to_string()), "{refused}");
    assert!(refused.contains(&format!("(process {})", std::process::id())), "{refused}");
    drop(registry);
    open(&folder);
}

#[test]
fn a_deleted_topic_is_gone_for_those_who_hold_it_and_from_the_disk() {
    let folder = folder();
    let registry = open(&folder);
    let first = create(&registry, "a", 2);
    append(&registry, "a", 0, 3);
    let held = registry.partition("a", 0).expect("there");
    assert_eq!(registry.delete("a").expect("deleted"), first);
    assert_eq!(held.append(batch(1), 0).err(), Some(ResponseError::UnknownTopicOrPartition));
    assert!(registry.get("a").is_none() && registry.get_by_id(first).is_none());
    for directory in ["topics", "deleted"] {
        assert_eq!(fs::read_dir(folder.path().join(directory)).expect("listed").count(), 0);
    }
    let second = create(&registry, "a", 1);
    assert_ne!(first, second);
    assert_eq!(end(&registry, "a", 0), 0);
}

#[test]
fn a_deletion_that_was_cut_short_is_finished_at_the_next_start() {
    let folder = folder();
    let registry = open(&folder);
    let id = create(&registry, "a", 3);
    create(&registry, "b", 1);
    drop(registry);
    let moved = folder.path().join("deleted").join(format!("{id}-0"));
    fs::rename(folder.path().join("topics/a-0"), moved).expect("moved");

    let registry = open(&folder);
    assert_eq!(registry.all().iter().map(|topic| topic.name.clone()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(fs::read_dir(folder.path().join("deleted")).expect("listed").count(), 0);
    assert!(!folder.path().join("stray").exists());
    drop(registry);
    assert_eq!(open(&folder).all().len(), 1);
}

#[test]
fn directories_of_no_topic_are_kept_aside_and_never_become_part_of_one() {
    let folder = folder();
    let registry = open(&folder);
    create(&registry, "b", 1);
    drop(registry);
    fs::create_dir(folder.path().join("topics/a-0")).expect("made");
    fs::write(folder.path().join("topics/a-0/file"), b"old").expect("written");

    let registry = open(&folder);
    create(&registry, "a", 1);
    assert_eq!(end(&registry, "a", 0), 0);
    let aside = fs::read_dir(folder.path().join("stray")).expect("listed").next().expect("one").expect("readable");
    assert_eq!(fs::read(aside.path().join("a-0/file")).expect("kept"), b"old");
}

#[test]
fn a_list_of_topics_that_makes_no_sense_is_an_error_that_names_it() {
    let folder = folder();
    let registry = open(&folder);
    create(&registry, "a", 1);
    drop(registry);
    let list = folder.path().join("topics.json");
    let good = fs::read_to_string(&list).expect("the list");
    for (bad, words) in [
        ("{", "EOF"),
        (&good.replace("\"format\": 1", "\"format\": 9"), "its format is 9"),
        (&good.replace("\"a\"", "\"../a\""), "contains one or more characters"),
        (&good.replace("\"settings\": {}", "\"settings\": {\"x\": \"1\"}"), "Unknown topic config name: x"),
    ] {
        fs::write(&list, bad).expect("written");
        let error = Registry::open(Options::new(folder.path())).err().expect("refused").to_string();
        assert!(error.contains("topics.json") && error.contains(words), "{error}");
    }
    fs::remove_file(&list).expect("removed");
    let error = Registry::open(Options::new(folder.path())).err().expect("refused").to_string();
    assert!(error.contains("missing, although there are 1 partitions"), "{error}");
    fs::write(&list, good).expect("written");
    assert_eq!(open(&folder).all().len(), 1);
}

#[test]
fn there_are_no_more_topics_and_partitions_than_allowed() {
    let folder = folder();
    let registry =
        Registry::open(Options { max_topics: 2, max_partitions: 5, ..Options::new(folder.path()) }).expect("open");
    let refused = |name: &str, partitions| {
        let new = NewTopic { name: name.to_owned(), partitions, settings: Settings::new() };
        registry.create(new, false).expect_err("refused").error
    };
    assert_eq!(refused("a", 6), ResponseError::PolicyViolation);
    create(&registry, "a", 2);
    create(&registry, "b", 1);
    assert_eq!(refused("c", 1), ResponseError::PolicyViolation);
    let more = registry.add_partitions("a", 5, false).expect_err("refused");
    assert_eq!(more.error, ResponseError::PolicyViolation);
    registry.add_partitions("a", 4, false).expect("five in all");
}

#[test]
fn what_cant_be_written_is_refused_and_leaves_nothing() {
    let folder = folder();
    let registry = open(&folder);
    // A directory where a file has to be: the list can't be written.
    fs::create_dir(folder.path().join("topics.json.new")).expect("made");
    let new = NewTopic { name: "a".to_owned(), partitions: 2, settings: Settings::new() };
    let refused = registry.create(new.clone(), false).expect_err("refused");
    assert_eq!(refused.error, ResponseError::KafkaStorageError);
    assert!(registry.all().is_empty());
    assert_eq!(fs::read_dir(folder.path().join("topics")).expect("listed").count(), 0);
    fs::remove_dir(folder.path().join("topics.json.new")).expect("removed");
    registry.create(new, false).expect("now it can be");
}
