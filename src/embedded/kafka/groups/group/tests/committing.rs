use super::*;
use crate::embedded::kafka::groups::subscription;

fn offset(bench: &Bench, topic: &str, partition: i32) -> Option<i64> {
    let found = bench.group.committed(Some(&[(topic.to_owned(), partition)]));
    found[0].2.as_ref().map(|committed| committed.offset)
}

#[test]
fn a_simple_consumer_commits_to_a_group_without_members() {
    let mut bench = Bench::new();
    let results = bench.commit(dynamic(""), -1, &[commit("t", 0, 5), commit("t", 1, 6)]).unwrap();
    assert!(results.iter().all(|(_, _, result)| result.is_ok()));
    assert_eq!((offset(&bench, "t", 0), offset(&bench, "t", 1), offset(&bench, "t", 2)), (Some(5), Some(6), None));
    assert_eq!(bench.group.committed(None).len(), 2);
    assert!(!bench.group.is_over(seconds(1_000_000), &bench.settings));
    assert_eq!(bench.group.listing().protocol_type, "");
}

#[test]
fn a_simple_consumer_cannot_commit_to_a_group_with_members() {
    let mut bench = Bench::new();
    bench.stable(1);
    assert_eq!(bench.commit(dynamic(""), -1, &[commit("t", 0, 5)]), Err(ResponseError::UnknownMemberId));
    assert_eq!(offset(&bench, "t", 0), None);
}

#[test]
fn a_member_commits_in_its_generation() {
    let mut bench = Bench::new();
    let generation = bench.stable(2);
    bench.commit(dynamic("m1"), generation, &[commit("t", 0, 5)]).unwrap();
    let old = bench.commit(dynamic("m1"), generation - 1, &[commit("t", 0, 4)]);
    assert_eq!(old, Err(ResponseError::IllegalGeneration));
    let stranger = bench.commit(dynamic("stranger"), generation, &[commit("t", 0, 4)]);
    assert_eq!(stranger, Err(ResponseError::UnknownMemberId));
    assert_eq!(offset(&bench, "t", 0), Some(5));
}

#[test]
fn members_commit_while_others_join_but_not_before_they_are_assigned_anew() {
    let mut bench = Bench::new();
    let generation = bench.stable(2);
    bench.join(joining(dynamic("m1")));
    bench.commit(dynamic("m2"), generation, &[commit("t", 0, 5)]).unwrap();
    bench.join(joining(dynamic("m2")));
    let early = bench.commit(dynamic("m2"), generation + 1, &[commit("t", 0, 6)]);
    assert_eq!(early, Err(ResponseError::RebalanceInProgress));
    assert_eq!(offset(&bench, "t", 0), Some(5));
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut bench = Bench::new();
    let generation = bench.stable(1);
    for number in 0..5 {
        bench.wait(seconds(6));
        bench.commit(dynamic("m1"), generation, &[commit("t", 0, number)]).unwrap();
    }
}

#[test]
fn too_much_metadata_is_refused_for_its_partition_alone() {
    let mut bench = Bench::new();
    let with = |partition, metadata: String| Commit { metadata, ..commit("t", partition, 1) };
    let offsets = [with(0, "x".repeat(4_097)), with(1, "ä".repeat(4_096))];
    let results = bench.commit(dynamic(""), -1, &offsets).unwrap();
    assert_eq!(results[0].2, Err(ResponseError::OffsetMetadataTooLarge));
    assert_eq!(results[1].2, Ok(()));
    assert_eq!((offset(&bench, "t", 0), offset(&bench, "t", 1)), (None, Some(1)));
}

#[test]
fn a_commit_that_cannot_be_kept_does_not_happen() {
    let mut bench = Bench::new();
    bench.commit(dynamic(""), -1, &[commit("t", 0, 5)]).unwrap();
    bench.store.fails = true;
    let failed = bench.commit(dynamic(""), -1, &[commit("t", 0, 6)]);
    assert_eq!(failed, Err(ResponseError::CoordinatorNotAvailable));
    assert_eq!(offset(&bench, "t", 0), Some(5));
}

#[test]
fn offsets_outlive_the_members() {
    let mut bench = Bench::new();
    let generation = bench.stable(1);
    bench.commit(dynamic("m1"), generation, &[commit("t", 0, 5)]).unwrap();
    bench.leave(&[dynamic("m1")]);
    bench.wait(seconds(1_000_000));
    assert!(!bench.group.is_over(bench.now, &bench.settings));
    assert_eq!(offset(&bench, "t", 0), Some(5));
}

#[test]
fn offsets_of_a_topic_somebody_subscribes_to_are_not_deleted() {
    let mut bench = Bench::new();
    let consumer = |topics| Join {
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), subscription::encode(1, topics, 1))],
        ..joining(dynamic(""))
    };
    bench.commit(dynamic(""), -1, &[commit("read", 0, 5), commit("unread", 0, 6)]).unwrap();
    bench.join(consumer(&["read"]));
    let partitions = ["read", "unread", "unknown"].map(|topic| (topic.to_owned(), 0));
    let results = bench.turn(|group, turn| group.delete_offsets(turn, &partitions)).unwrap();
    let results = results.into_iter().map(|(_, _, result)| result);
    assert!(results.eq([Err(ResponseError::GroupSubscribedToTopic), Ok(()), Ok(())]));
    assert_eq!((offset(&bench, "read", 0), offset(&bench, "unread", 0)), (Some(5), None));
    assert!(bench.store.image.groups["g"].offsets.get("unread", 0).is_none());
}

#[test]
fn nobody_knows_what_the_members_of_other_groups_need() {
    let mut bench = Bench::new();
    bench.stable(1);
    let refused = bench.turn(|group, turn| group.delete_offsets(turn, &[("t".to_owned(), 0)]));
    assert_eq!(refused, Err(ResponseError::NonEmptyGroup));
}

#[test]
fn a_subscription_that_cannot_be_read_may_be_to_anything() {
    let mut bench = Bench::new();
    bench.join(Join { protocol_type: "consumer".to_owned(), ..joining(dynamic("")) });
    let results = bench.turn(|group, turn| group.delete_offsets(turn, &[("t".to_owned(), 0)])).unwrap();
    assert_eq!(results[0].2, Err(ResponseError::GroupSubscribedToTopic));
}

#[test]
fn a_group_that_lost_its_last_offsets_is_forgotten() {
    let mut bench = Bench::new();
    bench.commit(dynamic(""), -1, &[commit("t", 0, 5)]).unwrap();
    bench.turn(|group, turn| group.delete_offsets(turn, &[("t".to_owned(), 0)])).unwrap();
    assert!(bench.group.is_over(bench.now, &bench.settings));
    assert!(bench.store.image.groups.is_empty());
}

#[test]
fn only_a_group_without_members_may_be_deleted() {
    let mut bench = Bench::new();
    bench.stable(1);
    assert_eq!(bench.group.validate_delete(), Err(ResponseError::NonEmptyGroup));
    bench.leave(&[dynamic("m1")]);
    assert_eq!(bench.group.validate_delete(), Ok(()));
}
