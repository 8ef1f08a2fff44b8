//! The YAML file of `topics apply` and `topics export`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use anyhow::Context;
use serde::de::{self, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::kafka::admin::plan::{Current, Desired};
use crate::kafka::admin::topic_name;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    topics: Vec<Topic>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Topic {
    name: Name,
    partitions: Count<i32>,
    replication_factor: Option<Count<i16>>,
    #[serde(default)]
    config: Config,
}

#[derive(Serialize)]
struct Export<'a> {
    topics: Vec<Exported<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Exported<'a> {
    name: &'a str,
    partitions: i32,
    replication_factor: i16,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    config: BTreeMap<&'a str, serde_yaml_ng::Value>,
}

/// Reads the topics that the file at `path` wants; `-` is stdin.
pub fn read(path: &Path) -> anyhow::Result<Vec<Desired>> {
    let (name, text) = match path == Path::new("-") {
        true => ("stdin".to_owned(), std::io::read_to_string(std::io::stdin())),
        false => (path.display().to_string(), std::fs::read_to_string(path)),
    };
    text.map_err(anyhow::Error::from).and_then(|text| parse(&text)).context(name)
}

/// The file that wants what is there.
pub fn write(topics: &BTreeMap<String, Current>) -> anyhow::Result<String> {
    Ok(serde_yaml_ng::to_string(&Export { topics: topics.iter().map(exported).collect() })?)
}

fn exported<'a>((name, topic): (&'a String, &'a Current)) -> Exported<'a> {
    Exported {
        name,
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        config: topic.overrides.iter().map(|(key, value)| (key.as_str(), plain(value))).collect(),
    }
}

/// A value as a person would write it: a number without quotes, where that reads back as the same text.
fn plain(value: &str) -> serde_yaml_ng::Value {
    match value.parse::<i64>() {
        Ok(number) if number.to_string() == value => number.into(),
        _ => value.into(),
    }
}

fn parse(text: &str) -> anyhow::Result<Vec<Desired>> {
    let file: File = serde_yaml_ng::from_str(text)?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = file.topics.iter().find(|topic| !seen.insert(&topic.name.0)) {
        anyhow::bail!("topic {:?} is there twice", twice.name.0);
    }
    let desired = |topic: Topic| Desired {
        name: topic.name.0,
        partitions: Some(topic.partitions.0),
        replication_factor: topic.replication_factor.map(|count| count.0),
        config: topic.config.0,
    };
    Ok(file.topics.into_iter().map(desired).collect())
}

/// A number from 1 up, which is refused at its own line if it is not.
struct Count<T>(T);

impl<'de, T: TryFrom<i64>> Deserialize<'de> for Count<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(CountVisitor(PhantomData))
    }
}

struct CountVisitor<T>(PhantomData<T>);

impl<T: TryFrom<i64>> Visitor<'_> for CountVisitor<T> {
    type Value = Count<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a whole number from 1 up")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count<T>, E> {
        let counted = (number >= 1).then(|| T::try_from(number).ok()).flatten();
        counted.map(Count).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Count<T>, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A name that Kafka takes for a topic, refused at its own line if it is none.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the name of a topic")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Name, E> {
        topic_name(name).map(Name).map_err(E::custom)
    }
}

/// Settings as people write them in YAML: numbers and booleans without quotes, lists as lists, `null` for the default.
#[derive(Default)]
struct Config(BTreeMap<String, Option<String>>);

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConfigVisitor)
    }
}

struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("settings such as retention.ms: 86400000")
    }

    /// `config:` with nothing under it.
    fn visit_unit<E: de::Error>(self) -> Result<Config, E> {
        Ok(Config::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
        let mut config = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let Value(value) = map.next_value()?;
            if config.insert(key.clone(), value).is_some() {
                return Err(de::Error::custom(format!("setting {key:?} is there twice")));
            }
        }
        Ok(Config(config))
    }
}

struct Value(Option<String>);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("text, a number, true, false, null or a list of these")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value(None))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value(Some(value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value(Some(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value(Some(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value(Some(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value(Some(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Value(item)) = seq.next_element()? {
            items.extend(item);
        }
        Ok(Value(Some(items.join(","))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text).unwrap_err())
    }

    #[test]
    fn the_form_of_the_seed_is_read() {
        let text = "# topics-config.yaml\ntopics:\n  - name: orders.created\n    partitions: 12\n    replication-factor: 3\n    \
                    config:\n      retention.ms: 604800000  # 7 days\n      compression.type: lz4\n      \
                    cleanup.policy: [compact, delete]\n      preallocate: true\n      \
                    min.cleanable.dirty.ratio: 0.25\n      segment.ms: null\n  - name: notes\n    partitions: 1\n    config:\n";
        let topics = parse(text).unwrap();
        assert_eq!((topics[0].partitions, topics[0].replication_factor), (Some(12), Some(3)));
        let config: Vec<_> = topics[0].config.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        let expected = [
            ("cleanup.policy", Some("compact,delete")),
            ("compression.type", Some("lz4")),
            ("min.cleanable.dirty.ratio", Some("0.25")),
            ("preallocate", Some("true")),
            ("retention.ms", Some("604800000")),
            ("segment.ms", None),
        ];
        assert_eq!(config, expected);
        assert_eq!((topics[1].replication_factor, topics[1].config.len()), (None, 0));
    }

    #[test]
    fn an_error_names_the_line() {
        for (text, expected) in [
            ("topics:\n  - name: a\n    partition: 3\n", "unknown field `partition`"),
            (
                "topics:\n  - name: a\n    partitions: 0\n",
                "invalid value: integer `0`, expected a whole number from 1 up",
            ),
            ("topics:\n  -\n    name: a/b\n    partitions: 1\n", "topic name \"a/b\" has characters"),
            ("topics:\n  - name: a\n    partitions: many\n", "expected a whole number"),
            ("topics:\n  - name: a\n    replication-factor: 0\n", "integer `0`, expected a whole number from 1 up"),
        ] {
            let error = error(text);
            assert!(error.contains(expected) && error.contains("at line 3"), "{error}");
        }
        let twice = error("topics:\n- name: a\n  partitions: 1\n  config:\n    k: 1\n    k: 2\n");
        assert!(twice.contains("\"k\" is there twice"), "{twice}");
        assert!(error("topics: []\nthings: []\n").contains("unknown field `things`"));
        assert!(error("topics:\n- {name: a}\n").contains("missing field `partitions`"));
        assert!(error("topics:\n- {name: a, partitions: 1}\n- {name: a, partitions: 2}\n").contains("there twice"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let overrides = [("retention.ms", "1000"), ("cleanup.policy", "compact,delete"), ("x", "null"), ("y", "on")];
        let topic = Current {
            partitions: 3,
            replication_factor: 1,
            overrides: overrides.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..Current::default()
        };
        let topics = BTreeMap::from([("orders.created".to_owned(), topic.clone()), ("123".to_owned(), topic)]);
        let desired = parse(&write(&topics).unwrap()).unwrap();
        assert!(crate::kafka::admin::plan::Plan::new(&desired, &topics).is_empty(), "{desired:?}");
    }
}
