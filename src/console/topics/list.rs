//! All topics: filtered, sorted by any column and paged here, so that a page is the same for everyone who has its address.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::StatusCode;
use warp::reply::Response;

use super::row::{self, Row};
use crate::console::Console;
use crate::console::frame::{self, Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::kafka::KafkaError;
use crate::kafka::admin::settings;
use crate::kafka::admin::topics::{self, Topic};
use crate::kafka::watch::Snapshot;

/// Rows of a page.
const SIZE: usize = 50;
/// Rows of a page at most.
const MAX_SIZE: usize = 500;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/topics", page),
        Route::get(
            "/api/console/topics",
            "The topics, filtered, sorted and paged",
            |console, _: Params, query: Query| async move { listing(&console, query).await },
        ),
    ]
}

/// Which topics, and in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Query {
    /// Only topics whose name has this in it, in whatever case.
    #[serde(skip_serializing_if = "String::is_empty")]
    q: String,
    /// Also those of Kafka itself, such as `__consumer_offsets`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    internal: bool,
    /// Only those with partitions that lack a leader or a replica.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    problems: bool,
    /// By which column.
    #[serde(skip_serializing_if = "is_default")]
    sort: Column,
    /// In which direction; without it, names run from A and numbers from the largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Order>,
    /// Which page, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<usize>,
    /// How many on a page: 50, or up to 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
}

fn is_default(column: &Column) -> bool {
    *column == Column::default()
}

/// A column of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Column {
    /// The name.
    #[default]
    Name,
    /// How many partitions.
    Partitions,
    /// How many replicas of each.
    Replicas,
    /// How many messages, or offsets where those are not all messages.
    Messages,
    /// Bytes on disk.
    Size,
    /// Records a second.
    Rate,
    /// How long records are kept.
    Retention,
    /// What becomes of old records.
    Cleanup,
    /// How many groups read it.
    Groups,
    /// What is wrong with it.
    State,
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// From the smallest.
    Asc,
    /// From the largest.
    Desc,
}

impl Column {
    /// All, with their names.
    const ALL: [(Self, &'static str); 10] = [
        (Self::Name, "Topic"),
        (Self::Partitions, "Partitions"),
        (Self::Replicas, "Replicas"),
        (Self::Messages, "Messages"),
        (Self::Size, "Size"),
        (Self::Rate, "Rate in"),
        (Self::Retention, "Kept"),
        (Self::Cleanup, "Cleanup"),
        (Self::Groups, "Groups"),
        (Self::State, "State"),
    ];

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Whether it is aligned as numbers are.
    fn is_number(self) -> bool {
        !matches!(self, Self::Name | Self::Cleanup | Self::State | Self::Retention)
    }

    fn usual_order(self) -> Order {
        if matches!(self, Self::Name | Self::Cleanup) { Order::Asc } else { Order::Desc }
    }

    /// Whether it is known only after the brokers were asked for each topic's settings.
    fn is_setting(self) -> bool {
        matches!(self, Self::Retention | Self::Cleanup)
    }

    fn compare(self, a: &Row, b: &Row, order: Order) -> Ordering {
        /// What is unknown stands at the end whatever the direction.
        fn known<T: PartialOrd>(a: Option<T>, b: Option<T>, order: Order) -> Ordering {
            match (a, b) {
                (Some(a), Some(b)) => {
                    let ordering = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
                    if order == Order::Asc { ordering } else { ordering.reverse() }
                }
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            }
        }
        // For ever is the longest time, and a policy that only compacts keeps the last of each key for ever.
        let kept = |row: &Row| row.cleanup_policy.as_ref().map(|_| row.retention_ms.unwrap_or(i64::MAX));
        let ordering = match self {
            Self::Name => known(Some(&a.name), Some(&b.name), order),
            Self::Partitions => known(Some(a.partitions), Some(b.partitions), order),
            Self::Replicas => known(Some(a.replication_factor), Some(b.replication_factor), order),
            Self::Messages => known(a.offsets, b.offsets, order),
            Self::Size => known(a.size, b.size, order),
            Self::Rate => known(a.rate, b.rate, order),
            Self::Retention => known(kept(a), kept(b), order),
            Self::Cleanup => known(a.cleanup_policy.as_ref(), b.cleanup_policy.as_ref(), order),
            Self::Groups => known(Some(a.groups.len()), Some(b.groups.len()), order),
            Self::State => known(Some(a.trouble()), Some(b.trouble()), order),
        };
        ordering.then_with(|| a.name.cmp(&b.name))
    }
}

impl Query {
    fn order(&self) -> Order {
        self.order.unwrap_or_else(|| self.sort.usual_order())
    }

    fn admits(&self, name: &str) -> bool {
        let (name, wanted) = (name.to_lowercase(), self.q.trim().to_lowercase());
        wanted.is_empty() || name.contains(&wanted)
    }

    fn address(&self) -> String {
        // Plain fields always have a form.
        let query = serde_html_form::to_string(self).unwrap_or_default();
        if query.is_empty() { "/console/topics".to_owned() } else { format!("/console/topics?{query}") }
    }
}

/// A page of the list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listing {
    /// The topics on it.
    topics: Vec<Row>,
    /// How many match.
    matching: usize,
    /// How many there are.
    total: usize,
    /// Which page it is, from 1.
    page: usize,
    /// How many there are.
    pages: usize,
    /// When offsets and sizes were looked at, in milliseconds since the epoch.
    taken_at: i64,
    /// Why they could not be looked at since.
    problem: Option<String>,
    #[serde(skip)]
    query: Query,
}

impl Listing {
    fn order_name(&self) -> Option<String> {
        self.query.order.map(|order| format!("{order:?}").to_lowercase())
    }
}

