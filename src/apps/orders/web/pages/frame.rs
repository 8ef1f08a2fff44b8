//! What all pages of the app share.

use std::sync::Arc;

use warp::http::StatusCode;
use warp::reply::Response;

use crate::apps::orders::web::{REDIS_AWAY, Shop};
use crate::redis::RedisError;
use crate::web::{Part, reply};

/// The parts of the app, as its navigation names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The orders.
    Orders,
    /// Placing one.
    New,
    /// What is ordered.
    Analytics,
    /// What goes wrong on purpose.
    Switches,
}

impl Section {
    /// All of them, in the order of the navigation, with name and address.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Orders, "Orders", "/orders"),
        (Self::New, "New order", "/orders/new"),
        (Self::Analytics, "Analytics", "/orders/analytics"),
        (Self::Switches, "Failure switches", "/orders/switches"),
    ];
}

/// What the layout shows around a page; every page's template has it as `frame`.
pub struct Frame {
    /// The section that the page belongs to.
    pub section: Section,
    /// Whether a stream keeps the page up to date.
    pub live: bool,
    /// What the site has besides.
    pub site: Arc<[Part]>,
    /// The version of this build.
    pub version: &'static str,
}

impl Frame {
    /// The frame of a page in `section`.
    pub fn new(shop: &Shop, section: Section) -> Self {
        Self { section, live: false, site: Arc::clone(&shop.services.site), version: env!("CARGO_PKG_VERSION") }
    }

    /// The same of a page that a stream keeps up to date.
    pub fn live(shop: &Shop, section: Section) -> Self {
        Self { live: true, ..Self::new(shop, section) }
    }

    /// The parts of the app, for navigation.
    pub fn sections(&self) -> [(Section, &'static str, &'static str); 4] {
        Section::ALL
    }
}

#[derive(askama::Template)]
#[template(path = "orders/refused.html")]
struct RefusedPage<'a> {
    frame: Frame,
    status: StatusCode,
    reason: &'a str,
}

/// The page that says why a page can't be shown.
pub fn refused(shop: &Shop, section: Section, status: StatusCode, reason: &str) -> Response {
    reply::page(status, &RefusedPage { frame: Frame::new(shop, section), status, reason })
}

/// The page that says so when Redis is away.
pub fn redis_away(shop: &Shop, section: Section, error: &RedisError) -> Response {
    REDIS_AWAY.warn("a page of the orders can't be shown", error);
    let reason = "This can't be shown: Redis is away. The page works again when it is back; reload it in a moment.";
    refused(shop, section, StatusCode::SERVICE_UNAVAILABLE, reason)
}
