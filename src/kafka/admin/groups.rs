//! Consumer groups as they are: state, members, and how far each partition has been read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use krafka::admin::{ClusterBroker, GroupType, ListConsumerGroupsOptions, TopicPartition};
use krafka::error::ErrorCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::described::{self, Described};
use super::positions::{Position, positions};
use super::topics::{self, Topic};
use super::{client, is_code};
use crate::kafka::fetch::{self, Committed};
use crate::kafka::{Cluster, KafkaError};

/// How long a broker may take to list its groups; one that has just died must not hold up what the others tell.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);
/// The state of a group without members; its offsets can be changed.
const EMPTY: &str = "Empty";
/// The state of a group that is gone.
const DEAD: &str = "Dead";

/// Whether a group in `state` is about to share out its partitions anew, by either protocol.
pub fn is_rebalancing(state: &str) -> bool {
    matches!(state, "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling")
}

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// `host:port`.
    pub address: String,
}

/// A group as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// Why its members or its offsets are unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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
        self.problem.is_none() && self.members.is_empty() && matches!(self.state.as_str(), EMPTY | DEAD)
    }

    /// Refuses to touch a group that someone is reading with: a member would go on from what it has in memory, and commit
    /// over anything set meanwhile.
    ///
    /// # Errors
    /// Who is there, and what to do.
    pub fn may_change(&self) -> Result<(), String> {
        if self.is_empty() {
            return Ok(());
        }
        if let Some(problem) = &self.problem {
            return Err(format!("it is not known who reads with group {:?}: {problem}", self.group));
        }
        let members: Vec<String> = self.members.iter().map(|m| format!("{} at {}", m.client, m.host)).collect();
        Err(match members.as_slice() {
            [] => format!("group {:?} is {}; wait until it is Empty", self.group, self.state),
            members => format!(
                "group {:?} is in use by {} member{} ({}); stop them first, then do this again",
                self.group,
                members.len(),
                if members.len() == 1 { "" } else { "s" },
                members.join(", "),
            ),
        })
    }

    /// The offsets that it has committed.
    pub fn committed(&self) -> HashMap<TopicPartition, i64> {
        let offset =
            |position: &Position| Some((TopicPartition::new(&position.topic, position.partition), position.committed?));
        self.positions.iter().filter_map(offset).collect()
    }

    /// All lag that is known; `None` when it is known of no partition.
    pub fn lag(&self) -> Option<i64> {
        self.positions.iter().filter_map(|position| position.lag).reduce(|sum, lag| sum + lag)
    }

    /// Whether it has committed an offset.
    pub fn has_committed(&self) -> bool {
        self.positions.iter().any(|position| position.committed.is_some())
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

    /// The same at `now` (ms), of those that still stand where they were seen.
    pub fn lag_seconds_at(&self, now: i64) -> Option<f64> {
        self.positions.iter().filter_map(|position| position.lag_seconds_at(now)).reduce(f64::max)
    }

    /// The client that reads a partition; where several members have one client's name, the member.
    pub fn reader<'a>(&'a self, position: &'a Position) -> Option<&'a str> {
        let id = position.member.as_deref()?;
        let Some(member) = self.members.iter().find(|member| member.member == id) else { return Some(id) };
        let namesakes = self.members.iter().filter(|other| other.client == member.client).count();
        Some(if namesakes > 1 { id } else { &member.client })
    }

    /// The topics it reads.
    pub fn topics(&self) -> BTreeSet<&str> {
        self.positions.iter().map(|position| position.topic.as_str()).collect()
    }
}

/// All groups, as far as brokers told.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// The groups, in order.
    pub groups: Vec<Listing>,
    /// The brokers that did not answer with those that they coordinate, and why.
    pub refused: Vec<(i32, String)>,
}

/// All groups, and the brokers that did not answer with theirs.
///
/// # Errors
/// No broker answers.
pub async fn list_each(cluster: &Cluster) -> Result<Listed, KafkaError> {
    let admin = client(cluster).await?;
    let described = admin.describe_cluster(Default::default()).await;
    let brokers = described.map_err(KafkaError::request("describe the cluster"))?.brokers;
    let options = ListConsumerGroupsOptions::default().timeout(LIST_TIMEOUT);
    let answers = admin.list_consumer_groups(options).await.map_err(KafkaError::request("list groups"))?;
    let mut listed = Listed::default();
    for (id, answer) in answers {
        match answer {
            Err(error) => listed.refused.push((id, error.to_string())),
            Ok(listings) => listed.groups.extend(listings.into_iter().map(|listing| Listing {
                kind: listing.group_type.unwrap_or(GroupType::Classic).to_string(),
                group: listing.group_id,
                state: listing.state,
                coordinator: broker(id, &brokers),
            })),
        }
    }
    listed.groups.sort_by(|a, b| a.group.cmp(&b.group));
    Ok(listed)
}

/// All groups, in order; those of brokers that did not answer are missing, which is logged.
///
/// # Errors
/// No broker answers.
pub async fn list(cluster: &Cluster) -> Result<Vec<Listing>, KafkaError> {
    let listed = list_each(cluster).await?;
    for (broker, reason) in listed.refused {
        tracing::warn!(broker, reason, "a broker did not list the groups that it coordinates");
    }
    Ok(listed.groups)
}

