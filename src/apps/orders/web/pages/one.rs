//! `GET /orders/{id}`: one order, as it goes.

use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;

use super::frame::{Frame, Section, redis_away};
use super::picture::{LAYOUTS, Picture, State};
use super::words::Shown;
use super::{looked_at, words};
use crate::apps::orders::web::Shop;
use crate::apps::orders::web::read::{self, Detail};
use crate::web::{human, reply};

#[derive(askama::Template)]
#[template(path = "orders/one.html")]
struct OrderPage<'a> {
    frame: Frame,
    id: &'a str,
    order: Detail,
    picture: Picture,
}

#[derive(askama::Template)]
#[template(path = "orders/unknown.html")]
struct UnknownPage<'a> {
    frame: Frame,
    id: &'a str,
    /// How long an order is known.
    known: String,
}

/// `GET /orders/{id}`.
pub async fn page(id: &str, shop: &Shop, headers: &HeaderMap) -> Response {
    // By one name for all orders: which of them is looked at most, nobody asks.
    looked_at(shop, headers, "/orders/{id}");
    // What was sent is encoded; an id with nothing to decode is the usual one.
    let decoded = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
    match read::order(shop, &decoded).await {
        Ok(Some(order)) => {
            let picture = Picture::of(&order);
            let frame = Frame::live(shop, Section::Orders);
            reply::page(StatusCode::OK, &OrderPage { frame, id: &decoded, order, picture })
        }
        Ok(None) => {
            let frame = Frame::new(shop, Section::Orders);
            reply::page(StatusCode::NOT_FOUND, &UnknownPage { frame, id: &decoded, known: shop.remembers() })
        }
        Err(error) => redis_away(shop, Section::Orders, &error),
    }
}
