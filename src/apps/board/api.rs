//! The board's routes, and those that read: the page, the list, the stream.

use std::sync::Arc;

use bytes::Bytes;
use warp::Filter;
use warp::http::StatusCode;
use warp::http::header::{HeaderMap, HeaderName};
use warp::reply::Response;

use super::history::{Cursor, Page};
use super::message::{Invalid, Message};
use super::page::{BoardPage, MessageView};
use super::{Board, KAFKA_AWAY, REDIS_AWAY, WINDOW, form, post};
use crate::clock::now_ms;
use crate::live::frame::EventId;
use crate::live::sse::SseStream;
use crate::redis::RedisError;
use crate::web::headers::text;
use crate::web::query::{Query, query};
use crate::web::{READ, Routes, events, reply};

/// Messages of a page unless asked otherwise.
pub const DEFAULT_LIMIT: usize = 50;
/// And at most.
const MAX_LIMIT: usize = WINDOW;

/// The routes of the board.
pub fn routes(board: Arc<Board>) -> Routes {
    let with = |board: &Arc<Board>| {
        let board = Arc::clone(board);
        warp::any().map(move || Arc::clone(&board))
    };
    let messages = warp::path!("api" / "messages");
    let index = warp::path::end()
        .and(warp::get())
        .and(with(&board))
        .and(query())
        .and(warp::header::headers_cloned())
        .then(index);
    let post = messages
        .and(warp::post())
        .and(with(&board))
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(|board: Arc<Board>, headers: HeaderMap, body| async move { post::post(&board, &headers, body).await });
    let list = messages.and(warp::get()).and(with(&board)).and(query()).then(list);
    let stream = warp::path!("api" / "messages" / "stream")
        .and(warp::get())
        .and(with(&board))
        .and(query())
        .and(warp::header::headers_cloned())
        .map(stream);
    let filter = post.or(stream).unify().or(list).unify().or(index).unify().boxed();
    let messages = ("/api/messages", "GET, HEAD, POST");
    Routes::new(filter, &[("/", READ), messages, ("/api/messages/stream", READ)])
}

/// The newest messages, as the window has them.
pub struct Newest {
    /// The members' JSON, newest first.
    members: Vec<Bytes>,
    next: Option<Cursor>,
    last_event_id: EventId,
}

impl Newest {
    /// Reads the newest `limit` messages.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn read(board: &Board, limit: usize) -> Result<Self, RedisError> {
        let mut snapshot = board.window.snapshot().await?;
        let next = Cursor::behind(&snapshot, board.history.topic(), limit);
        snapshot.members.truncate(limit);
        let last_event_id = EventId { epoch: snapshot.epoch, seq: snapshot.seq };
        Ok(Self { members: snapshot.members, next, last_event_id })
    }

    /// The board that shows them.
    pub fn into_page(self) -> BoardPage {
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

/// `GET /`.
async fn index(board: Arc<Board>, query: Query, headers: HeaderMap) -> Response {
    let author = text(&headers, HeaderName::from_static("cookie")).and_then(form::author_of).unwrap_or_default();
    let page = match parse_before(&query) {
        Err(invalid) => Err((StatusCode::BAD_REQUEST, invalid.reason)),
        Ok(None) => Newest::read(&board, DEFAULT_LIMIT).await.map(Newest::into_page).map_err(|error| {
            REDIS_AWAY.warn("can't read the window", &error);
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "The messages can't be shown: Redis is away. This page works again when it is back.".to_owned(),
            )
        }),
        Ok(Some(cursor)) => board.history.page(&cursor, DEFAULT_LIMIT).await.map(older_page).map_err(|error| {
            KAFKA_AWAY.warn("can't read the log", &error);
            (StatusCode::SERVICE_UNAVAILABLE, "Older messages can't be shown: Kafka is away.".to_owned())
        }),
    };
    let (status, page) = match page {
        Ok(page) => (StatusCode::OK, page),
        Err((status, reason)) => (status, BoardPage { error: Some(reason), ..BoardPage::default() }),
    };
    reply::page(status, &BoardPage { author, site: Arc::clone(&board.services.site), ..page })
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
async fn list(board: Arc<Board>, query: Query) -> Response {
    let wanted = parse_limit(&query).and_then(|limit| Ok((limit, parse_before(&query)?)));
    let (limit, before) = match wanted {
        Ok(wanted) => wanted,
        Err(invalid) => return reply::error(StatusCode::BAD_REQUEST, &invalid.reason, invalid.field),
    };
    match before {
        None => match Newest::read(&board, limit).await {
            Ok(newest) => reply::bytes(StatusCode::OK, "application/json", list_body(&newest.members, newest.next)),
            Err(error) => {
                REDIS_AWAY.warn("can't read the window", &error);
                reply::error(StatusCode::SERVICE_UNAVAILABLE, "Failed to fetch messages: Redis is away", None)
            }
        },
        Some(cursor) => match board.history.page(&cursor, limit).await {
            Ok(page) => {
                let messages: Vec<Bytes> = page.messages.iter().map(|message| Bytes::from(message.encode())).collect();
                reply::bytes(StatusCode::OK, "application/json", list_body(&messages, page.next))
            }
            Err(error) => {
                KAFKA_AWAY.warn("can't read the log", &error);
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

fn parse_limit(query: &Query) -> Result<usize, Invalid> {
    let Some(text) = query.get("limit") else { return Ok(DEFAULT_LIMIT) };
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Invalid::field("limit", format!("limit must be a whole number from 1 to {MAX_LIMIT}")))
}

fn parse_before(query: &Query) -> Result<Option<Cursor>, Invalid> {
    let Some(text) = query.get("before") else { return Ok(None) };
    match Cursor::parse(text) {
        Some(cursor) => Ok(Some(cursor)),
        None => Err(Invalid::field("before", "before must be the `next` of an earlier answer")),
    }
}

/// `GET /api/messages/stream`.
fn stream(board: Arc<Board>, query: Query, headers: HeaderMap) -> Response {
    let subscription = board.feed.subscribe(events::last_seen(&query, &headers).as_ref());
    events::reply(SseStream::new(subscription, Arc::clone(&board.streams)))
}
