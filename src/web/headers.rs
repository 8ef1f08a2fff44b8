//! What the headers of a request say.

use warp::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};

/// The text of a header.
pub fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the request comes from a page of this site, or from a program. Browsers say where a request comes from; without a
/// login, this is what keeps a page elsewhere from acting in the name of whoever reads it. Programs say nothing, and may act.
pub fn is_own(headers: &HeaderMap) -> bool {
    // Browsers send it to secure addresses and to this machine only; to others they say the origin.
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let (origin, host) = (origin.to_str().ok(), text(headers, HOST));
    origin.and_then(|origin| origin.split_once("://")).is_some_and(|(_, authority)| Some(authority) == host)
}
