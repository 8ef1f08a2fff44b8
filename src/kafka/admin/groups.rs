//! Consumer groups as they are: state, members, and how far each partition has been read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{FutureExt, StreamExt, TryStreamExt};
use krafka::admin::{
    AdminClient, ClusterBroker, ConsumerGroupDescription, ConsumerGroupMember, GroupType, TopicPartition,
};
use krafka::error::ErrorCode;
use serde::Serialize;

use super::positions::{Position, positions};
use super::topics::{self, Topic};
use super::{client, is_code};
use crate::kafka::{Cluster, KafkaError};

/// Groups that are asked about at once.
const AT_ONCE: usize = 16;
/// The state of a group without members; its offsets can be changed.
const EMPTY: &str = "Empty";
/// The state of a group that is gone.
const DEAD: &str = "Dead";

/// A group in the list that each broker gives of those it coordinates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its name.
    pub group: String,
    /// `classic` or `consumer`, by the protocol; other kinds have no offsets that could be shown.
    pub kind: String,
    /// Its state, where the broker is new enough to list it.
    pub state: Option<String>,
    /// The broker that coordinates it.
    pub coordinator: Broker,
}

impl Listing {
    /// Whether it commits offsets, as share and streams groups don't in this way.
    pub fn has_offsets(&self) -> bool {
        matches!(self.kind.as_str(), "classic" | "consumer")
    }
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// `host:port`.
    pub address: String,
}

/// A group as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub group: String,
    /// `Stable`, `Empty`, `PreparingRebalance`, …
    pub state: String,
    /// `classic` or `consumer`.
    pub kind: String,
    /// The broker that coordinates it.
    pub coordinator: Broker,
    /// How partitions are shared out.
    pub assignor: Option<String>,
    /// Its members.
    pub members: Vec<Member>,
    /// How far each partition of its topics has been read, in order.
    #[serde(rename = "partitions")]
    pub positions: Vec<Position>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The name that the coordinator gave it.
    pub member: String,
    /// The name that it gave itself for all its group's members.
    pub client: String,
    /// Its address.
    pub host: String,
    /// What it reads, by topic.
    pub partitions: BTreeMap<String, Vec<i32>>,
}

impl Group {
    /// Whether its offsets can be changed: nobody is there to go on from the old ones.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && matches!(self.state.as_str(), EMPTY | DEAD)
    }

    /// All lag that is known; `None` when it is known of no partition.
    pub fn lag(&self) -> Option<i64> {
        self.positions.iter().filter_map(|position| position.lag).reduce(|sum, lag| sum + lag)
    }

    /// Whether there is more to read than the sum of the lags says: in partitions of which nothing was committed, or
    /// whose end is not known.
    pub fn is_lag_partial(&self) -> bool {
        self.positions.iter().any(|position| position.lag.is_none() && !position.is_empty())
    }

    /// The longest time that a record has waited.
    pub fn lag_seconds(&self) -> Option<f64> {
        self.positions.iter().filter_map(|position| position.lag_seconds).reduce(f64::max)
    }

    /// The topics it reads.
    pub fn topics(&self) -> BTreeSet<&str> {
        self.positions.iter().map(|position| position.topic.as_str()).collect()
    }
}

/// All groups, in order, and the brokers that did not answer with theirs.
///
/// # Errors
/// No broker answers.
pub async fn list(cluster: &Cluster) -> Result<Vec<Listing>, KafkaError> {
    let admin = client(cluster).await?;
    let described = admin.describe_cluster(Default::default()).await;
    let brokers = described.map_err(KafkaError::request("describe the cluster"))?.brokers;
    let listed = admin.list_consumer_groups(Default::default()).await.map_err(KafkaError::request("list groups"))?;
    let mut groups = Vec::new();
    for (id, answer) in listed {
        match answer {
            Err(error) => tracing::warn!(broker = id, %error, "a broker did not list the groups that it coordinates"),
            Ok(listings) => groups.extend(listings.into_iter().map(|listing| Listing {
                kind: listing.group_type.unwrap_or(GroupType::Classic).to_string(),
                group: listing.group_id,
                state: listing.state,
                coordinator: broker(id, &brokers),
            })),
        }
    }
    groups.sort_by(|a, b| a.group.cmp(&b.group));
    Ok(groups)
}

fn broker(id: i32, brokers: &[ClusterBroker]) -> Broker {
    let found = brokers.iter().find(|broker| broker.id == id);
    Broker { id, address: found.map(|broker| format!("{}:{}", broker.host, broker.port)).unwrap_or_default() }
}

