//! What a handler is given of a request.

use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;
use serde::de::DeserializeOwned;
use warp::http::HeaderMap;

use super::refusal::Refusal;
use crate::web::body;

/// The largest body that is read whole.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// A body, as it comes.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

/// A request that found its route.
pub struct Request {
    /// The segments that the route's template leaves open.
    pub params: Params,
    /// What comes behind the question mark.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

/// The segments of a path that its template leaves open, by name, decoded.
#[derive(Clone, Debug, Default)]
pub struct Params(pub Vec<(&'static str, String)>);

impl Params {
    /// The segment that the template names `name`; empty if it names none so.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| *found == name).map_or("", |(_, value)| value)
    }

    /// The segment `name` as a number.
    ///
    /// # Errors
    /// It is none.
    pub fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, Refusal> {
        let text = self.text(name);
        text.parse().map_err(|_| Refusal::field(name, format!("{name} must be a whole number, not {text:?}")))
    }
}

impl Request {
    /// The query, typed; a value that is given as nothing counts as not given, as an empty field of a form is sent.
    ///
    /// # Errors
    /// A value has the wrong form.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let given = url::form_urlencoded::parse(self.query.as_bytes()).filter(|(_, value)| !value.is_empty());
        let given = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
        serde_html_form::from_str(&given).map_err(|error| Refusal::bad_request(format!("the query: {error}")))
    }

    /// The body as JSON; none is one without fields.
    ///
    /// # Errors
    /// It is too large, didn't arrive, or has another form.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        let bytes = self.bytes().await?;
        let bytes = if bytes.is_empty() { b"{}" } else { &bytes[..] };
        serde_json::from_slice(bytes).map_err(|error| Refusal::bad_request(format!("the body: {error}")))
    }

    /// The body as a form sends it.
    ///
    /// # Errors
    /// It is too large or didn't arrive.
    pub async fn form(&mut self) -> Result<Vec<(String, String)>, Refusal> {
        let bytes = self.bytes().await?;
        Ok(url::form_urlencoded::parse(&bytes).into_owned().collect())
    }

    /// Whether a header was sent, whatever it says.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The value of a header, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, to be read as it comes; nothing is left of it here.
    pub fn take_body(&mut self) -> Body {
        std::mem::replace(&mut self.body, Box::pin(futures::stream::empty()))
    }

    async fn bytes(&mut self) -> Result<Bytes, Refusal> {
        Ok(body::read(self.take_body(), MAX_BODY).await?)
    }
}
