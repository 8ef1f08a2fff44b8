//! One topic: its partitions, and the groups that read it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::StatusCode;
use warp::reply::Response;

use super::row::{self, Row};
use crate::console::Console;
use crate::console::frame::{self, Frame, Section};
use crate::console::human;
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::kafka::admin::topics::{self, Partition};
use crate::kafka::watch::Snapshot;
use crate::kafka::{KafkaError, dead_letter, lookup};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/topics/{topic}", page),
        Route::get(
            "/api/console/topics/{topic}",
            "A topic with its partitions and groups",
            |console, params: Params, _: Nothing| async move { overview(&console, params.text("topic")).await },
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// A topic.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Overview {
    /// All of it in one line.
    #[serde(flatten)]
    pub row: Row,
    /// Its partitions.
    pub partition_details: Vec<PartitionView>,
    /// The groups that read it.
    pub readers: Vec<Reader>,
    /// The topic with its dead letters, if there is one.
    pub dead_letters: Option<String>,
}

/// A partition.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PartitionView {
    /// Its number.
    pub partition: i32,
    /// The broker that serves it; `null` while none can.
    pub leader: Option<i32>,
    /// The brokers that should hold it.
    pub replicas: Vec<i32>,
    /// Those of them that have all of it.
    pub isr: Vec<i32>,
    /// The first offset that can be read.
    pub earliest: Option<i64>,
    /// The offset after the last record.
    pub latest: Option<i64>,
    /// Bytes on disk, of one replica.
    pub size: Option<u64>,
}

impl From<Partition> for PartitionView {
    fn from(partition: Partition) -> Self {
        let Partition { partition, leader, replicas, isr, earliest, latest, size } = partition;
        Self { partition, leader, replicas, isr, earliest, latest, size }
    }
}

impl PartitionView {
    fn offsets(&self) -> Option<i64> {
        Some(self.latest? - self.earliest?)
    }

    fn missing(&self) -> Vec<i32> {
        self.replicas.iter().copied().filter(|replica| !self.isr.contains(replica)).collect()
    }
}

/// A group that reads a topic.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reader {
    /// Its name.
    pub group: String,
    /// Its state.
    pub state: String,
    /// How many members it has.
    pub members: usize,
    /// How many offsets of this topic it has not read; `null` when that is known of no partition.
    pub lag: Option<i64>,
    /// For how long the oldest of them has waited, in seconds.
    pub lag_seconds: Option<f64>,
}

impl Reader {
    fn address(&self) -> String {
        format!("/console/groups/{}", frame::segment(&self.group))
    }

    fn waited(&self) -> String {
        match self.lag_seconds {
            Some(seconds) if seconds > 0.0 => human::length((seconds * 1_000.0) as i64),
            _ => String::new(),
        }
    }
}

/// The topic `name` as it is now; its groups as they were at the last look.
pub async fn overview(console: &Console, name: &str) -> Result<Overview, Refusal> {
    exists(console, name).await?;
    let names = [name.to_owned()];
    let Some(topic) = topics::describe(&console.cluster, &names).await?.pop() else {
        return Err(unknown(console, name).await);
    };
    let snapshot = console.watch.snapshot();
    let groups = row::readers(&snapshot).remove(name).unwrap_or_default();
    let mut rows = [Row::new(console, &topic, groups)];
    let layout = [(topic.name.clone(), topic.clone())].into();
    row::complete(console, &mut rows, &layout).await?;
    let [row] = rows;
    let letters = dead_letter::topic_of(name);
    let dead_letters = topics::layout_of(&console.cluster, &letters).await.ok().map(|found| found.name);
    let readers = readers(&snapshot, name);
    let partition_details = topic.partitions.into_iter().map(PartitionView::from).collect();
    Ok(Overview { row, partition_details, readers, dead_letters })
}

/// That there is no topic `name`, and which ones are like it.
async fn unknown(console: &Console, name: &str) -> Refusal {
    match topics::names(&console.cluster, true).await {
        Err(error) => error.into(),
        Ok(names) => {
            let near = lookup::near(name, &names);
            let also = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
            Refusal::not_found(format!("there is no topic {name:?}{also}"))
        }
    }
}

fn readers(snapshot: &Snapshot, topic: &str) -> Vec<Reader> {
    let reader = |group: &crate::kafka::admin::groups::Group| {
        let positions = || group.positions.iter().filter(|position| position.topic == topic);
        positions().next()?;
        Some(Reader {
            group: group.group.clone(),
            state: group.state.clone(),
            members: group.members.len(),
            lag: positions().filter_map(|position| position.lag).reduce(|sum, lag| sum + lag),
            lag_seconds: positions().filter_map(|position| position.lag_seconds).reduce(f64::max),
        })
    };
    let mut readers: Vec<Reader> = snapshot.groups.values().filter_map(reader).collect();
    readers.sort_by(|a, b| b.lag.cmp(&a.lag).then_with(|| a.group.cmp(&b.group)));
    readers
}

/// What all pages of one topic have at their head.
pub struct Head {
    /// The topic.
    pub name: String,
    /// The page that is shown.
    pub tab: &'static str,
}

impl Head {
    /// The head of the page `tab` of the topic `name`.
    pub fn new(name: &str, tab: &'static str) -> Self {
        Self { name: name.to_owned(), tab }
    }

    /// The address of one of its pages; the first one has no name.
    pub fn address(&self, page: &str) -> String {
        let topic = super::address(&self.name);
        if page.is_empty() { topic } else { format!("{topic}/{page}") }
    }

    /// The pages that one goes between.
    pub fn tabs(&self) -> [(&'static str, &'static str); 3] {
        [("", "Overview"), ("messages", "Messages"), ("settings", "Settings")]
    }
}

#[derive(askama::Template)]
#[template(path = "console/topics/one.html")]
struct Page {
    frame: Frame,
    head: Head,
    topic: Overview,
}

/// `1, 2, 3`.
fn numbers(numbers: &[i32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let topic = overview(&console, request.params.text("topic")).await?;
    let (frame, head) = (Frame::new(&console, Section::Topics, &request), Head::new(&topic.row.name, ""));
    Ok(frame::page(&request, StatusCode::OK, &Page { frame, head, topic }))
}

/// Whether there is a topic `name`.
///
/// # Errors
/// There is none, or no broker answers.
pub async fn exists(console: &Console, name: &str) -> Result<(), Refusal> {
    match topics::layout_of(&console.cluster, name).await {
        Ok(_) => Ok(()),
        Err(KafkaError::UnknownTopic { .. }) => Err(unknown(console, name).await),
        Err(error) => Err(error.into()),
    }
}
