//! Where a reset takes a group: decided and shown first, carried out by [`super::groups::move_to`].

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use krafka::admin::TopicPartition;
use schemars::JsonSchema;
use serde::Serialize;

use super::{groups, topic_name, topics};
use crate::kafka::{Cluster, KafkaError, lookup};

/// Where to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the first record that is there.
    Earliest,
    /// Behind the last record.
    Latest,
    /// To the first record at or after this time (ms).
    Time(i64),
    /// To this offset.
    Offset(i64),
    /// So many records on, or back if negative.
    By(i64),
    /// To where this other group is.
    Group(String),
}

/// A topic, or some partitions of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The topic.
    pub topic: String,
    /// The partitions; all when `None`.
    pub partitions: Option<BTreeSet<i32>>,
}

impl std::str::FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (topic, partitions) = match text.split_once(':') {
            None => (text, None),
            Some((topic, numbers)) => {
                let numbers = numbers.split(',').map(|number| number.trim().parse::<u16>().map(i32::from));
                let numbers: Result<_, _> = numbers.collect();
                (topic, Some(numbers.map_err(|_| format!("expected TOPIC or TOPIC:0,2, not {text:?}"))?))
            }
        };
        Ok(Self { topic: topic_name(topic)?, partitions })
    }
}

/// What a reset does to one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Move {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The committed offset now.
    pub before: Option<i64>,
    /// The committed offset then; `None` when it can't be moved.
    pub after: Option<i64>,
    /// Offsets that will be read once more (negative) or never (positive).
    pub change: Option<i64>,
    /// How many offsets there are to read then.
    pub lag_after: Option<i64>,
    /// Why it can't be moved, or not to where it was asked to.
    pub note: Option<&'static str>,
}

impl Move {
    /// Decides for a partition that is committed at `before` and holds `range`; `place` is where a target that has to be
    /// looked up, a time or another group, lies in it.
    pub fn new(
        topic: &str,
        partition: i32,
        target: &Target,
        before: Option<i64>,
        range: Option<&Range<i64>>,
        place: Option<i64>,
    ) -> Self {
        let (after, note) = match range {
            None => (None, Some("no leader; stays where it is")),
            Some(range) => destination(target, before, range, place),
        };
        let change = before.zip(after).map(|(before, after)| after.saturating_sub(before));
        let lag_after = range.zip(after.or(before)).map(|(range, after)| (range.end - after).max(0));
        Self { topic: topic.to_owned(), partition, before, after, change, lag_after, note }
    }

    /// Whether there is anything to commit.
    pub fn is_due(&self) -> bool {
        self.after.is_some() && self.after != self.before
    }
}

fn destination(
    target: &Target,
    before: Option<i64>,
    range: &Range<i64>,
    place: Option<i64>,
) -> (Option<i64>, Option<&'static str>) {
    let wanted = match (target, before) {
        (Target::Earliest, _) => range.start,
        (Target::Latest, _) => range.end,
        (Target::Time(_), _) => place.unwrap_or(range.end),
        (Target::Offset(offset), _) => *offset,
        (Target::By(records), Some(before)) => before.saturating_add(*records),
        (Target::By(_), None) => return (None, Some("nothing committed to count from; stays so")),
        (Target::Group(_), _) => match place {
            Some(place) => place,
            None => return (None, Some("the other group has committed nothing here; stays where it is")),
        },
    };
    let note = match wanted {
        wanted if wanted < range.start => Some("stops at the log's start"),
        wanted if wanted > range.end => Some("stops at the log's end"),
        wanted if matches!(target, Target::Time(_)) && wanted == range.end => {
            Some("no record so late; goes to the end")
        }
        _ => None,
    };
    (Some(wanted.clamp(range.start, range.end)), note)
}

/// Decides for a group that has committed `committed`: for the partitions of `selections`, or for all of which it, or the
/// group that it is to follow, has committed something. Changes nothing.
///
/// # Errors
/// A topic or partition does not exist, there is nothing to decide on, or a broker does not answer.
pub async fn plan(
    cluster: &Cluster,
    group: &str,
    committed: &HashMap<TopicPartition, i64>,
    selections: &[Selection],
    target: &Target,
) -> Result<Vec<Move>, KafkaError> {
    let other = match target {
        Target::Group(other) => groups::offsets(cluster, other).await?,
        _ => HashMap::new(),
    };
    let mut partitions: Vec<TopicPartition> = match selections {
        [] => committed.keys().chain(other.keys().filter(|key| !committed.contains_key(key))).cloned().collect(),
        selections => selected(cluster, selections).await?,
    };
    if partitions.is_empty() {
        return Err(KafkaError::NothingCommitted { group: group.to_owned() });
    }
    partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    let ranges = reachable(cluster, &partitions).await?;
    let places = match target {
        Target::Time(time) => topics::offsets_at(cluster, ranges.keys(), *time).await?,
        _ => other,
    };
    let step = |key: &TopicPartition| {
        let (before, place) = (committed.get(key).copied(), places.get(key).copied());
        Move::new(&key.topic, key.partition, target, before, ranges.get(key), place)
    };
    Ok(partitions.iter().map(step).collect())
}

