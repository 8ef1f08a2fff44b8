//! Random histories of a few clients.

mod clients;

use proptest::prelude::*;

use super::*;
use clients::Model;

/// What may happen.
#[derive(Clone, Debug)]
enum Action {
    /// A client joins, as it knows itself or as if it had been restarted, with one of two metadata.
    Join {
        client: usize,
        restarted: bool,
        metadata: bool,
        old: bool,
    },
    /// A client syncs, in its generation or in the one before.
    Sync {
        client: usize,
        stale: bool,
    },
    Heartbeat {
        client: usize,
        stale: bool,
    },
    Leave {
        client: usize,
        by_instance: bool,
    },
    Commit {
        client: usize,
        stale: bool,
    },
    /// Somebody commits who has no member id.
    CommitSimply,
    /// Time passes.
    Wait {
        millis: u64,
    },
    /// The coordinator is killed and started again: all calls are lost, and what was not kept.
    Restart,
    /// Writing begins to fail, or works again.
    Fail {
        fails: bool,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let client = 0..4_usize;
    prop_oneof![
        6 => (client.clone(), prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.2))
            .prop_map(|(client, restarted, metadata, old)| Action::Join { client, restarted, metadata, old }),
        8 => (client.clone(), prop::bool::weighted(0.1)).prop_map(|(client, stale)| Action::Sync { client, stale }),
        3 => (client.clone(), prop::bool::weighted(0.1))
            .prop_map(|(client, stale)| Action::Heartbeat { client, stale }),
        1 => (client.clone(), any::<bool>()).prop_map(|(client, by_instance)| Action::Leave { client, by_instance }),
        5 => (client, prop::bool::weighted(0.2)).prop_map(|(client, stale)| Action::Commit { client, stale }),
        3 => (0..8_000_u64).prop_map(|millis| Action::Wait { millis }),
        1 => prop::bool::weighted(0.3).prop_map(|kills| if kills { Action::Restart } else { Action::CommitSimply }),
        1 => prop::bool::weighted(0.2).prop_map(|fails| Action::Fail { fails }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_the_promises(
        actions in prop::collection::vec(action(), 1..120),
        delay in prop::bool::weighted(0.3),
        max_members in prop_oneof![Just(100_usize), Just(3), Just(1)],
    ) {
        let mut model = Model::new();
        model.bench.settings.max_members = max_members;
        if delay {
            model.bench.settings.initial_rebalance_delay = Duration::from_secs(2);
        }
        for action in actions {
            model.apply(action);
        }
        model.end();
    }

    /// What the journal has is always a group that could be.
    #[test]
    fn a_restored_group_goes_on(actions in prop::collection::vec(action(), 1..80)) {
        let mut model = Model::new();
        for action in actions {
            model.apply(action);
            let Some(saved) = model.bench.store.image.groups.get("g").cloned() else { continue };
            let restored = Group::restore("g", saved.clone(), model.bench.now);
            prop_assert!(restored.generation <= model.generation);
            prop_assert_eq!(restored.committed(None), model.bench.group.committed(None));
            prop_assert_eq!(restored.leader.is_some(), !restored.members.is_empty());
            if model.bench.group.state() == GroupState::Stable {
                prop_assert_eq!(restored.describe(), model.bench.group.describe());
            }
            let mut image = Image::default();
            restored.entries().into_iter().for_each(|entry| image.apply(entry));
            prop_assert_eq!(&image.groups["g"], &saved);
        }
    }
}
