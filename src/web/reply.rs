//! Answers: JSON, pages, errors.

use askama::Template;
use bytes::Bytes;
use serde::Serialize;
use warp::Reply;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE};
use warp::http::{Response as HttpResponse, StatusCode};
use warp::reply::Response;

/// Seconds after which a client may try again, when Kafka or Redis is away.
const RETRY_AFTER_S: u16 = 2;

/// What a page may do: only our own scripts and styles run, nobody frames it, forms come to us.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// What an API says when it can't do what it was asked.
#[derive(Debug, Serialize)]
pub struct ApiError<'a> {
    /// What is wrong, for people.
    pub error: &'a str,
    /// The field at fault, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'a str>,
}

/// An answer with a body of this type.
pub fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = HttpResponse::new(body.into()).into_response();
    *response.status_mut() = status;
    with(response, CONTENT_TYPE, HeaderValue::from_static(content_type))
}

/// `data` as JSON.
pub fn json(status: StatusCode, data: &impl Serialize) -> Response {
    match serde_json::to_vec(data) {
        Ok(body) => bytes(status, "application/json", body),
        Err(reason) => {
            tracing::error!(%reason, "an answer can't be written as JSON");
            bytes(StatusCode::INTERNAL_SERVER_ERROR, "application/json", r#"{"error":"internal error"}"#)
        }
    }
}

/// An error of an API. Those that pass by themselves say when to come back.
pub fn error(status: StatusCode, reason: &str, field: Option<&str>) -> Response {
    retry_after(json(status, &ApiError { error: reason, field }))
}

/// A rendered page; it is made anew for each request, so nobody keeps it.
pub fn page(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => {
            let response = bytes(status, "text/html; charset=utf-8", html);
            let policy = HeaderName::from_static("content-security-policy");
            let response = with(response, policy, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
            retry_after(with(response, CACHE_CONTROL, HeaderValue::from_static("no-store")))
        }
        Err(reason) => {
            tracing::error!(%reason, "a page can't be rendered");
            bytes(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", "internal error")
        }
    }
}

/// Sends the browser to `location` with a GET.
pub fn see_other(location: &'static str) -> Response {
    let response = bytes(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    with(response, LOCATION, HeaderValue::from_static(location))
}

/// Adds a `Set-Cookie` header.
pub fn with_cookie(response: Response, cookie: &str) -> Response {
    match HeaderValue::from_str(cookie) {
        Ok(value) => with(response, SET_COOKIE, value),
        Err(_) => response,
    }
}

/// Adds a header.
pub fn with(mut response: Response, name: HeaderName, value: HeaderValue) -> Response {
    response.headers_mut().insert(name, value);
    response
}

fn retry_after(response: Response) -> Response {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        return with(response, RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    }
    response
}
