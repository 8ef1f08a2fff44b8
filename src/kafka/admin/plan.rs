//! From topics as they are to topics as they should be: what would have to change, decided without touching anything.

use std::collections::BTreeMap;

use serde::Serialize;

/// A topic as a file or a command line wants it; what it does not name stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Its name.
    pub name: String,
    /// How many partitions it should have.
    pub partitions: Option<i32>,
    /// How many brokers should hold each partition.
    pub replication_factor: Option<i16>,
    /// Settings it should have; `None` means the brokers' default.
    pub config: BTreeMap<String, Option<String>>,
}

/// A topic as it is, as far as a plan needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// How many partitions it has.
    pub partitions: i32,
    /// How many brokers hold each partition.
    pub replication_factor: i16,
    /// Settings of its own.
    pub overrides: BTreeMap<String, String>,
    /// The brokers' defaults, which are in force where it has no setting of its own.
    pub defaults: BTreeMap<String, String>,
}

/// What would be done, a step a topic, in the order of the topics wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

/// What would be done with one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The topic.
    pub topic: String,
    /// What would be done.
    #[serde(flatten)]
    pub action: Action,
}

/// What would be done with a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "action")]
pub enum Action {
    /// It is missing.
    Create {
        /// With how many partitions; the brokers' default when `None`.
        partitions: Option<i32>,
        /// On how many brokers each; from the settings or the cluster's size when `None`.
        replication_factor: Option<i16>,
        /// With these settings.
        config: BTreeMap<String, String>,
    },
    /// It differs.
    Change {
        /// Partitions now and then.
        #[serde(skip_serializing_if = "Option::is_none")]
        partitions: Option<Change<i32>>,
        /// Settings now and then.
        config: BTreeMap<String, Change<Option<String>>>,
    },
    /// It is as it should be.
    Same,
    /// It differs in a way that Kafka can't bring about.
    Refused {
        /// Why, and what to do instead.
        reasons: Vec<String>,
    },
}

/// A value now and then. `None` in a setting means that the topic has none of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// Now.
    pub from: T,
    /// Then.
    pub to: T,
}

impl Plan {
    /// Compares what is wanted with what is.
    pub fn new(desired: &[Desired], current: &BTreeMap<String, Current>) -> Self {
        let step = |desired: &Desired| Step {
            topic: desired.name.clone(),
            action: current.get(&desired.name).map_or_else(|| create(desired), |current| change(desired, current)),
        };
        Self { steps: desired.iter().map(step).collect() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.action == Action::Same)
    }

    /// The steps that Kafka can't take: topic and reasons.
    pub fn refused(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Refused { reasons } => Some((step.topic.as_str(), reasons.as_slice())),
            _ => None,
        })
    }
}

fn create(desired: &Desired) -> Action {
    let set = desired.config.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
    Action::Create {
        partitions: desired.partitions,
        replication_factor: desired.replication_factor,
        config: set.collect(),
    }
}

fn change(desired: &Desired, current: &Current) -> Action {
    let reasons: Vec<String> =
        [fewer_partitions(desired, current), other_replication(desired, current)].into_iter().flatten().collect();
    if !reasons.is_empty() {
        return Action::Refused { reasons };
    }
    let more = desired.partitions.filter(|wanted| *wanted != current.partitions);
    let partitions = more.map(|to| Change { from: current.partitions, to });
    let config: BTreeMap<_, _> = desired
        .config
        .iter()
        .filter_map(|(key, to)| Some((key.clone(), setting(key, to.as_ref(), current)?)))
        .collect();
    match (partitions, config) {
        (None, config) if config.is_empty() => Action::Same,
        (partitions, config) => Action::Change { partitions, config },
    }
}

/// A setting that is in force by default already is no difference, so it is not set again on the topic.
fn setting(key: &str, to: Option<&String>, current: &Current) -> Option<Change<Option<String>>> {
    let from = current.overrides.get(key);
    let differs = match to {
        Some(to) => from.or_else(|| current.defaults.get(key)) != Some(to),
        None => from.is_some(),
    };
    differs.then(|| Change { from: from.cloned(), to: to.cloned() })
}

fn fewer_partitions(desired: &Desired, current: &Current) -> Option<String> {
    let (wanted, has) = (desired.partitions?, current.partitions);
    (wanted < has).then(|| {
        format!(
            "it has {has} partitions and Kafka can't take any away, so it can't have {wanted}; make another topic with \
             {wanted} and copy the records, or delete this one with all its records and create it again"
        )
    })
}

