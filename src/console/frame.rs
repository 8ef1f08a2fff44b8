//! What all pages of the console share.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use warp::http::StatusCode;
use warp::http::header::{HeaderValue, LOCATION};
use warp::reply::Response;

use super::Console;
use super::refusal::Refusal;
use super::request::Request;
use crate::config::ConsoleMode;
use crate::web::{Part, reply};

/// The cookie that carries what was done to the page that is shown next.
const NOTICE: &str = "kboard_notice";

/// The parts of the console, as its navigation names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The cluster at a glance.
    Dashboard,
    /// Topics and their messages.
    Topics,
    /// Consumer groups.
    Groups,
    /// Dead-letter topics.
    DeadLetters,
    /// Writing records.
    Produce,
}

impl Section {
    /// All of them, in the order of the navigation, with name and address.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Dashboard, "Dashboard", "/console"),
        (Self::Topics, "Topics", "/console/topics"),
        (Self::Groups, "Groups", "/console/groups"),
        (Self::DeadLetters, "Dead letters", "/console/dead-letters"),
        (Self::Produce, "Produce", "/console/produce"),
    ];
}

/// What the layout shows around a page; every page's template has it as `frame`.
pub struct Frame {
    /// The section that the page belongs to.
    pub section: Section,
    /// The bootstrap servers.
    pub cluster: String,
    /// Whether anything may be changed: forms are shown only then.
    pub acts: bool,
    /// What forms send as `token`.
    pub token: String,
    /// What the site has besides.
    pub site: Arc<[Part]>,
    /// What was done just now.
    pub notice: Option<String>,
    /// The version of this build.
    pub version: &'static str,
}

impl Frame {
    /// The frame of a page in `section` that answers `request`.
    pub fn new(console: &Console, section: Section, request: &Request) -> Self {
        Self { notice: notice_of(request), ..Self::bare(console, section) }
    }

    fn bare(console: &Console, section: Section) -> Self {
        let acts = console.guard.mode == ConsoleMode::Full;
        Self {
            section,
            cluster: console.cluster.servers(),
            acts,
            token: if acts { console.guard.token().to_owned() } else { String::new() },
            site: Arc::clone(&console.site),
            notice: None,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Answers `request` with a page; a notice that it brought is shown once.
pub fn page(request: &Request, status: StatusCode, page: &impl askama::Template) -> Response {
    let response = reply::page(status, page);
    match notice_of(request) {
        Some(_) => reply::with_cookie(response, &format!("{NOTICE}=; Path=/console; Max-Age=0; SameSite=Strict")),
        None => response,
    }
}

/// Sends the browser to `location`, where the next page says what was done.
pub fn done(location: &str, notice: &str) -> Response {
    let encoded = utf8_percent_encode(notice, NON_ALPHANUMERIC);
    let response = reply::bytes(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    // Addresses are made of our own templates and encoded segments.
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/console"));
    let cookie = format!("{NOTICE}={encoded}; Path=/console; Max-Age=30; HttpOnly; SameSite=Strict");
    reply::with_cookie(reply::with(response, LOCATION, location), &cookie)
}

fn notice_of(request: &Request) -> Option<String> {
    let cookies = request.header("cookie")?;
    let value = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(NOTICE)?.strip_prefix('='))?;
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
    (!decoded.is_empty()).then(|| decoded.into_owned())
}

/// What of ASCII a segment of a path holds only encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `text` as one segment of a path.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[derive(askama::Template)]
#[template(path = "console/refused.html")]
struct RefusedPage<'a> {
    frame: Frame,
    status: StatusCode,
    reason: &'a str,
}

/// The page that says why a page can't be shown.
pub fn refused(console: &Console, refusal: &Refusal) -> Response {
    let frame = Frame::bare(console, Section::Dashboard);
    reply::page(refusal.status, &RefusedPage { frame, status: refusal.status, reason: &refusal.reason })
}
