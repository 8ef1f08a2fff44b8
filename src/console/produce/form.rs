//! The page with the form, and what it sends.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::content::{Content, Format};
use super::record::{Header, PARTITIONER_TEXTS, Sending, content_of, headers_of};
use super::send::{self, Source};
use crate::console::Console;
use crate::console::form::Fields;
use crate::console::frame::{self, Frame, Section};
use crate::console::human;
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::console::runs::{About, Run, RunView, State};
use crate::kafka::admin::topics;
use crate::kafka::bulk::{ACKS, COMPRESSIONS};
use crate::kafka::{KafkaError, fetch, lookup};

/// How long an answer waits for a run to end before it says how far it is.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows of headers that are open for more, where no script adds any.
const OPEN_ROWS: usize = 2;
/// Topics that the form suggests.
const SUGGESTIONS: usize = 1_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/produce", page),
        Route::form("/console/produce", submitted),
        Route::action(
            Method::POST,
            "/api/console/produce",
            "Sends a record, as often as wanted; answers when all are sent, or after two seconds with the run that goes on",
            |console, _: Params, sending: Sending| async move {
                let run = begin(&console, &sending).await?;
                outcome(&run).await
            },
        ),
        Route::get(
            "/api/console/produce/draft",
            "A record of a topic as it can be sent again, exactly",
            |console, _: Params, copied: Copied| async move { Draft::copy(&console, &copied.copy).await },
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Copied {
    /// Which record: `topic:partition:offset`.
    copy: String,
}

/// Where a form begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Query {
    topic: Option<String>,
    copy: Option<String>,
    partition: Option<i32>,
}

/// What a form has in its fields.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Draft {
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: Content,
    /// The value.
    pub value: Content,
    /// The headers.
    pub headers: Vec<Header>,
    /// The partition that it came from, or that was typed.
    pub partition: String,
    #[serde(skip)]
    typed: Fields,
}

impl Draft {
    /// The record at `place`, `topic:partition:offset`.
    async fn copy(console: &Console, place: &str) -> Result<Self, Refusal> {
        let malformed = || Refusal::field("copy", format!("expected topic:partition:offset, not {place:?}"));
        let mut parts = place.rsplitn(3, ':');
        let offset: i64 = parts.next().and_then(|part| part.parse().ok()).ok_or_else(malformed)?;
        let partition: i32 = parts.next().and_then(|part| part.parse().ok()).ok_or_else(malformed)?;
        let topic = parts.next().ok_or_else(malformed)?;
        let found = fetch::record(&console.cluster, topic, partition, offset).await?;
        let record = found.ok_or_else(|| {
            Refusal::not_found(format!(
                "there is no record at {place}: it may have been deleted since, or not be a record"
            ))
        })?;
        let mut headers = Vec::with_capacity(record.headers.len());
        for (name, value) in record.headers.iter() {
            headers.push(Header { name: header_name(name)?, value: Content::of(value) });
        }
        Ok(Self {
            topic: topic.to_owned(),
            key: Content::of(record.key.as_deref()),
            value: Content::of_value(record.value.as_deref()),
            headers,
            ..Self::default()
        })
    }

    /// What was typed.
    fn of_form(fields: Fields) -> Self {
        Self {
            topic: fields.text("topic").to_owned(),
            key: content_of(&fields, "key"),
            value: content_of(&fields, "value"),
            headers: headers_of(&fields),
            partition: fields.text("partition").to_owned(),
            typed: fields,
        }
    }

    /// The rows of headers that the form has: the headers, and some open ones.
    fn rows(&self) -> Vec<Header> {
        let open = Header { name: String::new(), value: Content::default() };
        self.headers.iter().cloned().chain(std::iter::repeat_n(open, OPEN_ROWS)).collect()
    }
}

/// A header's name, as far as a form can hold it.
fn header_name(name: &[u8]) -> Result<String, Refusal> {
    let text = std::str::from_utf8(name).ok().filter(|text| !text.chars().any(char::is_control));
    text.map(str::to_owned).ok_or_else(|| {
        let name = String::from_utf8_lossy(name);
        Refusal::conflict(format!("a header's name, {name:?}, has characters that a form can't hold exactly"))
    })
}

/// Begins to send.
async fn begin(console: &Arc<Console>, sending: &Sending) -> Result<Arc<Run>, Refusal> {
    let (record, options, count, rate) = (sending.record()?, sending.how.options()?, sending.count()?, sending.rate()?);
    check(console, &sending.topic, options.partition).await?;
    let title = match count {
        1 => format!("A record for {}", sending.topic),
        many => format!("{} for {}", human::counted(many, "record"), sending.topic),
    };
    let about = About {
        title,
        unit: "record",
        topic: Some(sending.topic.clone()),
        back: format!("/console/produce?topic={}", frame::segment(&sending.topic)),
        total: Some(count),
    };
    let (cluster, topic) = (console.cluster.clone(), sending.topic.clone());
    let source = Source::Repeated { record, count, rate };
    console.runs.start(about, &console.shutdown, |run| send::send(run, cluster, topic, options, source))
}

