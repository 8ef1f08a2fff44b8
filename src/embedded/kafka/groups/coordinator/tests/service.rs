//! Refusals, restarts and the end.

use super::*;

#[tokio::test(start_paused = true)]
async fn members_and_offsets_survive_a_kill() {
    let broker = Broker::start();
    let mut consumer = Consumer::new(&broker, None);
    consumer.join().await.unwrap();
    consumer.commit(42).unwrap();
    let before = broker.coordinator.describe("g");
    let broker = broker.restart();
    assert_eq!(broker.coordinator.describe("g"), before);
    consumer.coordinator = broker.coordinator.clone();
    pass(SESSION.as_secs() - 1).await;
    consumer.heartbeat().unwrap();
    consumer.commit(43).unwrap();
    let committed = broker.coordinator.committed("g", None).unwrap();
    assert_eq!(
        committed,
        [("t".to_owned(), 0, Some(Committed { offset: 43, leader_epoch: 0, metadata: "m".to_owned() }))]
    );
    pass(SESSION.as_secs() + 1).await;
    assert_eq!(broker.state(), GroupState::Empty);
}

#[tokio::test(start_paused = true)]
async fn refusals_before_a_group_is_asked() {
    let broker = Broker::with(GroupSettings { max_groups: 1, ..GroupSettings::default() });
    let coordinator = &broker.coordinator;
    let consumer = Consumer::new(&broker, None);
    let join = |change: fn(&mut Join)| {
        let mut request = consumer.request();
        change(&mut request);
        async move { coordinator.join(request).await.unwrap_err().error }
    };
    assert_eq!(join(|join| join.group.clear()).await, ResponseError::InvalidGroupId);
    assert_eq!(
        join(|join| join.session_timeout = Duration::from_millis(999)).await,
        ResponseError::InvalidSessionTimeout
    );
    assert_eq!(
        join(|join| join.session_timeout = Duration::from_secs(9_999)).await,
        ResponseError::InvalidSessionTimeout
    );
    assert_eq!(join(|join| join.member.member_id = "m".to_owned()).await, ResponseError::UnknownMemberId);
    assert_eq!(coordinator.heartbeat("", 1, &nobody()), Err(ResponseError::InvalidGroupId));
    assert_eq!(coordinator.heartbeat("g", 1, &nobody()), Err(ResponseError::UnknownMemberId));
    assert_eq!(coordinator.commit("", -1, &nobody(), vec![]), Err(ResponseError::InvalidGroupId));
    assert_eq!(coordinator.commit("g", 1, &nobody(), vec![commit(0, 1)]), Err(ResponseError::IllegalGeneration));
    assert_eq!(coordinator.leave("", &[]), Err(ResponseError::InvalidGroupId));
    assert_eq!(coordinator.leave("g", &[nobody()]), Ok(vec![(nobody(), Err(ResponseError::UnknownMemberId))]));
    assert_eq!(coordinator.delete_offsets("g", &[]), Err(ResponseError::GroupIdNotFound));
    assert_eq!(coordinator.delete("g"), Err(ResponseError::GroupIdNotFound));
    assert_eq!(coordinator.committed("g", Some(&[("t".to_owned(), 0)])), Ok(vec![("t".to_owned(), 0, None)]));
    assert!(coordinator.list().is_empty());
    coordinator.commit("g", -1, &nobody(), vec![commit(0, 1)]).unwrap();
    assert_eq!(coordinator.commit("h", -1, &nobody(), vec![commit(0, 1)]), Err(ResponseError::PolicyViolation));
    assert_eq!(join(|join| join.group = "h".to_owned()).await, ResponseError::PolicyViolation);
}

#[tokio::test(start_paused = true)]
async fn deleted_groups_and_topics_do_not_come_back() {
    let broker = Broker::start();
    for group in ["g", "h", "i"] {
        let offsets = vec![commit(0, 1), Commit { topic: "u".to_owned(), ..commit(0, 2) }];
        broker.coordinator.commit(group, -1, &nobody(), offsets).unwrap();
    }
    broker.coordinator.delete("h").unwrap();
    broker.coordinator.delete_offsets("i", &[("u".to_owned(), 0)]).unwrap();
    broker.coordinator.forget_topic("t");
    let check = |broker: &Broker| {
        let groups: Vec<String> = broker.coordinator.list().into_iter().map(|listing| listing.group).collect();
        assert_eq!(groups, ["g"]);
        let committed = broker.coordinator.committed("g", None).unwrap();
        assert_eq!((committed.len(), committed[0].0.as_str()), (1, "u"));
    };
    check(&broker);
    check(&broker.restart());
}

#[tokio::test(start_paused = true)]
async fn closing_answers_who_waits_and_refuses_what_comes() {
    let broker = Broker::start();
    let mut first = Consumer::new(&broker, None);
    first.join().await.unwrap();
    let mut second = Consumer::new(&broker, None);
    let waiting = tokio::spawn(async move { second.join().await });
    pass(1).await;
    broker.coordinator.close();
    broker.coordinator.close();
    assert_eq!(waiting.await.unwrap(), Err(ResponseError::CoordinatorNotAvailable));
    assert_eq!(first.heartbeat(), Err(ResponseError::CoordinatorNotAvailable));
    assert_eq!(first.commit(1), Err(ResponseError::CoordinatorNotAvailable));
    assert_eq!(first.join().await, Err(ResponseError::CoordinatorNotAvailable));
    assert_eq!(broker.coordinator.committed("g", None), Err(ResponseError::CoordinatorNotAvailable));
    assert_eq!(broker.coordinator.delete("g"), Err(ResponseError::CoordinatorNotAvailable));
}

#[tokio::test(start_paused = true)]
async fn nothing_watches_the_clock_for_a_dropped_coordinator() {
    let broker = Broker::start();
    let shared = Arc::downgrade(&broker.coordinator.shared);
    pass(1).await;
    drop(broker);
    assert!(shared.upgrade().is_none());
    pass(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_members_form_one_generation() {
    let broker =
        Broker::with(GroupSettings { initial_rebalance_delay: Duration::from_millis(300), ..GroupSettings::default() });
    let joins: Vec<_> = (0..1_000)
        .map(|_| {
            let mut consumer = Consumer::new(&broker, None);
            tokio::spawn(async move {
                while consumer.join().await == Err(ResponseError::RebalanceInProgress) {}
                consumer.generation
            })
        })
        .collect();
    for join in joins {
        join.await.unwrap();
    }
    assert_eq!(broker.state(), GroupState::Stable);
    assert_eq!(assignments(&broker).len(), 1_000);
}