fn other_replication(desired: &Desired, current: &Current) -> Option<String> {
    let (wanted, has) = (desired.replication_factor?, current.replication_factor);
    (wanted != has).then(|| {
        format!(
            "its replication factor is {has} and only moving replicas changes that; make it {wanted} with Kafka's \
             kafka-reassign-partitions (a JSON file that names {wanted} brokers for each partition), then apply again"
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    /// What carrying out a step does to a cluster.
    fn carry_out(plan: &Plan, cluster: &mut BTreeMap<String, Current>, defaults: &BTreeMap<String, String>) {
        for step in &plan.steps {
            match step.action.clone() {
                Action::Same | Action::Refused { .. } => {}
                Action::Create { partitions, replication_factor, config } => {
                    let created = Current {
                        partitions: partitions.unwrap_or(1),
                        replication_factor: replication_factor.unwrap_or(1),
                        overrides: config,
                        defaults: defaults.clone(),
                    };
                    assert!(cluster.insert(step.topic.clone(), created).is_none(), "created twice");
                }
                Action::Change { partitions, config } => {
                    let topic = cluster.get_mut(&step.topic).unwrap();
                    if let Some(Change { from, to }) = partitions {
                        assert!(from == topic.partitions && to > from, "Kafka only adds partitions");
                        topic.partitions = to;
                    }
                    for (key, Change { from, to }) in config {
                        assert_eq!(topic.overrides.get(&key), from.as_ref());
                        match to {
                            Some(value) => topic.overrides.insert(key, value),
                            None => topic.overrides.remove(&key),
                        };
                    }
                }
            }
        }
    }

    fn value() -> impl Strategy<Value = String> {
        "[xy]"
    }

    fn desired() -> impl Strategy<Value = Vec<Desired>> {
        let topic = (option::of(1..4), option::of(1..3_i16), btree_map("[ab]", option::of(value()), 0..3));
        btree_map("[tuv]", topic, 0..4).prop_map(|topics| {
            let named = topics.into_iter().map(|(name, (partitions, replication_factor, config))| Desired {
                name,
                partitions,
                replication_factor,
                config,
            });
            named.collect()
        })
    }

    fn cluster(defaults: BTreeMap<String, String>) -> impl Strategy<Value = BTreeMap<String, Current>> {
        let topic = (1..4, 1..3_i16, btree_map("[abc]", value(), 0..3)).prop_map(move |(partitions, rf, overrides)| {
            Current { partitions, replication_factor: rf, overrides, defaults: defaults.clone() }
        });
        btree_map("[tuv]", topic, 0..4)
    }

    proptest! {
        #[test]
        fn a_plan_carried_out_leaves_nothing_to_do(
            wanted in desired(),
            (defaults, mut topics) in btree_map("[ab]", value(), 0..3)
                .prop_flat_map(|defaults| (Just(defaults.clone()), cluster(defaults))),
        ) {
            let plan = Plan::new(&wanted, &topics);
            let refused: Vec<_> = plan.refused().map(|(topic, _)| topic.to_owned()).collect();
            let before = topics.clone();
            carry_out(&plan, &mut topics, &defaults);

            let again = Plan::new(&wanted, &topics);
            for step in &again.steps {
                let expected = if refused.contains(&step.topic) { "refused" } else { "same" };
                let is_same = step.action == Action::Same;
                prop_assert_eq!(if is_same { "same" } else { "refused" }, expected, "{:?}", step);
            }
            for name in refused {
                prop_assert_eq!(&topics[&name], &before[&name], "a refused topic is not touched");
            }
            for (name, topic) in &before {
                if let Some(kept) = topic.overrides.get("c") {
                    prop_assert_eq!(topics[name].overrides.get("c"), Some(kept), "what is not named is kept");
                }
            }
        }

        #[test]
        fn what_is_exported_is_the_same(topics in cluster(BTreeMap::new())) {
            let exported: Vec<Desired> = topics.iter().map(|(name, topic)| Desired {
                name: name.clone(),
                partitions: Some(topic.partitions),
                replication_factor: Some(topic.replication_factor),
                config: topic.overrides.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect(),
            }).collect();
            prop_assert!(Plan::new(&exported, &topics).is_empty());
        }

        #[test]
        fn every_refusal_has_its_reason(wanted in vec(desired(), 1), topics in cluster(BTreeMap::new())) {
            for (topic, reasons) in Plan::new(&wanted[0], &topics).refused() {
                let desired = wanted[0].iter().find(|desired| desired.name == topic).unwrap();
                let impossible = usize::from(desired.partitions.is_some_and(|wanted| wanted < topics[topic].partitions))
                    + usize::from(desired.replication_factor.is_some_and(|wanted| wanted != topics[topic].replication_factor));
                prop_assert_eq!(reasons.len(), impossible);
            }
        }
    }
}
