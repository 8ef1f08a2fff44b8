//! Handles to the broker's series, looked up once and kept.

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::telemetry::metrics as m;

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