/// What `query` asks for. Names and layout are asked of the brokers now; offsets and sizes are those of the last look.
async fn listing(console: &Console, query: Query) -> Result<Listing, Refusal> {
    let cluster = &console.cluster;
    let mut names = topics::names(cluster, query.internal).await?;
    let total = names.len();
    names.retain(|name| query.admits(name));
    let snapshot = console.watch.snapshot();
    let topics = current(console, &snapshot, &names).await?;
    let mut readers = row::readers(&snapshot);
    let mut groups = |name: &str| readers.remove(name).unwrap_or_default();
    let mut rows: Vec<Row> = topics.values().map(|topic| Row::new(console, topic, groups(&topic.name))).collect();
    if query.problems {
        rows.retain(|row| row.trouble() > 0);
    }
    if query.sort.is_setting() {
        let keeping = settings::keeping(cluster, rows.iter().map(|row| &row.name)).await?;
        rows.iter_mut().for_each(|row| keeping.get(&row.name).into_iter().for_each(|keeping| row.keep(keeping)));
    }
    rows.sort_by(|a, b| query.sort.compare(a, b, query.order()));

    let size = query.size.unwrap_or(SIZE).clamp(1, MAX_SIZE);
    let (matching, pages) = (rows.len(), rows.len().div_ceil(size).max(1));
    let page = query.page.unwrap_or(1).clamp(1, pages);
    let mut rows: Vec<Row> = rows.into_iter().skip((page - 1) * size).take(size).collect();
    row::complete(console, &mut rows, &topics).await?;
    let (taken_at, problem) = (snapshot.taken_at, snapshot.away.clone());
    Ok(Listing { topics: rows, matching, total, page, pages, taken_at, problem, query })
}

/// Those of `names` that exist, laid out as they are now, with the offsets and sizes of the last look; those that it did not
/// see are asked about.
async fn current(
    console: &Console,
    snapshot: &Snapshot,
    names: &[String],
) -> Result<BTreeMap<String, Topic>, KafkaError> {
    let mut layout = topics::layout(&console.cluster, names).await?;
    let mut unseen = Vec::new();
    for topic in layout.values_mut() {
        match snapshot.topics.get(&topic.name) {
            Some(seen) if seen.partitions.len() == topic.partitions.len() => {
                for partition in &mut topic.partitions {
                    let Some(seen) = seen.partition(partition.partition) else { continue };
                    partition.earliest = seen.earliest;
                    partition.latest = seen.latest;
                    partition.size = seen.size;
                }
            }
            _ => unseen.push(topic.name.clone()),
        }
    }
    if !unseen.is_empty() {
        let described = topics::describe(&console.cluster, &unseen).await?;
        layout.extend(described.into_iter().map(|topic| (topic.name.clone(), topic)));
    }
    Ok(layout)
}

/// The head of a column.
struct Head {
    label: &'static str,
    number: bool,
    address: String,
    /// In which direction it is sorted by this column.
    sorted: Option<&'static str>,
}

#[derive(askama::Template)]
#[template(path = "console/topics/list.html")]
struct Page {
    frame: Frame,
    listing: Listing,
    heads: Vec<Head>,
    previous: Option<String>,
    next: Option<String>,
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let listing = listing(&console, request.query()?).await?;
    let query = &listing.query;
    let head = |(column, label): (Column, &'static str)| {
        let sorted = (query.sort == column).then(|| query.order());
        let order = match sorted {
            Some(Order::Asc) => Order::Desc,
            Some(Order::Desc) => Order::Asc,
            None => column.usual_order(),
        };
        let order = Some(order).filter(|order| *order != column.usual_order());
        Head {
            label,
            number: column.is_number(),
            address: Query { sort: column, order, page: None, ..query.clone() }.address(),
            sorted: sorted.map(|order| if order == Order::Asc { "ascending" } else { "descending" }),
        }
    };
    let heads = Column::ALL.map(head).into();
    let turned = |page: usize| Query { page: (page > 1).then_some(page), ..query.clone() }.address();
    let previous = (listing.page > 1).then(|| turned(listing.page - 1));
    let next = (listing.page < listing.pages).then(|| turned(listing.page + 1));
    let frame = Frame::new(&console, Section::Topics, &request);
    Ok(frame::page(&request, StatusCode::OK, &Page { frame, heads, previous, next, listing }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, size: Option<u64>) -> Row {
        Row { name: name.to_owned(), size, ..Row::default() }
    }

    fn sorted(column: Column, order: Order) -> Vec<String> {
        let mut rows = [row("b", Some(2)), row("c", None), row("a", Some(2)), row("d", Some(7))];
        rows.sort_by(|a, b| column.compare(a, b, order));
        rows.map(|row| row.name).to_vec()
    }

    #[test]
    fn what_is_unknown_comes_last_and_equals_stand_by_name() {
        assert_eq!(sorted(Column::Size, Order::Desc), ["d", "a", "b", "c"]);
        assert_eq!(sorted(Column::Size, Order::Asc), ["a", "b", "d", "c"]);
        assert_eq!(sorted(Column::Name, Order::Desc), ["d", "c", "b", "a"]);
    }

    #[test]
    fn an_address_holds_what_is_not_usual() {
        assert_eq!(Query::default().address(), "/console/topics");
        let query = Query {
            q: "a b".to_owned(),
            sort: Column::Size,
            order: Some(Order::Asc),
            page: Some(2),
            ..Query::default()
        };
        assert_eq!(query.address(), "/console/topics?q=a+b&sort=size&order=asc&page=2");
        assert_eq!(serde_html_form::from_str::<Query>("q=a+b&sort=size&order=asc&page=2"), Ok(query));
    }
}
