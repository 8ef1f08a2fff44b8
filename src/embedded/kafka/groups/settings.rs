//! The limits and delays of the coordinator.

use std::time::Duration;

/// What the coordinator allows and how long it waits.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// `group.initial.rebalance.delay.ms`: how long the first members of an empty group wait for more to come, before
    /// they form a generation. Kafka's default is 3 s, which spares a large deployment some rebalances; here it is 0,
    /// so that a lone consumer starts reading at once.
    pub initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`: a shorter session timeout is refused. Kafka's default is 6 s; on one machine a
    /// member that is gone may be missed sooner.
    pub min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`: a longer session timeout is refused.
    pub max_session_timeout: Duration,
    /// How long a member that has never been in a generation may wait in its first join. Its client can't heartbeat
    /// yet, so nothing else tells whether it is still there.
    pub new_member_join_timeout: Duration,
    /// `group.max.size`: members a group may have, and members to be that may hold an id without having joined.
    pub max_members: usize,
    /// Groups there may be, with the empty ones.
    pub max_groups: usize,
    /// `offset.metadata.max.bytes`: characters of metadata a committed offset may carry.
    pub max_metadata: usize,
    /// How long a group that has neither members nor offsets is remembered: Kafka's
    /// `offsets.retention.check.interval.ms`.
    pub empty_retention: Duration,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::ZERO,
            min_session_timeout: Duration::from_secs(1),
            max_session_timeout: Duration::from_secs(30 * 60),
            new_member_join_timeout: Duration::from_secs(5 * 60),
            max_members: 1_000,
            max_groups: 10_000,
            max_metadata: 4_096,
            empty_retention: Duration::from_secs(10 * 60),
        }
    }
}
