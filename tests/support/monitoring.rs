//! The files that scrape and show kboard, as their readers take them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ::kboard::console::export;
use ::kboard::telemetry::metrics;
use regex::Regex;
use serde_yaml_ng::Value as Yaml;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of YAML.
pub fn yaml(path: &Path) -> Yaml {
    serde_yaml_ng::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Every alert with its name.
pub fn alerts() -> Vec<(String, Yaml)> {
    let rules = yaml(&root().join("prometheus/alerts.yml"));
    let groups = rules["groups"].as_sequence().unwrap();
    let alerts = groups.iter().flat_map(|group| group["rules"].as_sequence().unwrap());
    let alerts: Vec<_> = alerts.map(|alert| (alert["alert"].as_str().unwrap().to_owned(), alert.clone())).collect();
    assert!(!alerts.is_empty());
    alerts
}

/// Fails unless kboard exports every metric that `expression` names.
pub fn asks_for_what_exists(place: &str, expression: &str) {
    let declared = metrics::ALL.iter().map(|metric| metric.name);
    let known: BTreeSet<&str> = declared.chain(export::FAMILIES.iter().map(|metric| metric.name)).collect();
    let name = Regex::new(r"\b(?:kafka|kboard|redis|http|sse|process|tokio)_[a-z_]+").unwrap();
    let suffix = Regex::new("_(bucket|sum|count)$").unwrap();
    for found in name.find_iter(expression) {
        let metric = suffix.replace(found.as_str(), "");
        assert!(known.contains(found.as_str()) || known.contains(&*metric), "{place}: {found:?} in {expression}");
    }
}
