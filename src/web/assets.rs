//! CSS, JavaScript and pictures, compiled into the executable.
//!
//! [`url`] names an asset together with a hash of its content, so a browser may keep it for ever; asked for without the
//! hash (as modules ask for their siblings), it is revalidated each time.

use rust_embed::RustEmbed;
use warp::Filter;
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, ETAG, HeaderValue};
use warp::reply::Response;

use super::query::{Query, query};
use super::{READ, Routes, reply};

#[derive(RustEmbed)]
#[folder = "templates/static/"]
struct Assets;

/// The address of an asset, with its version.
pub fn url(name: &str) -> String {
    match Assets::get(name) {
        Some(asset) => format!("/static/{name}?v={}", version(&asset)),
        None => format!("/static/{name}"),
    }
}

/// `GET /static/{name}`, and of what belongs to one part of the site `GET /static/{folder}/{name}`.
pub fn routes() -> Routes {
    let nested = warp::path!("static" / String / String).map(|folder, name| format!("{folder}/{name}"));
    let filter = (warp::path!("static" / String).or(nested).unify())
        .and(warp::get())
        .and(query())
        .and(warp::header::optional::<String>("if-none-match"))
        .map(|name: String, wanted: Query, known: Option<String>| serve(&name, wanted.get("v"), known.as_deref()))
        .boxed();
    Routes::new(filter, &[("/static/{name}", READ), ("/static/{folder}/{name}", READ)])
}

fn serve(name: &str, wanted: Option<&str>, known: Option<&str>) -> Response {
    let Some(asset) = Assets::get(name) else {
        return reply::error(StatusCode::NOT_FOUND, "no such file", None);
    };
    let version = version(&asset);
    let etag = format!("\"{version}\"");
    let response = if known == Some(etag.as_str()) {
        reply::bytes(StatusCode::NOT_MODIFIED, content_type(name), "")
    } else {
        reply::bytes(StatusCode::OK, content_type(name), asset.data.into_owned())
    };
    let keep = if wanted == Some(version.as_str()) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let response = reply::with(response, CACHE_CONTROL, HeaderValue::from_static(keep));
    match HeaderValue::from_str(&etag) {
        Ok(etag) => reply::with(response, ETAG, etag),
        Err(_) => response,
    }
}

/// The first 8 bytes of the content's SHA-256.
fn version(asset: &rust_embed::EmbeddedFile) -> String {
    asset.metadata.sha256_hash()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml; charset=utf-8",
        _ => "application/octet-stream",
    }
}