fn broker(id: i32, brokers: &[ClusterBroker]) -> Broker {
    let found = brokers.iter().find(|broker| broker.id == id);
    Broker { id, address: found.map(|broker| format!("{}:{}", broker.host, broker.port)).unwrap_or_default() }
}

/// Describes the groups of `listings` that read topics, with the position in every partition of these topics. A group
/// whose coordinator doesn't answer for it is there with its problem.
/// How long records have waited is found out by [`super::waiting::fill`].
///
/// # Errors
/// No broker answers.
pub async fn describe(cluster: &Cluster, listings: &[Listing]) -> Result<Vec<Group>, KafkaError> {
    let readings = read(cluster, listings).await;
    let names: BTreeSet<String> = readings.iter().flat_map(Reading::topics).map(str::to_owned).collect();
    let mut topics = topics::layout(cluster, &names).await?;
    let led: Vec<TopicPartition> = topics.values().flat_map(Topic::led).collect();
    let ranges = topics::ranges(cluster, &led).await?;
    topics.values_mut().for_each(|topic| topic.fill_offsets(&ranges));
    Ok(readings.into_iter().map(|reading| reading.placed(&topics)).collect())
}

/// A group as its coordinator knows it, which has yet to be compared with the logs.
pub struct Reading {
    group: Group,
    committed: HashMap<TopicPartition, i64>,
}

impl Reading {
    /// The topics it reads.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        let assigned = self.group.members.iter().flat_map(|member| member.partitions.keys());
        assigned.chain(self.committed.keys().map(|partition| &partition.topic)).map(String::as_str)
    }

    /// The group with its place in the logs of `topics`, which are known with their offsets.
    pub fn placed(self, topics: &BTreeMap<String, Topic>) -> Group {
        let positions = positions(&self.group.members, &self.committed, topics);
        Group { positions, ..self.group }
    }
}

/// Asks the coordinators for those groups of `listings` that read topics: members and commits, with a few requests to each.
/// To compare commits with the logs' ends, look at these afterwards.
pub async fn read(cluster: &Cluster, listings: &[Listing]) -> Vec<Reading> {
    let readers: Vec<&Listing> = listings.iter().filter(|listing| listing.has_offsets()).collect();
    // A group that is listed as empty has nothing more to tell than that.
    let peopled: Vec<&Listing> =
        readers.iter().copied().filter(|listing| listing.state.as_deref() != Some(EMPTY)).collect();
    let names: Vec<&str> = readers.iter().map(|listing| listing.group.as_str()).collect();
    let (mut described, committed) =
        tokio::join!(described::described(cluster, &peopled), fetch::committed(cluster, &names));
    let reading = |(listing, committed): (&Listing, Result<Vec<Committed>, KafkaError>)| {
        let mut group = match described.remove(&listing.group) {
            Some(Ok(found)) => group(listing, found),
            Some(Err(error)) => Group { problem: Some(error.to_string()), ..group(listing, None) },
            None => group(listing, None),
        };
        let committed = committed.map(by_partition).unwrap_or_else(|error| {
            group.problem.get_or_insert_with(|| error.to_string());
            HashMap::new()
        });
        Reading { group, committed }
    };
    readers.into_iter().zip(committed).map(reading).collect()
}

fn group(listing: &Listing, found: Option<Described>) -> Group {
    let Described { state, assignor, mut members } = found.unwrap_or_else(|| Described {
        state: listing.state.clone().unwrap_or_else(|| DEAD.to_owned()),
        assignor: String::new(),
        members: Vec::new(),
    });
    members.sort_by(|a, b| a.member.cmp(&b.member));
    Group {
        group: listing.group.clone(),
        state,
        kind: listing.kind.clone(),
        coordinator: listing.coordinator.clone(),
        assignor: Some(assignor).filter(|name| !name.is_empty()),
        members,
        positions: Vec::new(),
        problem: None,
    }
}

fn by_partition(committed: Vec<Committed>) -> HashMap<TopicPartition, i64> {
    committed.into_iter().map(|found| (TopicPartition::new(found.topic, found.partition), found.offset)).collect()
}

/// The offsets that `group` has committed; none when there is no such group.
///
/// # Errors
/// Its coordinator does not answer.
pub async fn offsets(cluster: &Cluster, group: &str) -> Result<HashMap<TopicPartition, i64>, KafkaError> {
    let found = fetch::committed(cluster, &[group]).await.into_iter().next();
    found.unwrap_or_else(|| Ok(Vec::new())).map(by_partition)
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
            let host = |host: &str| host.trim_start_matches('/').to_owned();
            let members = found.members.into_iter();
            Ok(members.map(|member| format!("{} at {}", member.client_id, host(&member.client_host))).collect())
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

/// Deletes what `group` has committed for `partitions` of a topic.
///
/// # Errors
/// The coordinator refuses, e.g. because a member is subscribed to the topic.
pub async fn forget(
    cluster: &Cluster,
    group: &str,
    partitions: impl IntoIterator<Item = TopicPartition>,
) -> Result<(), KafkaError> {
    let what = || KafkaError::request(format!("delete offsets of group {group:?}"));
    let admin = client(cluster).await?;
    let results = admin.delete_consumer_group_offsets(group, partitions, Default::default()).await.map_err(what())?;
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