/// Whether there is such a topic and partition: a client would wait for them, and some brokers would make the topic.
///
/// # Errors
/// There is not.
pub(super) async fn check(console: &Console, topic: &str, partition: Option<i32>) -> Result<(), Refusal> {
    let partitions = match lookup::partitions(console.cluster.producing().await?, topic).await {
        Ok(partitions) => partitions,
        Err(error @ KafkaError::UnknownTopic { .. }) => {
            return Err(Refusal { field: Some("topic"), ..Refusal::from(error) });
        }
        Err(error) => return Err(error.into()),
    };
    match partition.filter(|partition| !partitions.contains(partition)) {
        Some(_) => {
            Err(Refusal::field("partition", format!("it has partitions 0 to {}", partitions.len().saturating_sub(1))))
        }
        None => Ok(()),
    }
}

/// How `run` went, or how far it is.
///
/// # Errors
/// It has ended without having sent anything.
pub(super) async fn outcome(run: &Run) -> Result<RunView, Refusal> {
    // A run that goes on is an answer too.
    let _ = tokio::time::timeout(PATIENCE, run.ended()).await;
    let view = run.view();
    let failed = view.done == 0 && matches!(view.state, State::Done | State::Failed);
    match view.problem.as_ref().or_else(|| view.failures.first().map(|failure| &failure.reason)) {
        Some(reason) if failed && view.failures.len() <= 1 => {
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, format!("nothing was sent: {reason}")))
        }
        _ => Ok(view),
    }
}

#[derive(askama::Template)]
#[template(path = "console/produce/form.html")]
struct Page {
    frame: Frame,
    draft: Draft,
    topics: Vec<String>,
    copied: Option<String>,
    error: Option<Refusal>,
}

impl Page {
    fn error_at(&self, field: &str) -> Option<&str> {
        let error = self.error.as_ref()?;
        (error.field == Some(field)).then_some(error.reason.as_str())
    }

    /// What is wrong with no single field.
    fn other_error(&self) -> Option<&str> {
        const FIELDS: [&str; 7] = ["topic", "key", "value", "headers", "partition", "count", "rate"];
        let error = self.error.as_ref()?;
        (!error.field.is_some_and(|field| FIELDS.contains(&field))).then_some(error.reason.as_str())
    }

    fn is(&self, name: &str, value: &str, usual: &str) -> bool {
        self.draft.typed.given(name).unwrap_or(usual) == value
    }

    fn typed(&self, name: &str) -> &str {
        self.draft.typed.text(name)
    }

    /// Whether the options that are rarely changed are shown at once.
    fn is_open(&self) -> bool {
        let changed = ["partitioner", "compression", "acks", "count", "rate"];
        let usual = ["murmur2", "none", "all", "1", ""];
        changed.iter().zip(usual).any(|(name, usual)| self.draft.typed.given(name).unwrap_or(usual) != usual)
    }
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let query: Query = request.query()?;
    let (draft, error) = match &query.copy {
        None => {
            let (topic, partition) = (query.topic.unwrap_or_default(), query.partition);
            let partition = partition.map(|partition| partition.to_string()).unwrap_or_default();
            (Draft { topic, partition, key: Content::null(), ..Draft::default() }, None)
        }
        Some(place) => match Draft::copy(&console, place).await {
            Ok(draft) => (draft, None),
            Err(refusal) => (Draft { key: Content::null(), ..Draft::default() }, Some(refusal)),
        },
    };
    let status = error.as_ref().map_or(StatusCode::OK, |error| error.status);
    let copied = query.copy.filter(|_| error.is_none());
    show(&console, request, status, draft, copied, error).await
}

async fn show(
    console: &Console,
    request: Request,
    status: StatusCode,
    draft: Draft,
    copied: Option<String>,
    error: Option<Refusal>,
) -> Result<Response, Refusal> {
    // Suggestions only: without them, a name can still be typed.
    let mut topics = topics::names(&console.cluster, false).await.unwrap_or_default();
    topics.truncate(SUGGESTIONS);
    let frame = Frame::new(console, Section::Produce, &request);
    Ok(frame::page(&request, status, &Page { frame, draft, topics, copied, error }))
}

async fn submitted(
    console: Arc<Console>,
    request: Request,
    fields: Vec<(String, String)>,
) -> Result<Response, Refusal> {
    let fields = Fields::new(fields);
    let begun = match Sending::of_form(&fields) {
        Ok(sending) => begin(&console, &sending).await,
        Err(refusal) => Err(refusal),
    };
    let sent = match begun {
        Ok(run) => outcome(&run).await.map(|view| (run.address(), view.told())),
        Err(refusal) => Err(refusal),
    };
    match sent {
        Ok((address, told)) => Ok(frame::done(&address, &told)),
        Err(refusal) => {
            let status = refusal.status;
            show(&console, request, status, Draft::of_form(fields), None, Some(refusal)).await
        }
    }
}