/// Describes the groups of `listings` that read topics, with the position in every partition of these topics.
/// How long records have waited is found out by [`super::waiting::fill`].
///
/// # Errors
/// A coordinator does not answer for a group.
pub async fn describe(cluster: &Cluster, listings: &[Listing]) -> Result<Vec<Group>, KafkaError> {
    let admin = &client(cluster).await?;
    let readers: Vec<&Listing> = listings.iter().filter(|listing| listing.has_offsets()).collect();
    let described = admin.describe_consumer_groups(readers.iter().map(|l| &l.group), Default::default()).await;
    let mut described = described.map_err(KafkaError::request("describe groups"))?;
    let committed = readers.iter().map(|listing| committed(admin, &listing.group).boxed());
    let committed: Vec<_> =
        futures::stream::iter(committed.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;

    let mut groups = Vec::with_capacity(readers.len());
    for (listing, committed) in readers.into_iter().zip(committed) {
        let found = match described.remove(&listing.group) {
            Some(Ok(found)) => Some(found),
            // It went away since it was listed.
            Some(Err(error)) if is_code(&error, ErrorCode::GroupIdNotFound) => None,
            Some(Err(source)) => {
                return Err(KafkaError::request(format!("describe group {:?}", listing.group))(source));
            }
            None => None,
        };
        groups.push((group(listing, found), committed));
    }
    let names: BTreeSet<String> = groups
        .iter()
        .flat_map(|(group, committed)| {
            let assigned = group.members.iter().flat_map(|member| member.partitions.keys());
            assigned.chain(committed.keys().map(|partition| &partition.topic)).cloned()
        })
        .collect();
    let layout = topics::layout(cluster, &names).await?;
    let led: Vec<TopicPartition> = layout.values().flat_map(Topic::led).collect();
    let ranges = topics::ranges(cluster, &led).await?;
    for (group, committed) in &mut groups {
        group.positions = positions(&group.members, committed, &layout, &ranges);
    }
    Ok(groups.into_iter().map(|(group, _)| group).collect())
}

fn group(listing: &Listing, found: Option<ConsumerGroupDescription>) -> Group {
    let (state, assignor, members) = match found {
        Some(found) => (found.state, found.assignor, found.members),
        None => (listing.state.clone().unwrap_or_else(|| DEAD.to_owned()), None, Vec::new()),
    };
    let mut members: Vec<Member> = members.into_iter().map(member).collect();
    members.sort_by(|a, b| a.member.cmp(&b.member));
    Group {
        group: listing.group.clone(),
        state,
        kind: listing.kind.clone(),
        coordinator: listing.coordinator.clone(),
        assignor: assignor.filter(|name| !name.is_empty()),
        members,
        positions: Vec::new(),
    }
}

fn member(member: ConsumerGroupMember) -> Member {
    let mut partitions: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for assigned in member.assignment.unwrap_or_default() {
        partitions.entry(assigned.topic_name).or_default().extend(assigned.partitions);
    }
    partitions.values_mut().for_each(|numbers| numbers.sort_unstable());
    Member {
        member: member.member_id,
        client: member.client_id,
        // Kafka prints Java's form of an address, which starts with a slash.
        host: member.client_host.trim_start_matches('/').to_owned(),
        partitions,
    }
}

/// The offsets that `group` has committed; none when there is no such group.
///
/// # Errors
/// Its coordinator does not answer.
pub async fn offsets(cluster: &Cluster, group: &str) -> Result<HashMap<TopicPartition, i64>, KafkaError> {
    committed(&client(cluster).await?, group).await
}

async fn committed(admin: &AdminClient, group: &str) -> Result<HashMap<TopicPartition, i64>, KafkaError> {
    let what = || KafkaError::request(format!("read the offsets of group {group:?}"));
    let offsets = match admin.list_consumer_group_offsets(group, Default::default()).await {
        Ok(offsets) => offsets,
        Err(error) if is_code(&error, ErrorCode::GroupIdNotFound) => return Ok(HashMap::new()),
        Err(error) => return Err(what()(error)),
    };
    Ok(offsets.into_iter().filter_map(|(partition, offset)| Some((partition, offset.ok()?.offset?))).collect())
}

/// The members of `group`, each as `client at host`; none when there is no such group.
///
/// # Errors
/// Its coordinator does not answer.
pub async fn members(cluster: &Cluster, group: &str) -> Result<Vec<String>, KafkaError> {
    let what = || KafkaError::request(format!("describe group {group:?}"));
    let mut described =
        client(cluster).await?.describe_consumer_groups([group], Default::default()).await.map_err(what())?;
    match described.remove(group) {
        Some(Ok(found)) => {
            let members = found.members.into_iter().map(member);
            Ok(members.map(|member| format!("{} at {}", member.client, member.host)).collect())
        }
        Some(Err(error)) if !is_code(&error, ErrorCode::GroupIdNotFound) => Err(what()(error)),
        _ => Ok(Vec::new()),
    }
}

/// Sets the offsets that `group` will go on from.
///
/// # Errors
/// The coordinator refuses one, e.g. because the group has members.
pub async fn move_to(
    cluster: &Cluster,
    group: &str,
    offsets: impl IntoIterator<Item = (TopicPartition, i64)>,
) -> Result<(), KafkaError> {
    let what = || KafkaError::request(format!("set the offsets of group {group:?}"));
    let admin = client(cluster).await?;
    let results = admin.alter_consumer_group_offsets(group, offsets, Default::default()).await.map_err(what())?;
    results.into_values().collect::<Result<(), _>>().map_err(what())
}

/// Deletes `group` with its offsets.
///
/// # Errors
/// The coordinator refuses, e.g. because it has members.
pub async fn delete(cluster: &Cluster, group: &str) -> Result<(), KafkaError> {
    let what = || KafkaError::request(format!("delete group {group:?}"));
    let results = client(cluster).await?.delete_consumer_groups([group], Default::default()).await.map_err(what())?;
    results.into_values().collect::<Result<(), _>>().map_err(what())
}
