//! Handles to the broker's series, looked up once and kept.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::groups::GroupState;
use crate::telemetry::metrics as m;

/// The states that a group which is there may be in.
const GROUP_STATES: [GroupState; 4] =
    [GroupState::Empty, GroupState::PreparingRebalance, GroupState::CompletingRebalance, GroupState::Stable];

/// The series of one API.
pub struct ApiInstruments {
    api: String,
    succeeded: Counter,
    duration: Histogram,
}

impl ApiInstruments {
    /// Looks up the series of `api`.
    pub fn new(api: impl Into<String>) -> Self {
        let api = api.into();
        Self {
            succeeded: counter!(m::BROKER_REQUESTS.name, "api" => api.clone(), "error" => "none"),
            duration: histogram!(m::BROKER_DURATION.name, "api" => api.clone()),
            api,
        }
    }

    /// A request was answered.
    pub fn ended(&self, error: Option<ResponseError>, took: Duration) {
        match error {
            None => self.succeeded.increment(1),
            Some(error) => {
                counter!(m::BROKER_REQUESTS.name, "api" => self.api.clone(), "error" => error.to_string()).increment(1);
            }
        }
        self.duration.record(took.as_secs_f64());
    }
}

/// The series of the listener.
pub struct ServerInstruments {
    /// Connections there are.
    pub connections: Gauge,
    /// Connections that were closed because of what they sent.
    pub malformed: Counter,
}

impl ServerInstruments {
    /// Looks the series up.
    pub fn new() -> Self {
        Self { connections: gauge!(m::BROKER_CONNECTIONS.name), malformed: counter!(m::BROKER_MALFORMED.name) }
    }
}

impl Default for ServerInstruments {
    fn default() -> Self {
        Self::new()
    }
}

/// The series of what the broker holds, told anew now and then.
pub struct StateInstruments {
    log_bytes: HashMap<String, Gauge>,
    partitions: Gauge,
    groups: [(GroupState, Gauge); GROUP_STATES.len()],
}

impl StateInstruments {
    /// Looks the series up.
    pub fn new() -> Self {
        Self {
            log_bytes: HashMap::new(),
            partitions: gauge!(m::BROKER_PARTITIONS.name),
            groups: GROUP_STATES.map(|state| (state, gauge!(m::BROKER_GROUPS.name, "state" => state.name()))),
        }
    }

    /// Tells what there is now.
    pub fn tell(&mut self, broker: &Broker) {
        let topics = broker.topics.all();
        self.partitions.set(topics.iter().map(|topic| topic.partitions.len()).sum::<usize>() as f64);
        let names: HashSet<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        let gone = self.log_bytes.extract_if(|name, _| !names.contains(name.as_str()));
        gone.for_each(|(_, bytes)| bytes.set(0.0));
        for topic in &topics {
            let sizes = topic.partitions.iter().map(|partition| partition.with(|log| Ok(log.size())).unwrap_or(0));
            let bytes: u64 = sizes.sum();
            let gauge = || gauge!(m::BROKER_LOG_BYTES.name, "topic" => topic.name.clone());
            self.log_bytes.entry(topic.name.clone()).or_insert_with(gauge).set(bytes as f64);
        }
        let groups = broker.groups.list();
        for (state, gauge) in &self.groups {
            gauge.set(groups.iter().filter(|group| group.state == *state).count() as f64);
        }
    }
}
