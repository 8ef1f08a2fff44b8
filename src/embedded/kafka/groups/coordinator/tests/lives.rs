//! Consumers that come, rejoin, fall silent and come back.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_lone_consumer_has_its_assignment_at_once() {
    let broker = Broker::start();
    let before = Instant::now();
    let mut consumer = Consumer::new(&broker, None);
    consumer.join().await.unwrap();
    assert_eq!((&*consumer.assignment, consumer.generation), (&b"0"[..], 1));
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(broker.state(), GroupState::Stable);
}

#[tokio::test(start_paused = true)]
async fn each_who_comes_has_the_others_share_with_it() {
    let broker = Broker::start();
    for members in 1..=3 {
        let mut consumer = Consumer::new(&broker, None);
        consumer.join().await.unwrap();
        consumer.live();
        pass(5).await;
        assert_eq!(assignments(&broker), (0..members).map(|place: i32| place.to_string()).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn who_falls_silent_is_missed_after_its_session() {
    let broker = Broker::start();
    let lives: Vec<_> = {
        let mut lives = Vec::new();
        for _ in 0..2 {
            let mut consumer = Consumer::new(&broker, None);
            consumer.join().await.unwrap();
            lives.push(consumer.live());
            pass(3).await;
        }
        lives
    };
    lives[0].abort();
    pass(SESSION.as_secs() - 2).await;
    assert_eq!(assignments(&broker).len(), 2);
    pass(4).await;
    assert_eq!(assignments(&broker), ["0"]);
    lives[1].abort();
    pass(SESSION.as_secs() + 1).await;
    assert_eq!(broker.state(), GroupState::Empty);
}

#[tokio::test(start_paused = true)]
async fn a_group_without_members_and_offsets_is_forgotten_in_time() {
    let broker = Broker::start();
    let mut consumer = Consumer::new(&broker, None);
    consumer.join().await.unwrap();
    broker.coordinator.leave("g", std::slice::from_ref(&consumer.member)).unwrap();
    assert_eq!(broker.state(), GroupState::Empty);
    pass(GroupSettings::default().empty_retention.as_secs() + 1).await;
    assert!(broker.coordinator.list().is_empty());
    assert_eq!(broker.state(), GroupState::Dead);
    assert!(broker.restart().coordinator.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restarted_static_consumer_goes_on_where_it_was() {
    let broker = Broker::start();
    let mut lives = Vec::new();
    for instance in ["i", "j"] {
        let mut consumer = Consumer::new(&broker, Some(instance));
        consumer.join().await.unwrap();
        lives.push(consumer.clone().live());
        pass(3).await;
    }
    let before = broker.coordinator.describe("g");
    for (instance, old) in ["i", "j"].into_iter().zip(&lives) {
        old.abort();
        let mut again = Consumer::new(&broker, Some(instance));
        again.join().await.unwrap();
        let was =
            before.members.iter().find(|member| member.identity.instance_id.as_deref() == Some(instance)).unwrap();
        assert_eq!(again.assignment, was.assignment);
        assert_eq!(
            broker.coordinator.heartbeat("g", again.generation, &was.identity),
            Err(ResponseError::FencedInstanceId)
        );
        assert_eq!(again.heartbeat(), Ok(()));
        again.live();
    }
    assert_eq!(broker.state(), GroupState::Stable);
    pass(60).await;
    assert_eq!(assignments(&broker).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cooperative_second_round_is_a_rebalance_the_first_one_asks_for() {
    let broker = Broker::start();
    let mut first = Consumer::new(&broker, None);
    first.join().await.unwrap();
    let mut second = Consumer::new(&broker, None);
    let joining = tokio::spawn(async move { second.join().await.map(|()| second) });
    pass(1).await;
    assert_eq!(first.heartbeat(), Err(ResponseError::RebalanceInProgress));
    // It keeps what it has while it rejoins, and may commit it.
    first.commit(5).unwrap();
    first.join().await.unwrap();
    let mut second = joining.await.unwrap().unwrap();
    assert_eq!((first.generation, second.generation), (2, 2));
    // Having given up what is the other's now, it joins once more, with other metadata.
    let rejoining = tokio::spawn(async move { second.join().await.map(|()| second) });
    let mut joining = first.clone();
    let joining = tokio::spawn(async move { joining.join().await.map(|()| joining) });
    let (first, second) = (joining.await.unwrap().unwrap(), rejoining.await.unwrap().unwrap());
    assert!(first.generation > 2 && first.generation == second.generation);
    assert_eq!(broker.state(), GroupState::Stable);
}

#[tokio::test(start_paused = true)]
async fn the_first_members_are_waited_for_when_it_is_asked_for() {
    let delay = Duration::from_secs(3);
    let broker = Broker::with(GroupSettings { initial_rebalance_delay: delay, ..GroupSettings::default() });
    let before = Instant::now();
    let joins: Vec<_> = (0..3)
        .map(|_| {
            let mut consumer = Consumer::new(&broker, None);
            tokio::spawn(async move { consumer.join().await.map(|()| consumer) })
        })
        .collect();
    for join in joins {
        assert_eq!(join.await.unwrap().unwrap().generation, 1);
    }
    assert!(before.elapsed() >= delay && before.elapsed() < 3 * delay);
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_connection_is_lost_in_its_join_is_counted_until_it_is_missed() {
    let broker = Broker::start();
    let mut first = Consumer::new(&broker, None);
    first.join().await.unwrap();
    let mut second = Consumer::new(&broker, None);
    let lost = tokio::spawn(async move { second.join().await });
    pass(1).await;
    lost.abort();
    first.join().await.unwrap();
    assert_eq!(assignments(&broker).len(), 2);
    let _life = first.live();
    pass(2 * SESSION.as_secs()).await;
    assert_eq!(assignments(&broker), ["0"]);
}
