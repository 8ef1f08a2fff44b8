//! The two brokers that clients are put on.

use std::future::Future;

use serde_json::Value;

use crate::support::{Embedded, services};

/// Apache Kafka, which all tests share, and a `kboard broker` of the test's own.
pub struct Brokers {
    kboard: Embedded,
}

impl Brokers {
    /// Starts kboard's.
    pub async fn start() -> Self {
        Self { kboard: Embedded::start().await }
    }

    /// What `see` sees on both at the same time: on Kafka, on kboard.
    pub async fn both<T, F: Future<Output = T>>(&self, see: impl Fn(String) -> F) -> (T, T) {
        tokio::join!(see(services::kafka()), see(self.kboard.address.clone()))
    }
}

/// On both brokers `see` sees what is `expected`.
pub async fn both_show<F: Future<Output = Value>>(expected: Value, see: impl Fn(String) -> F) {
    let (on_kafka, on_kboard) = Brokers::start().await.both(see).await;
    assert_same("Kafka", &on_kafka, &expected);
    assert_same("kboard", &on_kboard, &expected);
}

/// Names the parts that differ, for what is printed whole is too long to be compared by eye.
fn assert_same(broker: &str, saw: &Value, expected: &Value) {
    let (parts, expected_parts) = (saw.as_object().unwrap(), expected.as_object().unwrap());
    let differs = expected_parts.iter().filter(|(name, expected)| parts.get(*name) != Some(expected));
    let differs: Vec<String> =
        differs.map(|(name, expected)| format!("{name}: {:?}, not {expected}", parts.get(name))).collect();
    assert!(differs.is_empty(), "on {broker}:\n{}", differs.join("\n"));
    assert_eq!(parts.len(), expected_parts.len(), "on {broker}, all that was seen must be expected");
}
