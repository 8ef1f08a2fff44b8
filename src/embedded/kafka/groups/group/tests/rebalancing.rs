use super::*;

#[test]
fn the_first_members_wait_for_more_if_they_are_told_to() {
    let mut bench = Bench::new();
    bench.settings.initial_rebalance_delay = seconds(3);
    let first = bench.join(joining(dynamic("")));
    bench.wait(seconds(2));
    let second = bench.join(joining(dynamic("")));
    // The second one had the others wait for another delay.
    bench.wait(seconds(3));
    assert!(bench.joins.is_empty());
    bench.wait(seconds(1));
    assert_eq!(bench.joined(first).members.len(), 2);
    assert_eq!(bench.joined(second).generation, 1);
}

#[test]
fn the_initial_delay_is_not_extended_beyond_the_rebalance_timeout() {
    let mut bench = Bench::new();
    bench.settings.initial_rebalance_delay = seconds(3);
    let join = |id: &str| Join { rebalance_timeout: seconds(7), ..joining(dynamic(id)) };
    let first = bench.join(join(""));
    for _ in 0..6 {
        bench.wait(seconds(1));
        bench.join(join(""));
    }
    assert!(bench.joins.is_empty());
    bench.wait(seconds(1));
    assert_eq!(bench.joined(first).members.len(), 7);
}

#[test]
fn the_longest_rebalance_timeout_counts() {
    let mut bench = Bench::new();
    bench.settings.initial_rebalance_delay = seconds(1);
    bench.join(Join { rebalance_timeout: seconds(5), ..joining(dynamic("")) });
    bench.join(Join { rebalance_timeout: seconds(30), ..joining(dynamic("")) });
    bench.wait(seconds(2));
    bench.assign_ids();
    let third = bench.join(Join { rebalance_timeout: seconds(5), ..joining(dynamic("")) });
    assert_eq!(bench.group.join_timer.unwrap().at - bench.now, seconds(30));
    bench.leave(&[dynamic("m3")]);
    assert_eq!(bench.join_error(third), ResponseError::UnknownMemberId);
}

#[test]
fn who_does_not_rejoin_in_time_is_dropped() {
    let mut bench = Bench::new();
    let generation = bench.stable(2);
    let leader = bench.join(joining(dynamic("m1")));
    // The other goes on heartbeating, so that its session doesn't end.
    for _ in 0..12 {
        assert_eq!(bench.heartbeat("m2", generation), Err(ResponseError::RebalanceInProgress));
        bench.wait(seconds(5));
    }
    assert_eq!(bench.joined(leader).members.len(), 1);
    assert_eq!(bench.heartbeat("m2", generation), Err(ResponseError::UnknownMemberId));
}

#[test]
fn a_leader_that_does_not_rejoin_is_followed_by_one_who_did() {
    let mut bench = Bench::new();
    bench.stable(2);
    let follower = bench.join(supporting(dynamic("m2"), &[("p", b"other")]));
    bench.wait(REBALANCE);
    assert_eq!((bench.joined(follower).leader.as_str(), bench.joined(follower).members.len()), ("m2", 1));
}

#[test]
fn a_session_that_ends_starts_a_rebalance() {
    let mut bench = Bench::new();
    let generation = bench.stable(2);
    bench.wait(seconds(6));
    bench.heartbeat("m1", generation).unwrap();
    bench.wait(seconds(6));
    assert_eq!(bench.ids(), ["m1"]);
    assert_eq!(bench.heartbeat("m1", generation), Err(ResponseError::RebalanceInProgress));
    let ticket = bench.join(joining(dynamic("m1")));
    assert_eq!(bench.joined(ticket).generation, generation + 1);
}

#[test]
fn a_session_does_not_end_while_its_member_waits() {
    let mut bench = Bench::new();
    let generation = bench.stable(2);
    let waiting = bench.join(joining(dynamic("m1")));
    for _ in 0..8 {
        bench.wait(seconds(5));
        bench.heartbeat("m2", generation).unwrap_err();
    }
    assert_eq!(bench.ids(), ["m1", "m2"]);
    bench.join(joining(dynamic("m2")));
    assert_eq!(bench.joined(waiting).generation, generation + 1);
    // Its session begins anew with the answer.
    bench.wait(SESSION - seconds(1));
    assert_eq!(bench.ids(), ["m1", "m2"]);
}

#[test]
fn a_group_whose_members_are_silent_is_empty_and_then_forgotten() {
    let mut bench = Bench::new();
    bench.stable(2);
    bench.wait(SESSION);
    assert_eq!(bench.group.state(), GroupState::Empty);
    assert_eq!(bench.group.listing().protocol_type, "test");
    assert!(bench.store.image.groups["g"].record.as_ref().unwrap().members.is_empty());
    let retention = bench.settings.empty_retention;
    assert!(!bench.group.is_over(bench.now, &bench.settings));
    assert!(bench.group.is_over(bench.now + retention, &bench.settings));
}

#[test]
fn generations_go_on_growing_after_a_group_was_empty() {
    let mut bench = Bench::new();
    let generation = bench.stable(1);
    bench.leave(&[dynamic("m1")]);
    let ticket = bench.join(joining(dynamic("")));
    assert!(bench.joined(ticket).generation > generation);
}

#[test]
fn a_static_member_that_does_not_rejoin_keeps_its_place_until_its_session_ends() {
    let mut bench = Bench::new();
    bench.join(Join { session_timeout: seconds(300), ..joining(fixed("", "i")) });
    bench.assign_ids();
    let second = bench.join(joining(dynamic("")));
    bench.wait(REBALANCE);
    assert_eq!((bench.joined(second).leader.as_str(), bench.joined(second).members.len()), ("m2", 2));
}

#[test]
fn a_rebalance_that_no_static_member_joins_is_tried_again_until_their_sessions_end() {
    let mut bench = Bench::new();
    bench.settings.initial_rebalance_delay = seconds(1);
    let patient = |instance| Join { session_timeout: seconds(300), ..joining(fixed("", instance)) };
    bench.join(patient("i"));
    bench.join(patient("j"));
    bench.wait(seconds(2));
    bench.assign_ids();
    bench.leave(&[fixed("", "i")]);
    bench.wait(seconds(200));
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
    bench.wait(seconds(100));
    assert_eq!(bench.group.state(), GroupState::Empty);
}

#[test]
fn a_restored_group_knows_its_members_and_begins_their_sessions_anew() {
    let mut bench = Bench::new();
    let generation = bench.stable(2);
    bench.commit(dynamic("m1"), generation, &[commit("t", 0, 5)]).unwrap();
    let saved = bench.store.image.groups["g"].clone();
    bench.group = Group::restore("g", saved, bench.now);
    assert_eq!(bench.group.state(), GroupState::Stable);
    bench.wait(SESSION - seconds(1));
    bench.heartbeat("m2", generation).unwrap();
    bench.commit(dynamic("m1"), generation, &[commit("t", 0, 6)]).unwrap();
    let ticket = bench.sync(syncing("m2", generation, &[]));
    assert_eq!(bench.assignment(ticket), Ok(&b"m2"[..]));
    assert!(bench.group.is_leader("m1"));
}
