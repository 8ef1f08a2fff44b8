use super::*;
use crate::embedded::kafka::groups::subscription;

/// A stable group of static members, instances `i` (member `m1`, who leads) and `j` (`m2`); its generation.
fn two_static(join: impl Fn(Identity) -> Join) -> (Bench, i32) {
    let mut bench = Bench::new();
    bench.settings.initial_rebalance_delay = seconds(1);
    bench.join(join(fixed("", "i")));
    bench.join(join(fixed("", "j")));
    bench.wait(seconds(2));
    bench.assign_ids();
    let generation = bench.group.generation;
    (bench, generation)
}

#[test]
fn a_static_member_is_not_asked_to_come_back_with_an_id() {
    let mut bench = Bench::new();
    let ticket = bench.join(Join { must_know_id: true, ..joining(fixed("", "i")) });
    assert_eq!(bench.joined(ticket).member_id, "m1");
}

#[test]
fn a_restarted_static_follower_keeps_its_assignment_without_a_rebalance() {
    let (mut bench, generation) = two_static(joining);
    let ticket = bench.join(joining(fixed("", "j")));
    let joined = bench.joined(ticket).clone();
    assert_eq!((joined.generation, joined.leader.as_str(), joined.skip_assignment), (generation, "m1", false));
    assert_eq!(bench.group.state(), GroupState::Stable);
    let synced = bench.sync(Sync { member: fixed(&joined.member_id, "j"), ..syncing("", generation, &[]) });
    assert_eq!(bench.assignment(synced), Ok(&b"m2"[..]));
    let record = bench.store.image.groups["g"].record.clone().unwrap();
    assert!(record.members.iter().any(|member| member.member_id == joined.member_id));
    assert!(record.members.iter().all(|member| member.member_id != "m2"));
}

#[test]
fn a_restarted_static_leader_leads_on_and_does_not_assign() {
    let (mut bench, generation) = two_static(joining);
    let ticket = bench.join(joining(fixed("", "i")));
    let joined = bench.joined(ticket);
    assert_eq!((joined.generation, joined.skip_assignment, joined.members.len()), (generation, true, 2));
    assert_eq!(joined.leader, joined.member_id);
}

#[test]
fn an_older_client_is_not_told_that_it_leads() {
    let (mut bench, _) = two_static(joining);
    let ticket = bench.join(Join { can_skip_assignment: false, ..joining(fixed("", "i")) });
    let joined = bench.joined(ticket);
    assert_eq!((joined.leader.as_str(), joined.skip_assignment, joined.members.len()), ("m1", false, 0));
    assert_ne!(joined.member_id, "m1");
}

#[test]
fn the_replaced_member_is_fenced() {
    let (mut bench, generation) = two_static(joining);
    bench.join(joining(fixed("", "j")));
    let old = fixed("m2", "j");
    let beat = bench.turn(|group, turn| group.heartbeat(turn, generation, &old));
    assert_eq!(beat, Err(ResponseError::FencedInstanceId));
    assert_eq!(bench.commit(old.clone(), generation, &[commit("t", 0, 1)]), Err(ResponseError::FencedInstanceId));
    let join = bench.join(joining(old.clone()));
    assert_eq!(bench.join_error(join), ResponseError::FencedInstanceId);
    let sync = bench.sync(Sync { member: old.clone(), ..syncing("", generation, &[]) });
    assert_eq!(bench.assignment(sync), Err(ResponseError::FencedInstanceId));
    assert_eq!(bench.leave(&[old]), [Err(ResponseError::FencedInstanceId)]);
}

#[test]
fn the_waiting_join_of_a_replaced_member_is_fenced() {
    let (mut bench, _) = two_static(joining);
    let old = bench.join(supporting(fixed("m2", "j"), &[("p", b"other")]));
    let new = bench.join(joining(fixed("", "j")));
    assert_eq!(bench.join_error(old), ResponseError::FencedInstanceId);
    assert!(!bench.joins.contains_key(&new));
    bench.join(joining(fixed("m1", "i")));
    assert_eq!(bench.joined(new).members.len(), 0);
    assert_eq!(bench.group.members.len(), 2);
}

#[test]
fn the_waiting_sync_of_a_replaced_member_is_fenced_and_all_rejoin() {
    let mut bench = Bench::new();
    bench.settings.initial_rebalance_delay = seconds(1);
    bench.join(joining(fixed("", "i")));
    bench.join(joining(fixed("", "j")));
    bench.wait(seconds(2));
    let generation = bench.group.generation;
    let old = bench.sync(Sync { member: fixed("m2", "j"), ..syncing("", generation, &[]) });
    bench.join(joining(fixed("", "j")));
    assert_eq!(bench.assignment(old), Err(ResponseError::FencedInstanceId));
    // The leader may have been assigning to the old id.
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
}

#[test]
fn a_static_member_with_other_metadata_starts_a_rebalance() {
    let (mut bench, _) = two_static(joining);
    let ticket = bench.join(supporting(fixed("", "j"), &[("p", b"other")]));
    assert!(!bench.joins.contains_key(&ticket));
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
}

#[test]
fn a_static_member_whose_votes_change_the_choice_starts_a_rebalance() {
    let (mut bench, _) = two_static(|member| supporting(member, &[("p", b"m"), ("q", b"m")]));
    bench.join(supporting(fixed("", "j"), &[("q", b"m")]));
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
}

#[test]
fn a_restarted_static_consumer_that_subscribes_to_the_same_topics_starts_no_rebalance() {
    let consumer = |generation: i32, topics: &'static [&'static str]| {
        move |member: Identity| Join {
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), subscription::encode(3, topics, generation))],
            ..joining(member)
        }
    };
    let (mut bench, generation) = two_static(consumer(5, &["a", "b"]));
    let same = bench.join(consumer(-1, &["a", "b"])(fixed("", "j")));
    assert_eq!(bench.joined(same).generation, generation);
    bench.join(consumer(-1, &["a"])(fixed("", "j")));
    assert_eq!(bench.group.state(), GroupState::PreparingRebalance);
}

#[test]
fn a_replacement_that_cannot_be_kept_does_not_happen() {
    let (mut bench, generation) = two_static(joining);
    bench.store.fails = true;
    let ticket = bench.join(joining(fixed("", "i")));
    assert_eq!(bench.join_error(ticket), ResponseError::CoordinatorNotAvailable);
    let old = fixed("m1", "i");
    assert_eq!(bench.turn(|group, turn| group.heartbeat(turn, generation, &old)), Ok(()));
    assert!(bench.group.is_leader("m1"));
    assert_eq!(bench.ids(), ["m1", "m2"]);
}

#[test]
fn a_static_member_replaces_itself_in_a_full_group_too() {
    let (mut bench, generation) = two_static(joining);
    bench.settings.max_members = 2;
    let ticket = bench.join(joining(fixed("", "j")));
    assert_eq!(bench.joined(ticket).generation, generation);
    let other = bench.join(joining(fixed("", "k")));
    assert_eq!(bench.join_error(other), ResponseError::GroupMaxSizeReached);
}

#[test]
fn a_known_static_member_rejoins_by_its_member_id() {
    let (mut bench, generation) = two_static(joining);
    let follower = bench.join(joining(fixed("m2", "j")));
    assert_eq!(bench.joined(follower).generation, generation);
    let unknown = bench.join(joining(fixed("m2", "nobody")));
    assert_eq!(bench.join_error(unknown), ResponseError::UnknownMemberId);
}
