//! The table of addresses, and how a request finds its line in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Buf;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use percent_encoding::percent_decode_str;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use warp::Filter;
use warp::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use warp::http::{HeaderMap, Method, StatusCode};
use warp::path::FullPath;
use warp::reply::Response;

use super::guard::{TOKEN_FIELD, TOKEN_HEADER};
use super::refusal::Refusal;
use super::request::{Body, Params, Request};
use super::{Console, frame};
use crate::web::{Routes, reply};

type Handler =
    Box<dyn Fn(Arc<Console>, Request) -> BoxFuture<'static, Result<Response, Refusal>> + Send + Sync + 'static>;

/// A type's schema, put into the document's.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// An address.
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path; a segment in braces stands for any one.
    pub template: &'static str,
    /// What the API's document says of it; pages are not in there.
    pub doc: Option<Doc>,
    handler: Handler,
}

/// What the API's document says of an address.
pub struct Doc {
    /// What it does.
    pub summary: &'static str,
    /// Its query.
    pub query: Option<SchemaOf>,
    /// Its body.
    pub body: Option<SchemaOf>,
    /// Its answer.
    pub answer: Answer,
}

/// An answer, as the API's document has it.
pub enum Answer {
    /// A JSON document.
    Json(SchemaOf),
    /// Something else, of one of these media types, maybe without end.
    Stream(&'static [&'static str]),
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Of a query, the fields are wanted, not a name for all of them.
fn fields_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

impl Route {
    fn new<F, Fut>(method: Method, template: &'static str, doc: Option<Doc>, handler: F) -> Self
    where
        F: Fn(Arc<Console>, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        Self { method, template, doc, handler: Box::new(move |console, request| handler(console, request).boxed()) }
    }

    /// A page.
    pub fn page<F, Fut>(template: &'static str, handler: F) -> Self
    where
        F: Fn(Arc<Console>, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        Self::new(Method::GET, template, None, handler)
    }

    /// What a form of a page is sent to: an action. The handler gets the fields in their order, without the token.
    pub fn form<F, Fut>(template: &'static str, handler: F) -> Self
    where
        F: Fn(Arc<Console>, Request, Vec<(String, String)>) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        Self::new(Method::POST, template, None, move |console: Arc<Console>, mut request| {
            let handler = handler.clone();
            async move {
                let mut fields = request.form().await?;
                let token = fields.iter().find(|(name, _)| name == TOKEN_FIELD).map(|(_, token)| token.as_str());
                console.guard.allow(token)?;
                fields.retain(|(name, _)| name != TOKEN_FIELD);
                handler(console, request, fields).await
            }
        })
    }

    /// A question of the API.
    pub fn get<Q, A, F, Fut>(template: &'static str, summary: &'static str, handler: F) -> Self
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        A: Serialize + JsonSchema,
        F: Fn(Arc<Console>, Params, Q) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<A, Refusal>> + Send + 'static,
    {
        let doc = Doc { summary, query: Some(fields_of::<Q>), body: None, answer: Answer::Json(schema_of::<A>) };
        Self::new(Method::GET, template, Some(doc), move |console, request| {
            let handler = handler.clone();
            async move {
                let query = request.query()?;
                Ok(reply::json(StatusCode::OK, &handler(console, request.params, query).await?))
            }
        })
    }

    /// A question of the API whose answer is no single JSON document.
    pub fn stream<Q, F, Fut>(
        template: &'static str,
        summary: &'static str,
        media_types: &'static [&'static str],
        handler: F,
    ) -> Self
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(Arc<Console>, Params, Q) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        let doc = Doc { summary, query: Some(fields_of::<Q>), body: None, answer: Answer::Stream(media_types) };
        Self::new(Method::GET, template, Some(doc), move |console, request| {
            let handler = handler.clone();
            async move {
                let query = request.query()?;
                handler(console, request.params, query).await
            }
        })
    }

    /// An action of the API, with a JSON body.
    pub fn action<B, A, F, Fut>(method: Method, template: &'static str, summary: &'static str, handler: F) -> Self
    where
        B: DeserializeOwned + JsonSchema + Send + 'static,
        A: Serialize + JsonSchema,
        F: Fn(Arc<Console>, Params, B) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<A, Refusal>> + Send + 'static,
    {
        let doc = Doc { summary, query: None, body: Some(schema_of::<B>), answer: Answer::Json(schema_of::<A>) };
        Self::new(method, template, Some(doc), move |console: Arc<Console>, mut request| {
            let handler = handler.clone();
            async move {
                console.guard.allow(request.header(TOKEN_HEADER))?;
                let body = request.json().await?;
                Ok(reply::json(StatusCode::OK, &handler(console, request.params, body).await?))
            }
        })
    }

