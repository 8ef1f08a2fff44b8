use super::*;

#[test]
fn the_first_member_leads_a_generation_of_its_own() {
    let mut bench = Bench::new();
    let ticket = bench.join(joining(dynamic("")));
    let joined = bench.joined(ticket).clone();
    assert_eq!((joined.generation, joined.leader.as_str(), joined.member_id.as_str()), (1, "m1", "m1"));
    assert_eq!((joined.protocol_type.as_str(), joined.protocol.as_str()), ("test", "p"));
    assert_eq!(joined.members, [(dynamic("m1"), Bytes::from_static(b"m"))]);
    assert_eq!(bench.group.state(), GroupState::CompletingRebalance);
}

#[test]
fn a_dynamic_member_comes_back_with_the_id_it_was_given() {
    let mut bench = Bench::new();
    let first = bench.join(Join { must_know_id: true, ..joining(dynamic("")) });
    let refused = bench.joins[&first].clone().unwrap_err();
    assert_eq!((refused.error, refused.member_id.as_str()), (ResponseError::MemberIdRequired, "m1"));
    assert_eq!(bench.group.state(), GroupState::Empty);
    let second = bench.join(Join { must_know_id: true, ..joining(dynamic("m1")) });
    assert_eq!(bench.joined(second).member_id, "m1");
}

#[test]
fn an_id_that_nobody_joined_with_lapses() {
    let mut bench = Bench::new();
    bench.join(Join { must_know_id: true, ..joining(dynamic("")) });
    bench.wait(SESSION);
    assert!(bench.group.is_over(bench.now, &bench.settings));
    let late = bench.join(Join { must_know_id: true, ..joining(dynamic("m1")) });
    assert_eq!(bench.join_error(late), ResponseError::UnknownMemberId);
}

#[test]
fn a_rebalance_waits_for_those_who_were_given_an_id() {
    let mut bench = Bench::new();
    bench.stable(1);
    bench.join(Join { must_know_id: true, ..joining(dynamic("")) });
    assert_eq!(bench.group.state(), GroupState::Stable);
    let leader = bench.join(joining(dynamic("m1")));
    assert!(!bench.joins.contains_key(&leader));
    let ids: Vec<String> = bench.group.pending.keys().cloned().collect();
    let other = bench.join(joining(dynamic(&ids[0])));
    assert_eq!(bench.joined(leader).generation, 2);
    assert_eq!(bench.joined(other).generation, 2);
}

#[test]
fn a_lapsed_id_lets_the_others_go_on() {
    let mut bench = Bench::new();
    bench.stable(1);
    bench.join(Join { must_know_id: true, ..joining(dynamic("")) });
    let leader = bench.join(joining(dynamic("m1")));
    bench.wait(SESSION - seconds(1));
    assert!(!bench.joins.contains_key(&leader));
    bench.wait(seconds(1));
    assert_eq!(bench.joined(leader).generation, 2);
}

#[test]
fn a_join_with_an_unknown_id_is_refused() {
    let mut bench = Bench::new();
    bench.stable(1);
    let ticket = bench.join(joining(dynamic("nobody")));
    assert_eq!(bench.join_error(ticket), ResponseError::UnknownMemberId);
    assert_eq!(bench.group.state(), GroupState::Stable);
}

#[test]
fn another_protocol_type_or_none_in_common_is_inconsistent() {
    let mut bench = Bench::new();
    bench.stable(1);
    let other_type = bench.join(Join { protocol_type: "connect".to_owned(), ..joining(dynamic("")) });
    assert_eq!(bench.join_error(other_type), ResponseError::InconsistentGroupProtocol);
    let other_protocol = bench.join(supporting(dynamic(""), &[("q", b"")]));
    assert_eq!(bench.join_error(other_protocol), ResponseError::InconsistentGroupProtocol);
}

#[test]
fn no_protocols_are_inconsistent_even_in_an_empty_group() {
    let mut bench = Bench::new();
    let none = bench.join(supporting(dynamic(""), &[]));
    assert_eq!(bench.join_error(none), ResponseError::InconsistentGroupProtocol);
    let no_type = bench.join(Join { protocol_type: String::new(), ..joining(dynamic("")) });
    assert_eq!(bench.join_error(no_type), ResponseError::InconsistentGroupProtocol);
    assert!(bench.group.is_over(bench.now, &bench.settings));
}

