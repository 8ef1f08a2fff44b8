//! The pages: rendered here, so that they can be read and used without scripts, which then keep them up to date.
//!
//! - [`frame`]: what all of them share.
//! - [`list`], [`create`], [`one`], [`analytics`], [`switches`]: one each.
//! - [`picture`]: the saga, drawn; [`words`]: what statuses and events are called.

mod analytics;
mod create;
mod frame;
mod list;
mod one;
mod picture;
mod switches;
mod words;

use std::sync::Arc;

use bytes::Buf;
use futures::Stream;
use warp::Filter;
use warp::http::StatusCode;
use warp::http::header::{HeaderMap, HeaderValue, LOCATION};
use warp::reply::Response;

use super::Shop;
use crate::web::body::{self, BodyError};
use crate::web::headers::is_own;
use crate::web::query::query;
use crate::web::{READ, Routes, reply};

/// The body of a form at most, in bytes: the switches with the most products set apart, with room.
const MAX_FORM: usize = 256 * 1024;

/// The header by which scripts say that they ask for a page again, to keep it up to date.
const REFRESH: &str = "x-kboard-refresh";

/// The fields of a form, in their order.
type Fields = Vec<(String, String)>;

/// The routes of the pages.
pub fn routes(shop: &Arc<Shop>) -> Routes {
    let with = {
        let shop = Arc::clone(shop);
        warp::any().map(move || Arc::clone(&shop))
    };
    let headers = warp::header::headers_cloned;
    let get = warp::get().and(with.clone()).and(headers()).and(query());
    let post = warp::post().and(with.clone()).and(headers()).and(warp::body::stream());
    let list = warp::path!("orders").and(get.clone()).then(list::page);
    let place = warp::path!("orders").and(post.clone()).then(|shop: Arc<Shop>, headers: HeaderMap, body| async move {
        let form = form(&headers, body).await;
        create::place(&shop, &headers, form).await
    });
    let create = warp::path!("orders" / "new").and(get.clone()).then(create::page);
    let random = warp::path!("orders" / "random").and(post.clone()).then(
        |shop: Arc<Shop>, headers: HeaderMap, body| async move {
            let form = form(&headers, body).await;
            create::place_random(&shop, form).await
        },
    );
    let analytics = warp::path!("orders" / "analytics").and(get.clone()).then(analytics::page);
    let switches = warp::path!("orders" / "switches").and(get.clone()).then(switches::page);
    let set =
        warp::path!("orders" / "switches").and(post).then(|shop: Arc<Shop>, headers: HeaderMap, body| async move {
            let form = form(&headers, body).await;
            switches::set(&shop, form).await
        });
    let one =
        warp::path!("orders" / String).and(get).then(|id: String, shop: Arc<Shop>, headers: HeaderMap, _| async move {
            one::page(&id, &shop, &headers).await
        });
    let fixed = list.or(place).unify().or(create).unify().or(random).unify().or(analytics).unify();
    let filter = fixed.or(switches).unify().or(set).unify().or(one).unify().boxed();
    Routes::new(
        filter,
        &[
            ("/orders", "GET, HEAD, POST"),
            ("/orders/new", READ),
            ("/orders/random", "POST"),
            ("/orders/analytics", READ),
            ("/orders/switches", "GET, HEAD, POST"),
            ("/orders/{id}", READ),
        ],
    )
}

/// Somebody looks at `page`: it is told to Kafka, unless a script asks again for what is looked at anyway.
fn looked_at(shop: &Shop, headers: &HeaderMap, page: &str) {
    if !headers.contains_key(REFRESH) {
        shop.visits.page(page);
    }
}

/// Why a form was not taken.
#[derive(Debug, thiserror::Error)]
enum FormError {
    /// It could not be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A page of another site sent it.
    #[error("another site's page may not act here")]
    CrossSite,
}

impl FormError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Body(error) => error.status(),
            Self::CrossSite => StatusCode::FORBIDDEN,
        }
    }
}

/// The fields of a form that one of our own pages sent.
async fn form<S, B>(headers: &HeaderMap, body: S) -> Result<Fields, FormError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let body = body::read(body, MAX_FORM).await?;
    if !is_own(headers) {
        return Err(FormError::CrossSite);
    }
    Ok(url::form_urlencoded::parse(&body).into_owned().collect())
}

/// The value of `name`, without the space around it; empty if there is none.
fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.trim())
}

/// Sends the browser to `location`, an address of ours, with a GET.
fn see_other(location: &str) -> Response {
    let response = reply::bytes(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/orders"));
    reply::with(response, LOCATION, location)
}
