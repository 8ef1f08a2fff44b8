//! The pages.

use std::sync::Arc;

use warp::Filter;
use warp::http::StatusCode;

use super::Shop;
use crate::web::{READ, Routes, reply};

/// The routes of the pages.
pub fn routes(_shop: &Arc<Shop>) -> Routes {
    let list = warp::path!("orders").and(warp::get());
    Routes::new(list.map(|| reply::error(StatusCode::NOT_FOUND, "not yet", None)).boxed(), &[("/orders", READ)])
}
