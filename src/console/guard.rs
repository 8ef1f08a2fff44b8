//! Who may do what.
//!
//! There is no login. What protects the console is where it listens, and that a page of another site, open in the same
//! browser, can neither read nor act here:
//! - **Reading**: answers carry no CORS headers, so a page of another origin doesn't see them. That such a page makes its
//!   own name point here (DNS rebinding) is refused by the name in `Host`, while we listen on loopback or were told our names.
//! - **Acting** needs a token that only our own pages, and programs that ask `/api/console/session`, can read.
//! - **A proxy** on this machine lets others reach loopback. Unless somebody said what the console may do, what says that it came
//!   through one is refused; not all of them say so.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use warp::http::StatusCode;

use super::Console;
use super::refusal::Refusal;
use super::request::{Params, Request};
use super::route::Route;
use crate::config::ConsoleMode;

/// The header in which programs and scripts send the token.
pub const TOKEN_HEADER: &str = "x-kboard-token";
/// The field in which forms send it.
pub const TOKEN_FIELD: &str = "token";

/// What proxies add to what they pass on.
const OF_PROXIES: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// Who may ask for anything at all.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Only this machine can reach us.
    pub loopback: bool,
    /// What is done may be done by whoever a proxy lets through: somebody said what that is.
    pub proxied: bool,
    /// The names that we are called by; empty when nobody said so.
    pub hosts: Vec<String>,
}

/// What may be done here.
pub struct Guard {
    /// Whether anything may be changed.
    pub mode: ConsoleMode,
    admission: Admission,
    token: String,
}

impl Guard {
    /// A guard with a token of its own.
    pub fn new(mode: ConsoleMode, admission: Admission) -> Self {
        let hosts = admission.hosts.iter().map(|host| name_of(host)).collect();
        let admission = Admission { hosts, ..admission };
        Self { mode, admission, token: Uuid::new_v4().simple().to_string() }
    }

    /// The token that actions need, for our own pages.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether a request may be answered at all.
    ///
    /// # Errors
    /// The browser asks for a name that isn't ours, or for somebody who is not on this machine.
    pub fn admit(&self, request: &Request) -> Result<(), Refusal> {
        let Admission { loopback, proxied, hosts } = &self.admission;
        if let Some(header) = OF_PROXIES.iter().find(|name| *loopback && !proxied && request.has_header(name)) {
            return Err(Refusal::forbidden(format!(
                "this came through a proxy ({header}), which others may reach, and the console has no login: say what it may do with \
                 `kboard serve --console full`, `read-only` or `off`"
            )));
        }
        let host = request.header("host").unwrap_or_default();
        let (is_ours, remedy) = match hosts.is_empty() {
            true => (!loopback || is_this_machine(host), "the console listens on this machine only; use localhost"),
            false => (hosts.iter().any(|name| *name == name_of(host)), "--console-hosts has the names that it goes by"),
        };
        match is_ours {
            true => Ok(()),
            false => Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, format!("it is not called {host:?}: {remedy}"))),
        }
    }

    /// Whether a request that changes something may do so; `token` is what it brought.
    ///
    /// # Errors
    /// The console is read-only, or the token is missing or of another life of this process.
    pub fn allow(&self, token: Option<&str>) -> Result<(), Refusal> {
        if self.mode != ConsoleMode::Full {
            return Err(Refusal::forbidden("the console is read-only; `kboard serve --console full` lets it act"));
        }
        if token == Some(self.token.as_str()) {
            return Ok(());
        }
        Err(Refusal::forbidden(format!(
            "the token is missing or outdated: reload the page; programs send what /api/console/session says in the header {TOKEN_HEADER}"
        )))
    }
}

/// The name in a `Host` header, without its port and in lower case.
fn name_of(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        // An address of IPv6 has colons of its own, and is in brackets where a port follows.
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    };
    name.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

/// Whether `host`, of a `Host` header, names this machine and no other.
fn is_this_machine(host: &str) -> bool {
    let name = name_of(host);
    let address = name.parse::<std::net::IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// What a program needs to know before it acts.
#[derive(Serialize, JsonSchema)]
struct Session {
    /// `full` or `read-only`.
    mode: &'static str,
    /// What actions need in the header `x-kboard-token`; only in full mode.
    token: Option<String>,
    /// The bootstrap servers of the cluster.
    cluster: String,
    /// The version of this build.
    version: &'static str,
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// The guard's own address.
pub fn routes() -> Vec<Route> {
    vec![Route::get("/api/console/session", "What may be done, and the token that actions need", session)]
}

async fn session(console: Arc<Console>, _: Params, _: Nothing) -> Result<Session, Refusal> {
    let acts = console.guard.mode == ConsoleMode::Full;
    Ok(Session {
        mode: console.guard.mode.name(),
        token: acts.then(|| console.guard.token.clone()),
        cluster: console.cluster.servers(),
        version: env!("CARGO_PKG_VERSION"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_this_machine() {
        for host in ["localhost", "localhost:3000", "LOCALHOST.:1", "127.0.0.1:3000", "[::1]:3000", "a.localhost"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "evil.example", "evil.example:3000", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn a_name_is_the_same_with_a_port_and_without() {
        for host in ["fd00::12", "[fd00::12]", "[FD00::12]:3000"] {
            assert_eq!(name_of(host), "fd00::12");
        }
        assert_eq!((name_of("Kafka.example.:3000"), name_of("10.0.0.1")), ("kafka.example".into(), "10.0.0.1".into()));
    }

    #[test]
    fn acting_takes_full_mode_and_the_token() {
        let guard = Guard::new(ConsoleMode::Full, Admission::default());
        assert!(guard.allow(Some(guard.token())).is_ok());
        assert!(guard.allow(None).is_err() && guard.allow(Some("")).is_err());
        assert!(guard.allow(Some(Guard::new(ConsoleMode::Full, Admission::default()).token())).is_err());
        let reader = Guard::new(ConsoleMode::ReadOnly, Admission::default());
        assert!(reader.allow(Some(reader.token())).is_err());
    }
}