    /// An action of the API whose body, answer or both are streams.
    pub fn streaming_action<Q, F, Fut>(
        template: &'static str,
        summary: &'static str,
        media_types: &'static [&'static str],
        handler: F,
    ) -> Self
    where
        Q: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(Arc<Console>, Params, Q, Body) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        let doc = Doc { summary, query: Some(fields_of::<Q>), body: None, answer: Answer::Stream(media_types) };
        Self::new(Method::POST, template, Some(doc), move |console: Arc<Console>, mut request| {
            let handler = handler.clone();
            async move {
                console.guard.allow(request.header(TOKEN_HEADER))?;
                let query = request.query()?;
                let body = request.take_body();
                handler(console, request.params, query, body).await
            }
        })
    }

    /// An answer that never changes.
    pub fn fixed(template: &'static str, summary: &'static str, media_type: &'static str, body: Vec<u8>) -> Self {
        let doc = Doc { summary, query: None, body: None, answer: Answer::Stream(&["application/json"]) };
        let body = bytes::Bytes::from(body);
        Self::new(Method::GET, template, Some(doc), move |_, _| {
            let body = body.clone();
            async move { Ok(reply::bytes(StatusCode::OK, media_type, body)) }
        })
    }

    /// The open segments of `path`, if it is of this route's form.
    fn params(&self, path: &str) -> Option<Params> {
        let (mut ours, mut theirs) = (self.template.split('/'), path.split('/'));
        let mut params = Vec::new();
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return Some(Params(params)),
                (Some(ours), Some(theirs)) => match ours.strip_prefix('{').and_then(|open| open.strip_suffix('}')) {
                    Some(name) if !theirs.is_empty() => {
                        let decoded: Cow<str> = percent_decode_str(theirs).decode_utf8().ok()?;
                        params.push((name, decoded.into_owned()));
                    }
                    None if ours == theirs => {}
                    _ => return None,
                },
                _ => return None,
            }
        }
    }
}

/// Serves the addresses of `table`.
pub fn serve(console: Arc<Console>, table: Vec<Route>) -> Routes {
    let mut methods: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    for route in &table {
        let known = methods.entry(route.template).or_default();
        known.extend(if route.method == Method::GET { &["GET", "HEAD"][..] } else { &[] });
        match route.method {
            Method::POST => known.push("POST"),
            Method::PATCH => known.push("PATCH"),
            Method::DELETE => known.push("DELETE"),
            _ => {}
        }
    }
    // The table lives as long as the process.
    let templates: Vec<(&'static str, &'static str)> =
        methods.into_iter().map(|(template, known)| (template, &*known.join(", ").leak())).collect();
    let table = Arc::new(table);
    let ours = (warp::path!("console" / ..).or(warp::path!("api" / "console" / ..))).unify();
    let filter = ours
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |method: Method, path: FullPath, query: String, headers: HeaderMap, body| {
            let (console, table) = (Arc::clone(&console), Arc::clone(&table));
            let request = Request { params: Params::default(), query, headers, body: boxed(body) };
            async move { answer(&console, &table, &method, path.as_str(), request).await }
        });
    Routes::new(filter.boxed(), &templates)
}

fn boxed(body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send + 'static) -> Body {
    Box::pin(body.map(|chunk| chunk.map(|mut chunk| chunk.copy_to_bytes(chunk.remaining()))))
}

/// Answers a request by the table.
pub async fn answer(
    console: &Arc<Console>,
    table: &[Route],
    method: &Method,
    path: &str,
    request: Request,
) -> Response {
    let result = match console.guard.admit(&request) {
        Ok(()) => dispatch(console, table, method, path, request).await,
        Err(refusal) => Err(refusal),
    };
    let response = match result {
        Ok(response) => response,
        Err(refusal) if path.starts_with("/api/") => reply::error(refusal.status, &refusal.reason, refusal.field),
        Err(refusal) => frame::refused(console, &refusal),
    };
    // What is seen here is nobody else's: not for caches, not for pages of other origins.
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    let response = reply::with(response, policy, HeaderValue::from_static("same-origin"));
    reply::with(response, CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

async fn dispatch(
    console: &Arc<Console>,
    table: &[Route],
    method: &Method,
    path: &str,
    mut request: Request,
) -> Result<Response, Refusal> {
    let mut exists = false;
    for route in table {
        let Some(params) = route.params(path) else { continue };
        exists = true;
        if route.method == method {
            request.params = params;
            return (route.handler)(Arc::clone(console), request).await;
        }
    }
    Err(if exists {
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not allowed here"))
    } else {
        Refusal::not_found("there is no such page")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
        let route = Route::page(template, |_, _| async { Err(Refusal::not_found("")) });
        route.params(path).map(|params| params.0)
    }

    #[test]
    fn open_segments_are_decoded() {
        let found = params("/console/groups/{group}/reset", "/console/groups/a%2Fb%20%C3%A9+/reset");
        assert_eq!(found, Some(vec![("group", "a/b é+".to_owned())]));
        for path in
            ["/console/groups//reset", "/console/groups/a", "/console/groups/a/reset/", "/console/groups/%FF/reset"]
        {
            assert_eq!(params("/console/groups/{group}/reset", path), None, "{path}");
        }
    }
}
