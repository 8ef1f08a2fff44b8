//! The board's routes: the page, posting, reading, streaming.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;
use warp::Filter;
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use warp::reply::Response;

use super::form;
use super::history::{Cursor, Page};
use super::idempotency::{self, Claim};
use super::message::{Draft, Invalid, Message};
use super::page::{BoardPage, MessageView};
use super::{Board, TOPIC, WINDOW};
use crate::kafka::event::{EventMeta, IDEMPOTENCY_KEY, TraceContext, now_ms};
use crate::kafka::{KafkaError, Outgoing};
use crate::live::feed::Event;
use crate::live::frame::EventId;
use crate::live::sse::SseStream;
use crate::redis::RedisError;
use crate::web::body::{self, BodyError};
use crate::web::{Routes, reply};

/// The body of a POST at most: a message of the longest content in the widest encoding, with room.
const MAX_BODY: usize = 64 * 1024;
/// Messages of a page unless asked otherwise, and at most.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = WINDOW;
/// How long the form waits for its message to come back through Kafka and Redis before it shows the board without it.
const FORM_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct ListQuery {
    limit: Option<String>,
    before: Option<String>,
}

#[derive(Deserialize)]
struct StreamQuery {
    last_event_id: Option<String>,
}

#[derive(Serialize)]
struct Posted<'a> {
    success: bool,
    message: &'static str,
    id: &'a str,
}

/// Why a message was not posted.
#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("another site's page may not post here")]
    CrossSite,
    #[error("this Idempotency-Key was used for another message")]
    KeyReused,
    #[error("Failed to send message: Kafka did not acknowledge it")]
    Kafka(#[source] KafkaError),
    #[error("Failed to send message: Redis is away, and without it a repeated request can't be told from a new one")]
    Redis(#[source] RedisError),
}

impl PostError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::Body(BodyError::Broken) => StatusCode::BAD_REQUEST,
            Self::Body(BodyError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::TimedOut) => StatusCode::REQUEST_TIMEOUT,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Kafka(_) | Self::Redis(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Invalid(invalid) => invalid.field,
            _ => None,
        }
    }
}

/// The routes of the board.
pub fn routes(board: Arc<Board>) -> Routes {
    let with = |board: &Arc<Board>| {
        let board = Arc::clone(board);
        warp::any().map(move || Arc::clone(&board))
    };
    let messages = warp::path!("api" / "messages");
    let index = warp::path::end()
        .and(warp::get().or(warp::head()).unify())
        .and(with(&board))
        .and(warp::query::<ListQuery>())
        .and(warp::header::headers_cloned())
        .then(index);
    let post = messages
        .and(warp::post())
        .and(with(&board))
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(|board: Arc<Board>, headers: HeaderMap, body| async move { post(&board, &headers, body).await });
    let list = messages.and(warp::get()).and(with(&board)).and(warp::query::<ListQuery>()).then(list);
    let stream = warp::path!("api" / "messages" / "stream")
        .and(warp::get())
        .and(with(&board))
        .and(warp::query::<StreamQuery>())
        .and(warp::header::optional::<String>("last-event-id"))
        .map(stream);
    let filter = post.or(stream).unify().or(list).unify().or(index).unify().boxed();
    Routes::new(filter, &["/", "/api/messages", "/api/messages/stream"])
}

/// `POST /api/messages`, from a program (JSON) or a form.
async fn post<S, B>(board: &Board, headers: &HeaderMap, body: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let body = body::read(body, MAX_BODY).await;
    let content_type = text(headers, CONTENT_TYPE).unwrap_or_default();
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return post_form(board, headers, body).await;
    }
    let result = async {
        let draft = Draft::from_json(&body?)?;
        accept(board, headers, &draft).await
    };
    match result.await {
        Ok(id) => reply::json(StatusCode::OK, &Posted { success: true, message: "Message sent to Kafka", id: &id }),
        Err(error) => {
            log(&error);
            reply::error(error.status(), &error.to_string(), error.field())
        }
    }
}

/// The form: the board with the message on it, or the form again with what was wrong.
async fn post_form(board: &Board, headers: &HeaderMap, body: Result<Bytes, BodyError>) -> Response {
    let draft = body.as_ref().map(|body| form::parse(body)).unwrap_or_default();
    let events = board.feed.watch();
    let result = async {
        body?;
        accept(board, headers, &draft).await
    };
    match result.await {
        Ok(id) => {
            await_message(events, &id).await;
            reply::with_cookie(
                reply::see_other("/"),
                &form::author_cookie(draft.author.as_deref().unwrap_or_default().trim()),
            )
        }
        Err(error) => {
            log(&error);
            let mut page = newest(board, DEFAULT_LIMIT).await.map(|newest| newest.into_page()).unwrap_or_default();
            page.author = draft.author.unwrap_or_default();
            page.draft = draft.content.unwrap_or_default();
            page.error = Some(error.to_string());
            reply::page(error.status(), &page)
        }
    }
}

