use super::*;

#[test]
fn who_leaves_starts_a_rebalance_of_the_others() {
    let mut bench = Bench::new();
    let generation = bench.stable(2);
    assert_eq!(bench.leave(&[dynamic("m1")]), [Ok(())]);
    assert_eq!(bench.heartbeat("m1", generation), Err(ResponseError::UnknownMemberId));
    let ticket = bench.join(joining(dynamic("m2")));
    assert_eq!((bench.joined(ticket).leader.as_str(), bench.joined(ticket).members.len()), ("m2", 1));
}

#[test]
fn the_last_to_leave_leaves_an_empty_group() {
    let mut bench = Bench::new();
    bench.stable(1);
    bench.leave(&[dynamic("m1")]);
    assert_eq!(bench.group.state(), GroupState::Empty);
}

#[test]
fn several_leave_at_once_each_with_its_own_outcome() {
    let mut bench = Bench::new();
    bench.stable(3);
    bench.join(Join { must_know_id: true, ..joining(dynamic("")) });
    let given = bench.group.pending.keys().next().unwrap().clone();
    let left = bench.leave(&[dynamic("m1"), dynamic("nobody"), dynamic("m1"), dynamic(&given), fixed("", "none")]);
    let unknown = Err(ResponseError::UnknownMemberId);
    assert_eq!(left, [Ok(()), unknown, unknown, Ok(()), unknown]);
    assert_eq!(bench.group.members.len(), 2);
    assert!(bench.group.pending.is_empty());
}

#[test]
fn a_static_member_is_removed_by_its_instance_id() {
    let mut bench = Bench::new();
    bench.join(joining(fixed("", "i")));
    bench.assign_ids();
    assert_eq!(bench.leave(&[fixed("", "i")]), [Ok(())]);
    assert_eq!(bench.group.state(), GroupState::Empty);
    let again = bench.join(joining(fixed("", "i")));
    assert_eq!(bench.joined(again).members.len(), 1);
}

#[test]
fn an_id_given_back_disturbs_nobody_but_is_not_waited_for() {
    let mut bench = Bench::new();
    bench.stable(1);
    bench.join(Join { must_know_id: true, ..joining(dynamic("")) });
    let given = bench.group.pending.keys().next().unwrap().clone();
    assert_eq!(bench.leave(&[dynamic(&given)]), [Ok(())]);
    assert_eq!(bench.group.state(), GroupState::Stable);
    bench.join(Join { must_know_id: true, ..joining(dynamic("")) });
    let given = bench.group.pending.keys().next().unwrap().clone();
    let waiting = bench.join(joining(dynamic("m1")));
    bench.leave(&[dynamic(&given)]);
    assert_eq!(bench.joined(waiting).generation, 2);
}

#[test]
fn what_a_leaving_member_waits_for_is_answered() {
    let mut bench = Bench::new();
    bench.stable(2);
    let join = bench.join(joining(dynamic("m1")));
    bench.leave(&[dynamic("m1")]);
    assert_eq!(bench.join_error(join), ResponseError::UnknownMemberId);
    bench.join(joining(dynamic("m2")));
    bench.join(joining(dynamic("")));
    bench.join(joining(dynamic("m2")));
    let follower = bench.ids().into_iter().find(|id| *id != "m2").unwrap().to_owned();
    let sync = bench.sync(syncing(&follower, bench.group.generation, &[]));
    bench.leave(&[dynamic(&follower)]);
    assert_eq!(bench.assignment(sync), Err(ResponseError::UnknownMemberId));
}

#[test]
fn one_who_leaves_lets_those_who_wait_for_it_go_on() {
    let mut bench = Bench::new();
    bench.stable(2);
    let waiting = bench.join(joining(dynamic("m1")));
    bench.leave(&[dynamic("m2")]);
    assert_eq!(bench.joined(waiting).members.len(), 1);
}
