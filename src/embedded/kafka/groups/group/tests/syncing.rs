use super::*;

/// Two members in a generation whose leader has yet to assign.
fn two_joined() -> (Bench, i32) {
    let mut bench = Bench::new();
    bench.stable(1);
    let other = bench.join(joining(dynamic("")));
    bench.join(joining(dynamic("m1")));
    let generation = bench.joined(other).generation;
    (bench, generation)
}

#[test]
fn followers_wait_for_the_leader() {
    let (mut bench, generation) = two_joined();
    let follower = bench.sync(syncing("m2", generation, &[]));
    assert!(!bench.syncs.contains_key(&follower));
    let leader = bench.sync(syncing("m1", generation, &[("m1", "one"), ("m2", "two"), ("stranger", "three")]));
    assert_eq!(bench.assignment(follower), Ok(&b"two"[..]));
    assert_eq!(bench.assignment(leader), Ok(&b"one"[..]));
    let late = bench.sync(syncing("m2", generation, &[]));
    assert_eq!(bench.assignment(late), Ok(&b"two"[..]));
}

#[test]
fn whom_the_leader_leaves_out_gets_an_empty_assignment() {
    let (mut bench, generation) = two_joined();
    let follower = bench.sync(syncing("m2", generation, &[]));
    bench.sync(syncing("m1", generation, &[("m1", "one")]));
    assert_eq!(bench.assignment(follower), Ok(&b""[..]));
}

#[test]
fn a_follower_cannot_assign() {
    let (mut bench, generation) = two_joined();
    let follower = bench.sync(syncing("m2", generation, &[("m2", "all")]));
    assert!(!bench.syncs.contains_key(&follower));
    assert_eq!(bench.group.state(), GroupState::CompletingRebalance);
}

#[test]
fn a_sync_of_another_generation_member_or_protocol_is_refused() {
    let (mut bench, generation) = two_joined();
    let old = bench.sync(syncing("m2", generation - 1, &[]));
    assert_eq!(bench.assignment(old), Err(ResponseError::IllegalGeneration));
    let stranger = bench.sync(syncing("stranger", generation, &[]));
    assert_eq!(bench.assignment(stranger), Err(ResponseError::UnknownMemberId));
    let protocol = bench.sync(Sync { protocol: Some("q".to_owned()), ..syncing("m2", generation, &[]) });
    assert_eq!(bench.assignment(protocol), Err(ResponseError::InconsistentGroupProtocol));
    let kind = bench.sync(Sync { protocol_type: Some("connect".to_owned()), ..syncing("m2", generation, &[]) });
    assert_eq!(bench.assignment(kind), Err(ResponseError::InconsistentGroupProtocol));
}

#[test]
fn a_sync_while_members_join_is_told_to_rejoin() {
    let (mut bench, generation) = two_joined();
    bench.assign_ids();
    bench.join(joining(dynamic("m1")));
    let ticket = bench.sync(syncing("m2", generation, &[]));
    assert_eq!(bench.assignment(ticket), Err(ResponseError::RebalanceInProgress));
}

#[test]
fn a_new_rebalance_sends_those_who_wait_away() {
    let (mut bench, generation) = two_joined();
    let follower = bench.sync(syncing("m2", generation, &[]));
    bench.join(joining(dynamic("")));
    assert_eq!(bench.assignment(follower), Err(ResponseError::RebalanceInProgress));
}

#[test]
fn a_leader_that_never_syncs_is_dropped() {
    let (mut bench, generation) = two_joined();
    let follower = bench.sync(syncing("m2", generation, &[]));
    for _ in 0..12 {
        let _ = bench.heartbeat("m1", generation);
        bench.wait(seconds(5));
    }
    assert_eq!(bench.assignment(follower), Err(ResponseError::RebalanceInProgress));
    assert_eq!(bench.ids(), ["m2"]);
    assert_eq!(bench.heartbeat("m1", generation), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_follower_that_never_syncs_is_dropped_from_a_stable_group() {
    let (mut bench, generation) = two_joined();
    bench.sync(syncing("m1", generation, &[]));
    assert_eq!(bench.group.state(), GroupState::Stable);
    for _ in 0..12 {
        let _ = bench.heartbeat("m1", generation);
        let _ = bench.heartbeat("m2", generation);
        bench.wait(seconds(5));
    }
    assert_eq!(bench.ids(), ["m1"]);
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
}

#[test]
fn nobody_is_dropped_when_all_have_synced() {
    let (mut bench, generation) = two_joined();
    bench.assign_ids();
    for _ in 0..30 {
        bench.heartbeat("m1", generation).unwrap();
        bench.heartbeat("m2", generation).unwrap();
        bench.wait(seconds(5));
    }
    assert_eq!(bench.ids(), ["m1", "m2"]);
}

#[test]
fn assignments_that_cannot_be_kept_are_not_handed_out() {
    let (mut bench, generation) = two_joined();
    let follower = bench.sync(syncing("m2", generation, &[]));
    bench.store.fails = true;
    let leader = bench.sync(syncing("m1", generation, &[("m1", "one"), ("m2", "two")]));
    assert_eq!(bench.assignment(leader), Err(ResponseError::CoordinatorNotAvailable));
    assert_eq!(bench.assignment(follower), Err(ResponseError::CoordinatorNotAvailable));
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
}

#[test]
fn heartbeats_tell_where_the_group_stands() {
    let (mut bench, generation) = two_joined();
    assert_eq!(bench.heartbeat("m1", generation), Ok(()));
    bench.assign_ids();
    assert_eq!(bench.heartbeat("m1", generation), Ok(()));
    assert_eq!(bench.heartbeat("m1", generation - 1), Err(ResponseError::IllegalGeneration));
    assert_eq!(bench.heartbeat("stranger", generation), Err(ResponseError::UnknownMemberId));
    bench.join(joining(dynamic("m1")));
    assert_eq!(bench.heartbeat("m2", generation), Err(ResponseError::RebalanceInProgress));
}

#[test]
fn an_earlier_sync_of_the_same_member_is_not_left_waiting() {
    let (mut bench, generation) = two_joined();
    let earlier = bench.sync(syncing("m2", generation, &[]));
    let later = bench.sync(syncing("m2", generation, &[]));
    assert_eq!(bench.assignment(earlier), Err(ResponseError::RebalanceInProgress));
    bench.sync(syncing("m1", generation, &[("m2", "two")]));
    assert_eq!(bench.assignment(later), Ok(&b"two"[..]));
}

#[test]
fn describe_tells_metadata_and_assignments_only_of_a_stable_group() {
    let (mut bench, _) = two_joined();
    let before = bench.group.describe();
    assert_eq!(
        (before.state, before.protocol.as_str(), before.members.len()),
        (GroupState::CompletingRebalance, "", 2)
    );
    assert!(before.members.iter().all(|member| member.metadata.is_empty() && member.assignment.is_empty()));
    bench.assign_ids();
    let after = bench.group.describe();
    assert_eq!((after.protocol_type.as_str(), after.protocol.as_str()), ("test", "p"));
    assert_eq!((&*after.members[1].metadata, &*after.members[1].assignment), (&b"m"[..], &b"m2"[..]));
    assert_eq!((after.members[0].client_id.as_str(), after.members[0].client_host.as_str()), ("client", "/127.0.0.1"));
}