/// Checks a draft, writes it to Kafka and waits for the acknowledgement; the message's id.
async fn accept(board: &Board, headers: &HeaderMap, draft: &Draft) -> Result<String, PostError> {
    // Browsers say where a request comes from; without a login, this is what keeps a page elsewhere from posting in the
    // name of whoever reads it. Programs say nothing, and may post.
    if text(headers, HeaderName::from_static("sec-fetch-site")) == Some("cross-site") {
        return Err(PostError::CrossSite);
    }
    let (content, author) = draft.validate()?;
    let message = Message { id: Uuid::now_v7().to_string(), content, author, timestamp: now_ms() };
    let Some(key) = text(headers, HeaderName::from_static("idempotency-key")) else {
        write(board, headers, &message, None).await?;
        return Ok(message.id);
    };
    idempotency::check(key)?;
    let keys = idempotency::Keys { redis: &board.services.redis, prefix: &board.services.prefix.0 };
    match keys.claim(key, message).await.map_err(PostError::Redis)? {
        Claim::Mismatch => Err(PostError::KeyReused),
        Claim::Written(message) => Ok(message.id),
        Claim::Write(message) => {
            write(board, headers, &message, Some(key)).await?;
            keys.written(key, &message).await;
            Ok(message.id)
        }
    }
}

async fn write(board: &Board, headers: &HeaderMap, message: &Message, key: Option<&str>) -> Result<(), PostError> {
    let trace = text(headers, HeaderName::from_static("traceparent")).and_then(TraceContext::parse);
    let correlation = text(headers, HeaderName::from_static("x-correlation-id")).filter(|id| id.len() <= 128);
    let meta = EventMeta {
        event_type: "MessagePosted",
        version: "1",
        correlation_id: correlation.unwrap_or(&message.id).to_owned(),
        trace: trace.map_or_else(TraceContext::random, TraceContext::child),
        timestamp: message.timestamp,
    };
    let mut headers = meta.headers(&message.id);
    if let Some(key) = key {
        headers.push((IDEMPOTENCY_KEY.to_owned(), Some(Bytes::from(key.to_owned()))));
    }
    let record = Outgoing {
        topic: board.services.prefix.apply(TOPIC),
        key: Some(Bytes::from(message.id.clone())),
        value: Some(Bytes::from(message.encode())),
        headers,
        timestamp: message.timestamp,
    };
    board.services.producer.send(record).await.map_err(PostError::Kafka)
}

/// Waits until the feed has brought a message, or patience ends.
async fn await_message(mut events: tokio::sync::broadcast::Receiver<Event>, id: &str) {
    let arrived = async {
        loop {
            match events.recv().await {
                Ok(Event::Message(frame) | Event::Reset(frame))
                    if memchr::memmem::find(&frame, id.as_bytes()).is_some() =>
                {
                    break;
                }
                Ok(Event::Closing) | Err(RecvError::Closed) => break,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
            }
        }
    };
    // The board is shown either way.
    let _ = tokio::time::timeout(FORM_PATIENCE, arrived).await;
}

/// The newest messages, as the window has them.
struct Newest {
    /// The members' JSON, newest first.
    members: Vec<Bytes>,
    next: Option<Cursor>,
    last_event_id: EventId,
}

impl Newest {
    fn into_page(self) -> BoardPage {
        let now = now_ms();
        let messages = self.members.iter().filter_map(|json| Message::decode(Some(json)).ok());
        BoardPage {
            messages: messages.map(|message| MessageView::new(message, now)).collect(),
            last_event_id: self.last_event_id.to_string(),
            next_cursor: self.next.map(|cursor| cursor.to_string()),
            ..BoardPage::default()
        }
    }
}

async fn newest(board: &Board, limit: usize) -> Result<Newest, RedisError> {
    let mut snapshot = board.window.snapshot().await?;
    let next = Cursor::behind(&snapshot, board.history.topic(), limit);
    snapshot.members.truncate(limit);
    Ok(Newest { members: snapshot.members, next, last_event_id: EventId { epoch: snapshot.epoch, seq: snapshot.seq } })
}

