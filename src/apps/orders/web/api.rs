//! The addresses of the API.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::Stream;
use serde::Serialize;
use serde_json::json;
use warp::Filter;
use warp::http::StatusCode;
use warp::http::header::{HeaderMap, HeaderValue, LOCATION};
use warp::reply::Response;

use super::place::{self, MAX_BODY, PlaceError};
use super::read::{self, Cursor, Filter as Wanted, Row};
use super::{REDIS_AWAY, Shop, summary, visits};
use crate::apps::orders::analytics::MINUTES;
use crate::apps::orders::draft::Draft;
use crate::apps::orders::events::{EventType, schema};
use crate::apps::orders::saga::order::Status;
use crate::apps::orders::switches::{self, Switches};
use crate::clock::now_ms;
use crate::live::sse::SseStream;
use crate::redis::RedisError;
use crate::web::body;
use crate::web::headers::is_own;
use crate::web::query::{Query, query};
use crate::web::{READ, Routes, events, reply};

/// Orders of a page unless asked otherwise.
pub const DEFAULT_LIMIT: usize = 50;
/// And at most.
const MAX_LIMIT: usize = 200;
/// Minutes of a summary unless asked otherwise.
const DEFAULT_MINUTES: i64 = 15;
/// And at most: as far back as minutes are kept, a day.
const MAX_MINUTES: i64 = (MINUTES.as_secs() / 60) as i64;
/// The body of a page view or of the switches at most, in bytes.
const MAX_SMALL_BODY: usize = 64 * 1024;

/// The routes of the API.
pub fn routes(shop: &Arc<Shop>) -> Routes {
    let with = {
        let shop = Arc::clone(shop);
        warp::any().map(move || Arc::clone(&shop))
    };
    let headers = warp::header::headers_cloned;
    let orders = warp::path!("api" / "orders");
    let switches = warp::path!("api" / "orders" / "switches");
    let posted = warp::post().and(with.clone()).and(headers()).and(warp::body::stream());
    let place = orders
        .and(posted.clone())
        .then(|shop: Arc<Shop>, headers: HeaderMap, body| async move { place(&shop, &headers, body).await });
    let list = orders.and(warp::get()).and(with.clone()).and(query()).then(list);
    let stream = warp::path!("api" / "orders" / "stream")
        .and(warp::get())
        .and(with.clone())
        .and(query())
        .and(headers())
        .map(stream);
    let analytics =
        warp::path!("api" / "orders" / "analytics").and(warp::get()).and(with.clone()).and(query()).then(analytics);
    let shown = switches.and(warp::get()).and(with.clone()).then(show_switches);
    let set = switches
        .and(warp::put())
        .and(with.clone())
        .and(headers())
        .and(warp::body::stream())
        .then(|shop: Arc<Shop>, headers: HeaderMap, body| async move { set_switches(&shop, &headers, body).await });
    let schemas = warp::path!("api" / "orders" / "schemas").and(warp::get()).map(schemas);
    let schema =
        warp::path!("api" / "orders" / "schemas" / String).and(warp::get()).map(|name: String| schema_of(&name));
    let one = warp::path!("api" / "orders" / String).and(warp::get()).and(with).then(one);
    let view = warp::path!("api" / "pageviews")
        .and(posted)
        .then(|shop: Arc<Shop>, headers: HeaderMap, body| async move { view(&shop, &headers, body).await });
    let fixed = place.or(list).unify().or(stream).unify().or(analytics).unify().or(shown).unify().or(set).unify();
    let filter = fixed.or(schemas).unify().or(schema).unify().or(one).unify().or(view).unify().boxed();
    Routes::new(
        filter,
        &[
            ("/api/orders", "GET, HEAD, POST"),
            ("/api/orders/stream", READ),
            ("/api/orders/analytics", READ),
            ("/api/orders/switches", "GET, HEAD, PUT"),
            ("/api/orders/schemas", READ),
            ("/api/orders/schemas/{name}", READ),
            ("/api/orders/{id}", READ),
            ("/api/pageviews", "POST"),
        ],
    )
}

/// Where an order can be watched.
#[derive(Serialize)]
struct Links {
    /// Everything about it.
    #[serde(rename = "self")]
    this: String,
    /// What happens to it.
    events: String,
    /// Both, for people.
    page: String,
}

