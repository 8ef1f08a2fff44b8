//! Where others post what they have to tell.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use warp::Filter;
use warp::reply::Reply;

use super::eventually;

/// A server that takes every post of JSON and keeps it.
#[derive(Debug)]
pub struct Webhook {
    port: u16,
    posts: Arc<Mutex<Vec<(String, Value)>>>,
    _running: DropGuard,
}

impl Webhook {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let posts = Arc::<Mutex<Vec<_>>>::default();
        let kept = Arc::clone(&posts);
        let keep = warp::post().and(warp::path::full()).and(warp::body::json()).map(
            move |path: warp::path::FullPath, body: Value| {
                kept.lock().unwrap().push((path.as_str().to_owned(), body));
                "ok".into_response() // the word by which Slack says so
            },
        );
        let shutdown = CancellationToken::new();
        let routes = ::kboard::web::Routes::new(keep.boxed(), &[]);
        tokio::spawn(::kboard::web::server::serve(listener, routes, shutdown.clone()));
        Self { port, posts, _running: shutdown.drop_guard() }
    }

    /// The URL of a path of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until what `wanted` takes is posted to `path`.
    pub async fn is_told(&self, what: &str, path: &str, timeout: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, timeout, async || {
            let posts = self.posts.lock().unwrap();
            posts.iter().find(|(to, body)| to == path && wanted(body)).map(|(_, body)| body.clone())
        })
        .await
    }
}
