//! News of a topic spreads: a broker that is asked next may not have heard of what another one has just done.

use std::time::Duration;

use tokio::time::Instant;

use crate::kafka::wire::{Layout, WireError};
use crate::kafka::{Cluster, KafkaError};

/// Between two rounds of asking.
const POLL: Duration = Duration::from_millis(50);

/// Waits until what every broker says of each of `topics` is as it `should` be, those that don't answer left out; after
/// `patience`, those of which somebody still says otherwise.
///
/// # Errors
/// No broker answers.
pub(super) async fn everywhere(
    cluster: &Cluster,
    topics: &[String],
    patience: Duration,
    should: impl Fn(&str, &Layout) -> bool,
) -> Result<Vec<String>, KafkaError> {
    let deadline = Instant::now() + patience;
    // What was known of them before is over.
    topics.iter().for_each(|topic| cluster.brokers().forget(topic));
    loop {
        let failed = |error: WireError| KafkaError::wire(format!("look up topics {topics:?}"))(error);
        let told = cluster.brokers().layouts_by_each(topics).await.map_err(failed)?;
        let is_so =
            |topic: &&String| told.iter().all(|told| told.get(*topic).is_some_and(|layout| should(topic, layout)));
        let others: Vec<String> = topics.iter().filter(|topic| !is_so(topic)).cloned().collect();
        if others.is_empty() || Instant::now() >= deadline {
            return Ok(others);
        }
        tokio::time::sleep(POLL).await;
    }
}