#[test]
fn the_protocol_with_most_votes_that_all_support_is_chosen() {
    let mut bench = Bench::new();
    bench.settings.initial_rebalance_delay = seconds(3);
    let first = bench.join(supporting(dynamic(""), &[("only", b""), ("a", b""), ("b", b"")]));
    bench.join(supporting(dynamic(""), &[("b", b""), ("a", b"")]));
    bench.join(supporting(dynamic(""), &[("b", b""), ("a", b"")]));
    bench.wait(seconds(10));
    assert_eq!(bench.joined(first).protocol, "b");
}

#[test]
fn a_full_group_takes_nobody_in_but_its_members() {
    let mut bench = Bench::new();
    bench.settings.max_members = 2;
    bench.stable(2);
    let third = bench.join(joining(dynamic("")));
    assert_eq!(bench.join_error(third), ResponseError::GroupMaxSizeReached);
    bench.join(joining(dynamic("m1")));
    let rejoined = bench.join(joining(dynamic("m2")));
    assert_eq!(bench.joined(rejoined).members.len(), 0);
    assert_eq!(bench.ids(), ["m1", "m2"]);
}

#[test]
fn the_last_to_rejoin_a_group_that_became_too_large_is_turned_away() {
    let mut bench = Bench::new();
    bench.stable(2);
    bench.settings.max_members = 1;
    let leader = bench.join(joining(dynamic("m1")));
    let other = bench.join(joining(dynamic("m2")));
    assert_eq!(bench.join_error(other), ResponseError::GroupMaxSizeReached);
    assert_eq!(bench.joined(leader).members.len(), 1);
}

#[test]
fn ids_are_not_given_out_without_end() {
    let mut bench = Bench::new();
    bench.settings.max_members = 2;
    let tickets = [0; 3].map(|_| bench.join(Join { must_know_id: true, ..joining(dynamic("")) }));
    assert_eq!(bench.join_error(tickets[1]), ResponseError::MemberIdRequired);
    assert_eq!(bench.join_error(tickets[2]), ResponseError::GroupMaxSizeReached);
}

#[test]
fn a_follower_with_the_same_metadata_gets_the_current_generation() {
    let mut bench = Bench::new();
    let generation = bench.stable(2);
    let ticket = bench.join(joining(dynamic("m2")));
    let joined = bench.joined(ticket);
    assert_eq!((joined.generation, joined.leader.as_str(), joined.members.len()), (generation, "m1", 0));
    assert_eq!(bench.group.state(), GroupState::Stable);
    let again = bench.sync(syncing("m2", generation, &[]));
    assert_eq!(bench.assignment(again), Ok(&b"m2"[..]));
}

#[test]
fn a_follower_with_other_metadata_starts_a_rebalance() {
    let mut bench = Bench::new();
    let generation = bench.stable(2);
    let ticket = bench.join(supporting(dynamic("m2"), &[("p", b"other")]));
    assert!(!bench.joins.contains_key(&ticket));
    assert_eq!(bench.heartbeat("m1", generation), Err(ResponseError::RebalanceInProgress));
}

#[test]
fn a_leader_that_joins_starts_a_rebalance_with_the_same_metadata_too() {
    let mut bench = Bench::new();
    bench.stable(2);
    bench.join(joining(dynamic("m1")));
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
}

#[test]
fn who_missed_the_answer_to_its_join_gets_it_again() {
    let mut bench = Bench::new();
    bench.join(joining(dynamic("")));
    let again = bench.join(joining(dynamic("m1")));
    assert_eq!((bench.joined(again).generation, bench.joined(again).members.len()), (1, 1));
    let changed = bench.join(supporting(dynamic("m1"), &[("p", b"other")]));
    assert_eq!(bench.joined(changed).generation, 2);
}

#[test]
fn an_earlier_join_of_the_same_member_is_not_left_waiting() {
    let mut bench = Bench::new();
    bench.stable(2);
    let earlier = bench.join(joining(dynamic("m1")));
    let later = bench.join(joining(dynamic("m1")));
    assert_eq!(bench.join_error(earlier), ResponseError::RebalanceInProgress);
    assert!(!bench.joins.contains_key(&later));
}

#[test]
fn a_new_member_that_waits_too_long_in_its_first_join_is_dropped() {
    let mut bench = Bench::new();
    bench.settings.new_member_join_timeout = seconds(20);
    bench.stable(1);
    let ticket = bench.join(joining(dynamic("")));
    for _ in 0..4 {
        bench.heartbeat("m1", 1).unwrap_err();
        bench.wait(seconds(5));
    }
    assert_eq!(bench.join_error(ticket), ResponseError::UnknownMemberId);
    assert_eq!(bench.ids(), ["m1"]);
}
