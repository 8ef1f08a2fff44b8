//! One look at a cluster, with a few requests to each broker.

use std::collections::BTreeMap;

use krafka::admin::TopicPartition;

use super::since::Since;
use super::{Part, Problem, Snapshot};
use crate::clock::now_ms;
use crate::kafka::admin::topics::Topic;
use crate::kafka::admin::{brokers, groups, topics};
use crate::kafka::{Cluster, KafkaError};

/// Looks at everything; what can't be seen is a problem of its own and leaves the rest alone.
///
/// # Errors
/// No broker answers.
pub async fn look(cluster: &Cluster, before: &Snapshot, since: &mut Since) -> Result<Snapshot, KafkaError> {
    let begun_at = now_ms();
    let mut problems = Vec::new();
    let mut brokers = brokers::list(cluster).await?;
    let readings = match groups::list_each(cluster).await {
        Ok(listed) => {
            let refused = listed.refused.into_iter();
            problems.extend(refused.map(|(id, reason)| Problem::new(Part::Groups, format!("broker {id}: {reason}"))));
            groups::read(cluster, &listed.groups).await
        }
        Err(error) => {
            problems.push(Problem::new(Part::Groups, error.to_string()));
            Vec::new()
        }
    };

    // The logs' ends come after the commits, or a group that keeps up would seem to be ahead.
    let names = topics::names(cluster, true).await?;
    let (mut topics, refused) = topics::layouts(cluster, &names).await?;
    let refused = refused.into_iter();
    problems.extend(refused.map(|(name, error)| Problem::new(Part::Topics, format!("topic {name}: {error}"))));
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
    let mut groups: BTreeMap<String, groups::Group> = placed.map(|group| (group.group.clone(), group)).collect();
    since.fill(cluster, &before.groups, &mut groups, taken_at).await;
    Ok(Snapshot { begun_at, taken_at, brokers, topics, groups, problems, away: None })
}