/// `GET /`.
async fn index(board: Arc<Board>, query: ListQuery, headers: HeaderMap) -> Response {
    let author = text(&headers, HeaderName::from_static("cookie")).and_then(form::author_of).unwrap_or_default();
    let page = match parse_before(&query) {
        Err(invalid) => Err((StatusCode::BAD_REQUEST, invalid.reason)),
        Ok(None) => newest(&board, DEFAULT_LIMIT).await.map(Newest::into_page).map_err(|error| {
            tracing::warn!(%error, "can't read the window");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "The messages can't be shown: Redis is away. This page works again when it is back.".to_owned(),
            )
        }),
        Ok(Some(cursor)) => board.history.page(&cursor, DEFAULT_LIMIT).await.map(older_page).map_err(|error| {
            tracing::warn!(%error, "can't read the log");
            (StatusCode::SERVICE_UNAVAILABLE, "Older messages can't be shown: Kafka is away.".to_owned())
        }),
    };
    match page {
        Ok(page) => reply::page(StatusCode::OK, &BoardPage { author, ..page }),
        Err((status, reason)) => {
            reply::page(status, &BoardPage { author, error: Some(reason), ..BoardPage::default() })
        }
    }
}

fn older_page(page: Page) -> BoardPage {
    let now = now_ms();
    BoardPage {
        messages: page.messages.into_iter().map(|message| MessageView::new(message, now)).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
        older: true,
        ..BoardPage::default()
    }
}

/// `GET /api/messages`.
async fn list(board: Arc<Board>, query: ListQuery) -> Response {
    let wanted = parse_limit(&query).and_then(|limit| Ok((limit, parse_before(&query)?)));
    let (limit, before) = match wanted {
        Ok(wanted) => wanted,
        Err(invalid) => return reply::error(StatusCode::BAD_REQUEST, &invalid.reason, invalid.field),
    };
    match before {
        None => match newest(&board, limit).await {
            Ok(newest) => reply::bytes(StatusCode::OK, "application/json", list_body(&newest.members, newest.next)),
            Err(error) => {
                tracing::warn!(%error, "can't read the window");
                reply::error(StatusCode::SERVICE_UNAVAILABLE, "Failed to fetch messages: Redis is away", None)
            }
        },
        Some(cursor) => match board.history.page(&cursor, limit).await {
            Ok(page) => {
                let messages: Vec<Bytes> = page.messages.iter().map(|message| Bytes::from(message.encode())).collect();
                reply::bytes(StatusCode::OK, "application/json", list_body(&messages, page.next))
            }
            Err(error) => {
                tracing::warn!(%error, "can't read the log");
                reply::error(StatusCode::SERVICE_UNAVAILABLE, "Failed to fetch messages: Kafka is away", None)
            }
        },
    }
}

/// `{"messages":[…],"next":…}` from messages that are JSON already.
fn list_body(messages: &[Bytes], next: Option<Cursor>) -> Vec<u8> {
    let mut body = Vec::from(&b"{\"messages\":["[..]);
    for (index, message) in messages.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(message);
    }
    body.push(b']');
    if let Some(cursor) = next {
        // A cursor is digits, letters, dots and hyphens: nothing to escape.
        body.extend_from_slice(format!(",\"next\":\"{cursor}\"").as_bytes());
    }
    body.push(b'}');
    body
}

fn parse_limit(query: &ListQuery) -> Result<usize, Invalid> {
    let Some(text) = &query.limit else { return Ok(DEFAULT_LIMIT) };
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Invalid::field("limit", format!("limit must be a whole number from 1 to {MAX_LIMIT}")))
}

fn parse_before(query: &ListQuery) -> Result<Option<Cursor>, Invalid> {
    let Some(text) = &query.before else { return Ok(None) };
    match Cursor::parse(text) {
        Some(cursor) => Ok(Some(cursor)),
        None => Err(Invalid::field("before", "before must be the `next` of an earlier answer")),
    }
}

/// `GET /api/messages/stream`. The header wins over the parameter: a browser that reconnects by itself repeats the
/// address it began with, and adds what it has seen since.
fn stream(board: Arc<Board>, query: StreamQuery, header: Option<String>) -> Response {
    let last = header.filter(|id| !id.is_empty()).or(query.last_event_id.filter(|id| !id.is_empty()));
    // An id that isn't one of ours is like one of another life: the viewer starts over.
    let unknown = || EventId { epoch: String::new(), seq: u64::MAX };
    let last = last.map(|text| EventId::parse(&text).unwrap_or_else(unknown));
    let stream = SseStream::new(board.feed.subscribe(last.as_ref()), Arc::clone(&board.streams));
    let response = warp::Reply::into_response(warp::reply::stream(stream));
    let response = reply::with(response, CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    let response = reply::with(response, CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // nginx would hold events back until its buffer is full.
    reply::with(response, HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Only what the operator can do something about is worth a line.
fn log(error: &PostError) {
    match error {
        PostError::Kafka(source) => tracing::warn!(error = %source, "a message was not acknowledged"),
        PostError::Redis(source) => tracing::warn!(error = %source, "a message was not accepted"),
        _ => tracing::debug!(%error, "a message was refused"),
    }
}
