//! News of a topic spreads: a broker that is asked next may not have heard of what another one has just done.

use std::time::Duration;

use tokio::time::Instant;

use crate::kafka::wire::{Layout, WireError};
use crate::kafka::{Cluster, KafkaError};

/// Between two rounds of asking.
const POLL: Duration = Duration::from_millis(50);

/// Waits until what every broker says of `topic` is as it `should` be, those that don't answer left out; whether it came
/// to that within `patience`.
///
/// # Errors
/// No broker answers.
pub(super) async fn everywhere(
    cluster: &Cluster,
    topic: &str,
    patience: Duration,
    should: impl Fn(&Layout) -> bool,
) -> Result<bool, KafkaError> {
    let deadline = Instant::now() + patience;
    // What was known of it before is over.
    cluster.brokers().forget(topic);
    loop {
        let failed = |error: WireError| KafkaError::wire(format!("look up topic {topic:?}"))(error);
        let told = cluster.brokers().layout_by_each(topic).await.map_err(failed)?;
        if told.iter().all(&should) {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(POLL).await;
    }
}