impl Links {
    fn of(id: &str) -> Self {
        Self {
            this: format!("/api/orders/{id}"),
            events: format!("/api/orders/stream?order={id}"),
            page: format!("/orders/{id}"),
        }
    }
}

/// `POST /api/orders`.
async fn place<S, B>(shop: &Shop, headers: &HeaderMap, body: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let placed = async {
        let draft = Draft::from_json(&body::read(body, MAX_BODY).await?)?;
        place::place(shop, headers, draft).await
    };
    match placed.await {
        Ok(id) => {
            let links = Links::of(&id);
            let location = HeaderValue::from_str(&links.this);
            let told = json!({ "orderId": id, "status": Status::Pending, "links": links });
            let response = reply::json(StatusCode::ACCEPTED, &told);
            match location {
                Ok(location) => reply::with(response, LOCATION, location),
                Err(_) => response,
            }
        }
        Err(error) => refused(&error),
    }
}

fn refused(error: &PlaceError) -> Response {
    reply::error(error.status(), &error.to_string(), error.field())
}

/// A page of a list, as it is answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    orders: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// A viewer goes on from here.
    last_event_id: String,
}

/// `GET /api/orders`.
async fn list(shop: Arc<Shop>, query: Query) -> Response {
    let (wanted, before, limit) = match parse_list(&query) {
        Ok(parsed) => parsed,
        Err((field, reason)) => return reply::error(StatusCode::BAD_REQUEST, &reason, Some(field)),
    };
    match read::page(&shop, &wanted, before, limit).await {
        Ok(read::Page { orders, next, last_event_id }) => {
            let (next, last_event_id) = (next.map(|cursor| cursor.to_string()), last_event_id.to_string());
            reply::json(StatusCode::OK, &List { orders, next, last_event_id })
        }
        Err(error) => redis_away(&error),
    }
}

