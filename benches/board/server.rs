//! A server under load: kboard, or a peer beside it, and how each is spoken to.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, bail};
use serde_json::json;

use crate::stamp::Run;

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `POST /api/messages` and `GET /api/messages/stream`: kboard, and the application it descends from.
    Board,
    /// Centrifugo's HTTP API and its unidirectional SSE endpoint.
    Centrifugo,
    /// nginx with Nchan: a publisher and an EventSource location, as `peers` configures them.
    Nchan,
}

/// The channel that peers publish to.
const CHANNEL: &str = "board";

/// Where a server listens and what it speaks.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name in the tables.
    pub name: String,
    pub api: Api,
    pub address: SocketAddr,
}

impl Server {
    /// A server at `http://host:port`.
    pub fn at(name: &str, api: Api, url: &str) -> anyhow::Result<Self> {
        let url: url::Url = url.parse().with_context(|| format!("{url:?} is no URL"))?;
        if url.scheme() != "http" {
            bail!("{url}: only http:// is measured");
        }
        let host = url.host_str().with_context(|| format!("{url} names no host"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let address = (host, port).to_socket_addrs()?.next().with_context(|| format!("{host} has no address"))?;
        Ok(Self { name: name.to_owned(), api, address })
    }

    /// The request that publishes message `number` of `run`, stamped with the time of now.
    pub fn publish(&self, run: &Run, number: u64) -> Vec<u8> {
        let content = run.content(number);
        let message = json!({ "content": content, "author": "load" });
        let (path, body) = match self.api {
            Api::Board => ("/api/messages", message.to_string()),
            Api::Centrifugo => ("/api/publish", json!({ "channel": CHANNEL, "data": message }).to_string()),
            Api::Nchan => ("/pub?id=board", message.to_string()),
        };
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .into_bytes()
    }

    /// The request that opens a viewer's stream.
    pub fn view(&self) -> Vec<u8> {
        let path = match self.api {
            Api::Board => "/api/messages/stream".to_owned(),
            Api::Centrifugo => {
                let connect = json!({ "subs": { CHANNEL: {} } }).to_string();
                let query: String = url::form_urlencoded::byte_serialize(connect.as_bytes()).collect();
                format!("/connection/uni_sse?cf_connect={query}")
            }
            Api::Nchan => "/sub?id=board".to_owned(),
        };
        self.get_accepting(&path, "text/event-stream")
    }

    /// A plain GET of `path`.
    pub fn get(&self, path: &str) -> Vec<u8> {
        self.get_accepting(path, "*/*")
    }

    fn get_accepting(&self, path: &str, accept: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: {accept}\r\n\r\n", self.address).into_bytes()
    }
}
