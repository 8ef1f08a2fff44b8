//! What the headers of a request say.

use warp::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};

/// The text of a header.
pub fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the browser says that the request comes from a page of the origin it goes to, or nobody says anything: programs don't,
/// and may act. So a page of another origin can't act in the name of whoever reads it (cross-site request forgery). It tells
/// nothing of which origin that is: a page whose own name was made to point here (DNS rebinding) is of it, and passes.
pub fn is_own(headers: &HeaderMap) -> bool {
    // Browsers send it to secure addresses and to this machine only; to others they say the origin.
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let (origin, host) = (origin.to_str().ok(), text(headers, HOST));
    origin.and_then(|origin| origin.split_once("://")).is_some_and(|(_, authority)| Some(authority) == host)
}
