//! `GET /orders`: the newest orders.

use std::sync::Arc;

use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;

use super::frame::{Frame, Section, redis_away};
use super::words::Shown;
use super::{looked_at, words};
use crate::apps::orders::saga::order::Status;
use crate::apps::orders::web::Shop;
use crate::apps::orders::web::api::parse_list;
use crate::apps::orders::web::read::{self, Filter, Page, Row};
use crate::clock::now_ms;
use crate::web::human;
use crate::web::query::Query;
use crate::web::reply;

#[derive(askama::Template)]
#[template(path = "orders/list.html")]
struct ListPage {
    frame: Frame,
    wanted: Filter,
    orders: Vec<Row>,
    /// From where the stream goes on.
    last_event_id: String,
    /// Where the next page is.
    next: Option<String>,
    /// Whether it is a page of older orders, where new ones don't arrive.
    older: bool,
    /// How many orders were placed just now.
    placed: Option<u32>,
    /// What is wrong with the address.
    error: Option<String>,
    now: i64,
}

/// `GET /orders`.
pub async fn page(shop: Arc<Shop>, headers: HeaderMap, query: Query) -> Response {
    looked_at(&shop, &headers, "/orders");
    let empty = ListPage {
        frame: Frame::live(&shop, Section::Orders),
        wanted: Filter::default(),
        orders: Vec::new(),
        last_event_id: String::new(),
        next: None,
        older: false,
        placed: query.get("placed").and_then(|count| count.parse().ok()),
        error: None,
        now: now_ms(),
    };
    let (wanted, before, limit) = match parse_list(&query) {
        Ok(parsed) => parsed,
        Err((_, reason)) => {
            return reply::page(StatusCode::BAD_REQUEST, &ListPage { error: Some(reason), ..empty });
        }
    };
    let older = before.is_some();
    match read::page(&shop, &wanted, before, limit).await {
        Ok(Page { orders, next, last_event_id }) => {
            let next = next.map(|cursor| address(&wanted, Some(&cursor.to_string())));
            let last_event_id = last_event_id.to_string();
            let frame = if older { Frame::new(&shop, Section::Orders) } else { empty.frame };
            reply::page(StatusCode::OK, &ListPage { frame, wanted, orders, last_event_id, next, older, ..empty })
        }
        Err(error) => redis_away(&shop, Section::Orders, &error),
    }
}

/// The address of a list.
fn address(wanted: &Filter, before: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let status = wanted.status.map(Status::name);
    for (name, value) in [("status", status), ("customer", wanted.customer.as_deref()), ("before", before)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => "/orders".to_owned(),
        query => format!("/orders?{query}"),
    }
}

impl ListPage {
    fn is_filtered(&self) -> bool {
        self.wanted.status.is_some() || self.wanted.customer.is_some()
    }

    fn is_chosen(&self, status: &Status) -> bool {
        self.wanted.status.as_ref() == Some(status)
    }

    /// The list's first page.
    fn newest(&self) -> String {
        address(&self.wanted, None)
    }
}