type Refused = (&'static str, String);

/// What a list is asked for: which orders, after which, and how many.
///
/// # Errors
/// The parameter that is wrong, and how.
pub fn parse_list(query: &Query) -> Result<(Wanted, Option<Cursor>, usize), Refused> {
    let given = |name| query.get(name).filter(|text| !text.is_empty());
    let status = given("status").map(|name| {
        let known = || Status::ALL.iter().map(|status| status.name()).collect::<Vec<_>>().join(", ");
        Status::named(&name.to_uppercase()).ok_or_else(|| ("status", format!("status must be one of {}", known())))
    });
    let before = given("before")
        .map(|text| Cursor::parse(text).ok_or(("before", "before must be the `next` of an earlier answer".to_owned())));
    let limit = given("limit").map(|text| {
        let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit.ok_or_else(|| ("limit", format!("limit must be a whole number from 1 to {MAX_LIMIT}")))
    });
    let wanted = Wanted { status: status.transpose()?, customer: given("customer").map(str::to_owned) };
    Ok((wanted, before.transpose()?, limit.transpose()?.unwrap_or(DEFAULT_LIMIT)))
}

/// `GET /api/orders/{id}`.
async fn one(id: String, shop: Arc<Shop>) -> Response {
    // Ids of others may hold what has to be encoded in a path.
    let id = percent_encoding::percent_decode_str(&id).decode_utf8_lossy();
    match read::order(&shop, &id).await {
        Ok(Some(order)) => reply::json(StatusCode::OK, &order),
        Ok(None) => {
            let known = shop.remembers();
            let reason = format!(
                "no such order: one is known from a moment after it was placed until {known} after it has ended"
            );
            reply::error(StatusCode::NOT_FOUND, &reason, None)
        }
        Err(error) => redis_away(&error),
    }
}

/// `GET /api/orders/stream`: of all orders, or of one.
fn stream(shop: Arc<Shop>, query: Query, headers: HeaderMap) -> Response {
    let subscription = shop.feed.subscribe(events::last_seen(&query, &headers).as_ref());
    let streams = Arc::clone(&shop.streams);
    events::reply(match query.get("order").filter(|id| !id.is_empty()) {
        None => SseStream::new(subscription, streams),
        // As the saga announces it: `json!` writes no space.
        Some(order) => SseStream::about(subscription, streams, Bytes::from(format!("\"orderId\":{}", json!(order)))),
    })
}

/// `GET /api/orders/analytics`.
async fn analytics(shop: Arc<Shop>, query: Query) -> Response {
    let Some(minutes) = parse_window(&query) else {
        let reason = format!("window must be 1m to {MAX_MINUTES}m, or hours such as 2h");
        return reply::error(StatusCode::BAD_REQUEST, &reason, Some("window"));
    };
    match summary::summary(&shop, minutes, now_ms()).await {
        Ok(summary) => reply::json(StatusCode::OK, &summary),
        Err(error) => redis_away(&error),
    }
}

/// How many minutes are asked for; `None` when it is no such number.
pub fn parse_window(query: &Query) -> Option<i64> {
    let Some(text) = query.get("window").filter(|text| !text.is_empty()) else { return Some(DEFAULT_MINUTES) };
    let minutes = match (text.strip_suffix('m'), text.strip_suffix('h')) {
        (Some(minutes), _) => minutes.parse::<i64>().ok()?,
        (_, Some(hours)) => hours.parse::<i64>().ok()?.checked_mul(60)?,
        _ => return None,
    };
    (1..=MAX_MINUTES).contains(&minutes).then_some(minutes)
}

/// `GET /api/orders/switches`.
async fn show_switches(shop: Arc<Shop>) -> Response {
    reply::json(StatusCode::OK, &*shop.switches.get())
}

/// `PUT /api/orders/switches`.
async fn set_switches<S, B>(shop: &Shop, headers: &HeaderMap, body: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if !is_own(headers) {
        return reply::error(StatusCode::FORBIDDEN, "another site's page may not change anything here", None);
    }
    let body = match body::read(body, MAX_SMALL_BODY).await {
        Ok(body) => body,
        Err(error) => return refused(&error.into()),
    };
    let switches = match Switches::from_json(&body) {
        Ok(switches) => switches,
        Err(reason) => return reply::error(StatusCode::BAD_REQUEST, &reason, None),
    };
    match keep(shop, switches).await {
        Ok(()) => reply::json(StatusCode::OK, &*shop.switches.get()),
        Err(error) => redis_away(&error),
    }
}

/// Keeps switches for all processes; this one follows at once.
///
/// # Errors
/// When Redis is away.
pub async fn keep(shop: &Shop, switches: Switches) -> Result<(), RedisError> {
    switches::save(&shop.services.redis, &shop.services.prefix, &switches).await?;
    shop.switches.set(switches);
    Ok(())
}

/// `GET /api/orders/schemas`.
fn schemas() -> Response {
    let address = |event_type: &EventType| format!("/api/orders/schemas/{}", schema::file_name(*event_type));
    reply::json(StatusCode::OK, &json!({ "schemas": EventType::ALL.iter().map(address).collect::<Vec<_>>() }))
}

/// `GET /api/orders/schemas/{name}`.
fn schema_of(name: &str) -> Response {
    match EventType::ALL.iter().find(|event_type| schema::file_name(**event_type) == name) {
        Some(event_type) => reply::json(StatusCode::OK, &schema::schema(*event_type)),
        None => reply::error(StatusCode::NOT_FOUND, "no such schema; /api/orders/schemas lists them", None),
    }
}

/// `POST /api/pageviews`.
async fn view<S, B>(shop: &Shop, headers: &HeaderMap, body: S) -> Response
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if !is_own(headers) {
        return reply::error(StatusCode::FORBIDDEN, "another site's page may not tell of visits here", None);
    }
    let body = match body::read(body, MAX_SMALL_BODY).await {
        Ok(body) => body,
        Err(error) => return refused(&error.into()),
    };
    let view = match visits::read(&body, now_ms()) {
        Ok(view) => view,
        Err(reason) => return reply::error(StatusCode::BAD_REQUEST, &reason, None),
    };
    match shop.visits.tell(view) {
        true => reply::json(StatusCode::ACCEPTED, &json!({ "success": true })),
        false => {
            reply::error(StatusCode::SERVICE_UNAVAILABLE, "Kafka does not keep up; the visit is not counted", None)
        }
    }
}

fn redis_away(error: &RedisError) -> Response {
    REDIS_AWAY.warn("orders can't be read", error);
    reply::error(StatusCode::SERVICE_UNAVAILABLE, "orders can't be read: Redis is away", None)
}
