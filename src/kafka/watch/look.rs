//! One look at a cluster, with a few requests to each broker.

use std::collections::BTreeMap;

use krafka::admin::TopicPartition;

use super::since::Since;
use super::{Part, Problem, Snapshot};
use crate::clock::now_ms;
use crate::kafka::admin::groups::Group;
use crate::kafka::admin::topics::Topic;
use crate::kafka::admin::{brokers, groups, topics};
use crate::kafka::{Cluster, KafkaError};

/// The topic of the groups' offsets; the leader of a partition of it is the coordinator of the groups in there.
const OFFSETS: &str = "__consumer_offsets";
/// The state of a group whose coordinator can't be asked.
const UNKNOWN: &str = "Unknown";

/// Looks at everything; what can't be seen is a problem of its own and leaves the rest alone.
///
/// # Errors
/// No broker answers.
pub async fn look(cluster: &Cluster, before: &Snapshot, since: &mut Since) -> Result<Snapshot, KafkaError> {
    let begun_at = now_ms();
    let mut problems = Vec::new();
    let mut brokers = brokers::list(cluster).await?;
    let mut refused = Vec::new();
    let readings = match groups::list_each(cluster).await {
        Ok(listed) => {
            refused = listed.refused;
            let refused = refused.iter();
            problems.extend(refused.map(|(id, reason)| Problem::new(Part::Groups, format!("broker {id}: {reason}"))));
            groups::read(cluster, &listed.groups).await
        }
        Err(error) => {
            refused.extend(brokers.iter().map(|broker| (broker.id, error.to_string())));
            problems.push(Problem::new(Part::Groups, error.to_string()));
            Vec::new()
        }
    };

    // The logs' ends come after the commits, or a group that keeps up would seem to be ahead.
    let names = topics::names(cluster, true).await?;
    let (mut topics, unknown) = topics::layouts(cluster, &names).await?;
    let unknown = unknown.into_iter();
    problems.extend(unknown.map(|(name, error)| Problem::new(Part::Topics, format!("topic {name}: {error}"))));
    let led: Vec<TopicPartition> = topics.values().flat_map(Topic::led).collect();
    let sizes = brokers::fill_log_dirs(cluster, &mut brokers, None);
    let (ranges, sizes) = tokio::join!(topics::ranges(cluster, &led), sizes);
    let taken_at = now_ms();
    let ranges = ranges.unwrap_or_else(|error| {
        problems.push(Problem::new(Part::Topics, error.to_string()));
        Default::default()
    });
    let sizes = sizes.unwrap_or_else(|error| {
        problems.push(Problem::new(Part::Brokers, error.to_string()));
        Default::default()
    });
    for topic in topics.values_mut() {
        topic.fill_offsets(&ranges);
        topic.fill_sizes(&sizes);
    }

    let placed = readings.into_iter().map(|reading| reading.placed(&topics));
    let mut groups: BTreeMap<String, Group> = placed.map(|group| (group.group.clone(), group)).collect();
    for (name, group) in &before.groups {
        if groups.contains_key(name) {
            continue;
        }
        if let Some(problem) = hidden(group, &refused, topics.get(OFFSETS)) {
            let unknown =
                Group { problem: Some(problem), state: UNKNOWN.to_owned(), members: Vec::new(), ..group.clone() };
            groups.insert(name.clone(), unknown);
        }
    }
    since.fill(cluster, before, &mut groups, taken_at).await;
    Ok(Snapshot { begun_at, taken_at, brokers, topics, groups, problems, away: None })
}

/// Why a group that was there before may be there still, although no broker lists it.
fn hidden(group: &Group, refused: &[(i32, String)], offsets: Option<&Topic>) -> Option<String> {
    if let Some((id, reason)) = refused.iter().find(|(id, _)| *id == group.coordinator.id) {
        return Some(format!("its coordinator, broker {id}, does not list it: {reason}"));
    }
    let partition = partition_of(&group.group, offsets?.partitions.len());
    let has_leader = offsets?.partition(partition)?.leader.is_some();
    (!has_leader).then(|| format!("it has no coordinator: {OFFSETS}[{partition}] has no leader"))
}

/// The partition, of so many, that Kafka keeps a group's offsets in: by Java's hash of its name.
fn partition_of(group: &str, partitions: usize) -> i32 {
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    let partitions = i32::try_from(partitions.max(1)).unwrap_or(i32::MAX);
    hash.checked_abs().unwrap_or(0) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::watch::testing::{group, topic};

    #[test]
    fn offsets_are_where_java_hashes_the_groups_name_to() {
        assert_eq!(partition_of("hello", 50), 99_162_322 % 50);
        // Its hash has no positive counterpart.
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("", 5), 0);
    }

    #[test]
    fn a_group_is_gone_only_if_someone_could_have_listed_it() {
        let billing = group("billing", true, &[]);
        let mut offsets = topic(OFFSETS, &[0..1, 0..1, 0..1]);
        assert_eq!(hidden(&billing, &[], Some(&offsets)), None);
        assert_eq!(hidden(&billing, &[(2, "no answer".to_owned())], Some(&offsets)), None, "another broker");
        assert!(hidden(&billing, &[(1, "no answer".to_owned())], None).unwrap().contains("no answer"));
        let partition = partition_of("billing", 3);
        offsets.partitions[usize::try_from(partition).unwrap()].leader = None;
        assert!(hidden(&billing, &[], Some(&offsets)).unwrap().contains("has no leader"));
    }
}
