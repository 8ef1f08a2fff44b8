//! What a group's member tells `/readyz` and the metrics about itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics::{Gauge, gauge};

use crate::telemetry::metrics as m;

/// The health of one group's member in this process. Cheap to clone.
#[derive(Clone)]
pub struct GroupHealth {
    inner: Arc<Inner>,
}

struct Inner {
    joined: AtomicBool,
    stalled: AtomicBool,
    connected: Gauge,
}

impl GroupHealth {
    /// That of a member of `group`, which it has yet to join: the metrics say so from now on.
    pub fn new(group: &str) -> Self {
        let connected = gauge!(m::CONSUMER_CONNECTED.name, "consumer_group" => group.to_owned());
        connected.set(0.0);
        Self { inner: Arc::new(Inner { joined: AtomicBool::new(false), stalled: AtomicBool::new(false), connected }) }
    }

    /// Whether the member belongs to its group, with or without a partition of its own.
    pub fn set_joined(&self, joined: bool) {
        self.inner.joined.store(joined, Ordering::Relaxed);
        self.inner.connected.set(if joined { 1.0 } else { 0.0 });
    }

    /// Whether the member is waiting for something that is away.
    pub fn set_stalled(&self, stalled: bool) {
        self.inner.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Why the member is not working, or `None` when it is.
    pub fn problem(&self) -> Option<&'static str> {
        if !self.inner.joined.load(Ordering::Relaxed) {
            Some("not yet assigned")
        } else if self.inner.stalled.load(Ordering::Relaxed) {
            Some("waiting for Kafka or Redis")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics as declared;

    #[test]
    fn each_group_of_a_process_is_told_of_from_its_start() {
        let recorder = declared::builder().unwrap().build_recorder();
        let (mailer, billing) =
            metrics::with_local_recorder(&recorder, || (GroupHealth::new("mailer"), GroupHealth::new("billing")));
        billing.set_joined(true);
        assert_eq!((mailer.problem(), billing.problem()), (Some("not yet assigned"), None));
        let told = recorder.handle().render();
        for line in [
            r#"kafka_consumer_connection_status{consumer_group="mailer"} 0"#,
            r#"kafka_consumer_connection_status{consumer_group="billing"} 1"#,
        ] {
            assert!(told.lines().any(|said| said == line), "{line} in {told}");
        }
    }
}
