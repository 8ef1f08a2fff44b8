//! Posting: a message is checked, written to Kafka, and answered for once Kafka has acknowledged it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::Stream;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use warp::reply::Response;

use super::api::{DEFAULT_LIMIT, Newest};
use super::form;
use super::idempotency::{self, Claim};
use super::message::{Draft, Invalid, Message};
use super::{Board, KAFKA_AWAY, REDIS_AWAY, TOPIC};
use crate::clock::now_ms;
use crate::kafka::event::{EventMeta, IDEMPOTENCY_KEY};
use crate::kafka::{KafkaError, Outgoing};
use crate::live::feed::Event;
use crate::redis::RedisError;
use crate::telemetry::trace::current;
use crate::web::body::{self, BodyError};
use crate::web::headers::{is_own, text};
use crate::web::reply;

/// The body of a POST at most: a message of the longest content in the widest encoding, with room.
const MAX_BODY: usize = 64 * 1024;
/// How long the form waits for its message to come back through Kafka and Redis before it shows the board without it.
const FORM_PATIENCE: Duration = Duration::from_secs(1);

/// With a key, Redis is asked before and after Kafka. Each of them has its own time; together they may take this long.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_900);

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
    #[error("Failed to send message: Kafka and Redis were too slow")]
    TimedOut,
    #[error("Failed to send message: Redis is away, and without it a repeated request can't be told from a new one")]
    Redis(#[source] RedisError),
}

impl PostError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Body(error) => error.status(),
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Kafka(_) | Self::Redis(_) | Self::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Invalid(invalid) => invalid.field,
            _ => None,
        }
    }
}

/// `POST /api/messages`, from a program (JSON) or a form.
pub async fn post<S, B>(board: &Board, headers: &HeaderMap, body: S) -> Response
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
            let mut page = Newest::read(board, DEFAULT_LIMIT).await.map(Newest::into_page).unwrap_or_default();
            page.author = draft.author.unwrap_or_default();
            page.draft = draft.content.unwrap_or_default();
            page.error = Some(error.to_string());
            page.site = Arc::clone(&board.services.site);
            reply::page(error.status(), &page)
        }
    }
}

/// Checks a draft, writes it to Kafka and waits for the acknowledgement; the message's id.
async fn accept(board: &Board, headers: &HeaderMap, draft: &Draft) -> Result<String, PostError> {
    if !is_own(headers) {
        return Err(PostError::CrossSite);
    }
    let (content, author) = draft.validate()?;
    let id = Uuid::now_v7().to_string();
    let message = Message { id: id.into(), content: content.into(), author: author.into(), timestamp: now_ms() };
    let Some(key) = headers.get("idempotency-key") else {
        write(board, headers, &message, None).await?;
        return Ok(message.id.into_owned());
    };
    let key = idempotency::check(key.as_bytes())?;
    let written = write_once(board, headers, message, key);
    tokio::time::timeout(ANSWER_WITHIN, written).await.unwrap_or(Err(PostError::TimedOut))
}

/// Writes a message under a key: the same key again is answered with the same message.
async fn write_once(
    board: &Board,
    headers: &HeaderMap,
    message: Message<'static>,
    key: &str,
) -> Result<String, PostError> {
    let keys = idempotency::Keys { redis: &board.services.redis, prefix: &board.services.prefix.0 };
    match keys.claim(key, message).await.map_err(PostError::Redis)? {
        Claim::Mismatch => Err(PostError::KeyReused),
        Claim::Written(message) => Ok(message.id.into_owned()),
        Claim::Write(message) => {
            write(board, headers, &message, Some(key)).await?;
            keys.written(key, &message).await;
            Ok(message.id.into_owned())
        }
    }
}

async fn write(board: &Board, headers: &HeaderMap, message: &Message<'_>, key: Option<&str>) -> Result<(), PostError> {
    let correlation = text(headers, HeaderName::from_static("x-correlation-id")).filter(|id| id.len() <= 128);
    let id = Bytes::copy_from_slice(message.id.as_bytes());
    let correlation_id = correlation.map_or_else(|| id.clone(), |given| Bytes::copy_from_slice(given.as_bytes()));
    current::correlate(&correlation_id);
    let meta = EventMeta {
        event_type: "MessagePosted",
        version: "1",
        correlation_id,
        trace: current::next(),
        timestamp: message.timestamp,
    };
    let mut headers = meta.headers(&id);
    if let Some(key) = key {
        headers.push((IDEMPOTENCY_KEY.to_owned(), Some(Bytes::copy_from_slice(key.as_bytes()))));
    }
    let record = Outgoing {
        topic: board.services.prefix.apply(TOPIC),
        key: Some(id),
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

/// Only what the operator can do something about is worth a line.
fn log(error: &PostError) {
    match error {
        PostError::Kafka(source) => KAFKA_AWAY.warn("a message was not acknowledged", source),
        PostError::Redis(source) => REDIS_AWAY.warn("a message was not accepted", source),
        _ => tracing::debug!(%error, "a message was refused"),
    }
}
