//! What goes wrong on purpose, and how much there is of everything: settings that are changed while the services run.
//!
//! They are a JSON object under one key of Redis, which all processes read every second. What happens by chance follows from
//! the `seed`, the service, the order and the attempt: the same orders meet the same fate in every run.

mod live;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events::{check, derived_id};
use super::money::Cents;
pub use live::{LiveSwitches, load, save};

/// The longest that a saga may be told to wait.
const MAX_TIMEOUT: Duration = Duration::from_secs(3_600);
/// The most of a product that a stock holds.
const MAX_CAPACITY: u64 = 1_000_000_000_000;
/// The most products whose stock is set apart.
const MAX_OVERRIDES: usize = 1_000;

/// The settings. What is left out has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// The bank refuses what costs more; `null` is never.
    pub payment_decline_above: Option<Cents>,
    /// How likely the bank refuses any other order, from 0 to 1.
    pub payment_decline_chance: f64,
    /// How likely the payment service is away for an attempt, from 0 to 1.
    pub payment_unavailable_chance: f64,
    /// How likely the inventory service is away for an attempt, from 0 to 1.
    pub inventory_failure_chance: f64,
    /// How long an order waits for its services before it is cancelled, in milliseconds.
    pub saga_timeout_ms: u64,
    /// How many pieces of a product there are to begin with.
    pub stock_capacity: u64,
    /// The same for single products.
    pub stock: BTreeMap<String, u64>,
    /// Decides what happens by chance.
    pub seed: u64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            payment_decline_above: Some(Cents(1_000_000)),
            payment_decline_chance: 0.1,
            payment_unavailable_chance: 0.15,
            inventory_failure_chance: 0.2,
            saga_timeout_ms: 30_000,
            stock_capacity: 1_000_000,
            stock: BTreeMap::new(),
            seed: 0,
        }
    }
}

impl Switches {
    /// Settings with which nothing fails but for a reason.
    pub fn calm() -> Self {
        Self {
            payment_decline_above: None,
            payment_decline_chance: 0.0,
            payment_unavailable_chance: 0.0,
            inventory_failure_chance: 0.0,
            ..Self::default()
        }
    }

    /// Reads settings from JSON and checks them.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        if !json.trim_ascii_start().starts_with(b"{") {
            return Err("no settings: they are a JSON object".to_owned()); // an array would be taken for the fields in their order
        }
        let switches: Self = serde_json::from_slice(json).map_err(|error| format!("no settings: {error}"))?;
        switches.check().map(|()| switches)
    }

    /// Whether they make sense.
    ///
    /// # Errors
    /// The first that doesn't, for people.
    pub fn check(&self) -> Result<(), String> {
        let chances = [
            ("payment_decline_chance", self.payment_decline_chance),
            ("payment_unavailable_chance", self.payment_unavailable_chance),
            ("inventory_failure_chance", self.inventory_failure_chance),
        ];
        if let Some((field, chance)) = chances.into_iter().find(|(_, chance)| !(0.0..=1.0).contains(chance)) {
            return Err(format!("{field} must be from 0 to 1, not {chance}"));
        }
        if self.payment_decline_above.is_some_and(|amount| amount < Cents(0)) {
            return Err("payment_decline_above can't be negative".to_owned());
        }
        let longest = MAX_TIMEOUT.as_millis() as u64; // an hour
        if !(1..=longest).contains(&self.saga_timeout_ms) {
            return Err(format!("saga_timeout_ms must be from 1 to {longest}, not {}", self.saga_timeout_ms));
        }
        if self.stock.len() > MAX_OVERRIDES {
            return Err(format!("stock names {} products, at most {MAX_OVERRIDES} are allowed", self.stock.len()));
        }
        for (product, capacity) in self.stock.iter().map(|(product, n)| (product.as_str(), *n)) {
            check::id("stock's product", product)?;
            capacity_in_bounds("stock", capacity)?;
        }
        capacity_in_bounds("stock_capacity", self.stock_capacity)
    }

    /// How many pieces of the product there are to begin with.
    pub fn capacity(&self, product: &str) -> u64 {
        self.stock.get(product).copied().unwrap_or(self.stock_capacity)
    }

    /// How long an order waits for its services.
    pub fn saga_timeout(&self) -> Duration {
        Duration::from_millis(self.saga_timeout_ms)
    }

    /// Whether something that happens with this `chance` happens: the same for the same `what` (such as the name of a service),
    /// order and attempt.
    pub fn happens(&self, chance: f64, what: &str, order: &str, attempt: u32) -> bool {
        let (high, _) = derived_id(&format!("{}/{what}/{order}/{attempt}", self.seed)).as_u64_pair();
        // The upper 48 bits are a hash; the lower ones hold the id's version.
        ((high >> 16) as f64) < chance * (1_u64 << 48) as f64
    }
}

fn capacity_in_bounds(field: &str, capacity: u64) -> Result<(), String> {
    let fits = capacity <= MAX_CAPACITY;
    fits.then_some(()).ok_or_else(|| format!("{field} must be at most {MAX_CAPACITY}, not {capacity}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_kept_and_repeated() {
        let switches = Switches::default();
        let failed = |chance| (0..10_000).filter(|n| switches.happens(chance, "bank", &n.to_string(), 1)).count();
        assert_eq!((failed(0.0), failed(1.0)), (0, 10_000));
        let (once, again) = (failed(0.2), failed(0.2));
        assert_eq!(once, again);
        assert!((1_800..2_200).contains(&once), "{once}");
        let other = Switches { seed: 1, ..Switches::default() };
        assert!((0..100).any(|n| {
            let n = n.to_string();
            other.happens(0.5, "bank", &n, 1) != switches.happens(0.5, "bank", &n, 1)
        }));
    }

    #[test]
    fn settings_are_read_with_defaults_and_checked() {
        assert_eq!(Switches::from_json(b"{}"), Ok(Switches::default()));
        let some = Switches::from_json(br#"{"seed":7,"stock":{"mug":3},"payment_decline_above":null}"#).unwrap();
        assert_eq!((some.seed, some.capacity("mug"), some.capacity("pen")), (7, 3, 1_000_000));
        assert_eq!(some.payment_decline_above, None);
        for (json, field) in [
            (r#"{"payment_decline_chance":1.1}"#, "payment_decline_chance"),
            (r#"{"inventory_failure_chance":-0.1}"#, "inventory_failure_chance"),
            (r#"{"saga_timeout_ms":0}"#, "saga_timeout_ms"),
            (r#"{"payment_decline_above":-1}"#, "payment_decline_above"),
            (r#"{"stock":{"a b":1}}"#, "stock"),
            (r#"{"sed":1}"#, "sed"),
            ("7", "settings"),
            ("[]", "settings"),
        ] {
            let reason = Switches::from_json(json.as_bytes()).unwrap_err();
            assert!(reason.contains(field), "{json}: {reason}");
        }
        let json = serde_json::to_vec(&some).unwrap();
        assert_eq!(Switches::from_json(&json), Ok(some));
    }
}