/// The ranges of those of `partitions` that exist and have a leader.
async fn reachable(
    cluster: &Cluster,
    partitions: &[TopicPartition],
) -> Result<HashMap<TopicPartition, Range<i64>>, KafkaError> {
    let layout = topics::layout(cluster, partitions.iter().map(|key| &key.topic)).await?;
    let led: Vec<TopicPartition> =
        layout.values().flat_map(topics::Topic::led).filter(|key| partitions.contains(key)).collect();
    topics::ranges(cluster, &led).await
}

/// The partitions that `selections` name, each once.
async fn selected(cluster: &Cluster, selections: &[Selection]) -> Result<Vec<TopicPartition>, KafkaError> {
    let layout = topics::layout(cluster, selections.iter().map(|selection| &selection.topic)).await?;
    let mut partitions = BTreeSet::new();
    for Selection { topic, partitions: wanted } in selections {
        let Some(found) = layout.get(topic) else {
            return Err(lookup::unknown_topic(topic, &topics::names(cluster, true).await?));
        };
        let numbers: BTreeSet<i32> = found.partitions.iter().map(|partition| partition.partition).collect();
        if let Some(partition) = wanted.as_ref().and_then(|wanted| wanted.difference(&numbers).next()) {
            let (topic, count) = (topic.clone(), numbers.len());
            return Err(KafkaError::UnknownPartition { topic, partition: *partition, count });
        }
        partitions.extend(wanted.as_ref().unwrap_or(&numbers).iter().map(|number| (topic.clone(), *number)));
    }
    Ok(partitions.into_iter().map(|(topic, number)| TopicPartition::new(topic, number)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(target: Target, before: Option<i64>) -> Option<i64> {
        Move::new("t", 0, &target, before, Some(&(10..100)), Some(50)).after
    }

    #[test]
    fn each_target_goes_where_it_says() {
        assert_eq!(after(Target::Earliest, Some(40)), Some(10));
        assert_eq!(after(Target::Latest, Some(40)), Some(100));
        assert_eq!(after(Target::Time(0), Some(40)), Some(50));
        assert_eq!(after(Target::Offset(77), None), Some(77));
        assert_eq!(after(Target::By(-7), Some(40)), Some(33));
        assert_eq!(after(Target::By(-7), None), None);
        assert_eq!(after(Target::Group("other".to_owned()), Some(40)), Some(50));
    }

    #[test]
    fn the_change_counts_records_read_again_and_records_skipped() {
        let change = |before| Move::new("t", 0, &Target::Offset(50), before, Some(&(10..100)), None).change;
        assert_eq!((change(Some(80)), change(Some(20)), change(None)), (Some(-30), Some(30), None));
    }

    #[test]
    fn what_is_left_to_read_then_is_counted() {
        let lag = |target: &Target, before| Move::new("t", 0, target, before, Some(&(10..100)), None).lag_after;
        assert_eq!(lag(&Target::Earliest, Some(40)), Some(90));
        assert_eq!(lag(&Target::Group("idle".to_owned()), Some(40)), Some(60), "stays where it is");
        assert_eq!(lag(&Target::By(1), None), None);
    }

    #[test]
    fn a_topic_may_be_narrowed_to_some_partitions() {
        let all = Selection { topic: "orders.v1".to_owned(), partitions: None };
        assert_eq!("orders.v1".parse(), Ok(all.clone()));
        let some = Selection { partitions: Some([0, 2].into()), ..all };
        assert_eq!("orders.v1:2, 0".parse(), Ok(some));
        for text in ["orders:", "orders:x", "orders:-1", ":1", "or ders"] {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_partition_without_a_leader_stays() {
        let stays = Move::new("t", 0, &Target::Earliest, Some(4), None, None);
        assert!(!stays.is_due());
        assert!(stays.note.is_some());
    }

    proptest! {
        #[test]
        fn no_target_leaves_the_log(
            (start, length) in (0..1000_i64, 0..1000_i64),
            before in proptest::option::of(any::<i64>()),
            number in any::<i64>(),
            at_time in proptest::option::of(0..1000_i64),
        ) {
            let range = start..start + length;
            let at_time = at_time.map(|at| at.clamp(range.start, range.end));
            let targets = [
                Target::Earliest,
                Target::Latest,
                Target::Time(number),
                Target::Offset(number),
                Target::By(number),
                Target::Group("other".to_owned()),
            ];
            for target in targets {
                let moved = Move::new("t", 0, &target, before, Some(&range), at_time);
                match moved.after {
                    Some(after) => prop_assert!(range.start <= after && after <= range.end),
                    None => {
                        let nowhere = match target {
                            Target::By(_) => before.is_none(),
                            Target::Group(_) => at_time.is_none(),
                            _ => false,
                        };
                        prop_assert!(nowhere);
                    }
                }
            }
        }
    }
}
