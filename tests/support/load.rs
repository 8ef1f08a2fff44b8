//! People who post all the time, and what they were promised.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Kboard, unique};

/// How long a poster waits after a refusal; a person would wait longer.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Posters at work. Each message is posted once only, with a content of its own, so that what is shown twice is a fault.
#[derive(Debug)]
pub struct Load {
    acknowledged: Arc<Mutex<Vec<String>>>,
    enough: CancellationToken,
    posters: JoinSet<()>,
}

impl Load {
    /// Starts `posters` that post to each of `boards` in turn, with `pause` after each message.
    pub fn start(boards: &[&Kboard], posters: usize, pause: Duration) -> Self {
        let mut load = Self { acknowledged: Arc::default(), enough: CancellationToken::new(), posters: JoinSet::new() };
        let urls: Vec<String> = boards.iter().map(|board| board.url("/api/messages")).collect();
        for poster in 0..posters {
            let poster = Poster {
                name: format!("poster {poster}"),
                urls: urls.clone(),
                acknowledged: Arc::clone(&load.acknowledged),
            };
            load.posters.spawn(poster.post_until(load.enough.clone(), pause));
        }
        load
    }

    /// How many messages were acknowledged so far.
    pub fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Lets `more` further messages be acknowledged.
    pub async fn goes_on(&self, more: usize, timeout: Duration) {
        let enough = self.count() + more;
        super::eventually("messages that are acknowledged", timeout, async || (self.count() >= enough).then_some(()))
            .await;
    }

    /// Ends it; the ids that were acknowledged, in the order of their acknowledgements.
    pub async fn stop(mut self) -> Vec<String> {
        self.enough.cancel();
        while let Some(ended) = self.posters.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut self.acknowledged.lock().unwrap())
    }
}

struct Poster {
    name: String,
    urls: Vec<String>,
    acknowledged: Arc<Mutex<Vec<String>>>,
}

impl Poster {
    async fn post_until(self, enough: CancellationToken, pause: Duration) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut turn = 0;
        while !enough.is_cancelled() {
            let url = &self.urls[turn % self.urls.len()];
            turn += 1;
            let acknowledged = post(&http, url, &self.name).await;
            let wait = if acknowledged.is_some() { pause } else { AFTER_FAILURE };
            self.acknowledged.lock().unwrap().extend(acknowledged);
            tokio::time::sleep(wait).await;
        }
    }
}

/// Posts a message; its id, if it was accepted.
async fn post(http: &reqwest::Client, url: &str, author: &str) -> Option<String> {
    let body = serde_json::json!({ "content": unique("message"), "author": author });
    let response = http.post(url).json(&body).send().await.ok()?.error_for_status().ok()?;
    let answer: Value = response.json().await.ok()?;
    Some(answer["id"].as_str().expect("an accepted message has an id").to_owned())
}
