//! Who leads which partition, as the cluster told it last.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{BrokerId, MetadataResponse};

/// How long what was told of a topic is believed; an error of one of its leaders ends that earlier.
const FRESH: Duration = Duration::from_secs(10);

/// How long it is believed that there is no such topic, or why else nothing was told: that may change at any moment.
const FRESH_ERROR: Duration = Duration::from_secs(1);

/// A topic: who leads each partition, if somebody does. Or why the cluster doesn't say.
pub type Layout = Result<Arc<BTreeMap<i32, Option<i32>>>, ResponseError>;

/// What is known of the cluster.
#[derive(Debug, Default)]
pub struct Known {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    addresses: HashMap<i32, Arc<str>>,
    topics: HashMap<String, (Instant, Layout)>,
}

impl Known {
    /// Where a broker is.
    pub fn address(&self, broker: i32) -> Option<Arc<str>> {
        self.lock().addresses.get(&broker).cloned()
    }

    /// Where all brokers are.
    pub fn addresses(&self) -> Vec<Arc<str>> {
        self.lock().addresses.values().cloned().collect()
    }

    /// Those of `topics` that are known well enough, and the names of the others.
    pub fn topics(&self, topics: &[&str]) -> (HashMap<String, Layout>, Vec<String>) {
        let inner = self.lock();
        let (mut found, mut missing) = (HashMap::new(), Vec::new());
        for &topic in topics {
            match inner.topics.get(topic).filter(|(asked, layout)| asked.elapsed() < freshness(layout)) {
                Some((_, layout)) => drop(found.insert(topic.to_owned(), layout.clone())),
                None => missing.push(topic.to_owned()),
            }
        }
        missing.sort_unstable();
        missing.dedup();
        (found, missing)
    }

    /// Asks anew for `topic` next time.
    pub fn forget(&self, topic: &str) {
        self.lock().topics.remove(topic);
    }

    /// Takes in what a broker told.
    pub fn learn(&self, response: MetadataResponse) {
        let mut inner = self.lock();
        inner.topics.retain(|_, (asked, _)| asked.elapsed() < FRESH);
        inner.addresses = (response.brokers.iter())
            .map(|broker| (broker.node_id.0, format_address(&broker.host, broker.port)))
            .collect();
        inner.topics.extend(layouts(&response.topics).map(|(name, layout)| (name, (Instant::now(), layout))));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Nothing that holds it can panic half way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long `layout` is believed.
fn freshness(layout: &Layout) -> Duration {
    if layout.is_ok() { FRESH } else { FRESH_ERROR }
}

/// `host:port`, with brackets around an IPv6 address.
pub fn format_address(host: &str, port: i32) -> Arc<str> {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }.into()
}

/// What a broker tells of topics, by name.
pub fn layouts(topics: &[MetadataResponseTopic]) -> impl Iterator<Item = (String, Layout)> {
    topics.iter().filter_map(|topic| Some((topic.name.as_ref()?.to_string(), layout(topic))))
}

fn layout(topic: &MetadataResponseTopic) -> Layout {
    if let Some(error) = ResponseError::try_from_code(topic.error_code) {
        return Err(error);
    }
    let leader = |leader: BrokerId| (leader.0 >= 0).then_some(leader.0);
    Ok(Arc::new(topic.partitions.iter().map(|found| (found.partition_index, leader(found.leader_id))).collect()))
}
